#!/usr/bin/env bash
# Writes the secrets of docker-compose.yml that are not there yet: scripts/make-secrets.sh [FOLDER [NAME...]]
#
# Passwords are random; the certificate is one that nobody trusts, for the NAMEs or for localhost, good for 90 days:
# replace it by one from your authority. What only you can know is "unset".
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-secrets}
shift || true
[ $# -gt 0 ] || set -- localhost
umask 022
install -d -m 0700 "$folder"

secret() { # secret NAME COMMAND...: what the command says, unless there is one
  local file=$folder/$1
  if [ -e "$file" ]; then return 0; fi
  shift
  "$@" >"$file.part"
  chmod 0644 "$file.part"
  mv "$file.part" "$file"
  echo "made $file"
}

secret grafana_admin_password openssl rand -base64 18
secret grafana_secret_key openssl rand -hex 32
for name in smtp_password webhook_token watchdog_token; do
  secret "$name" echo unset
done
if [ -e "$folder/tls_key" ] && [ -e "$folder/tls_certificate" ]; then
  : # somebody's own, or ours of before
elif [ -e "$folder/tls_key" ] || [ -e "$folder/tls_certificate" ]; then
  echo "make-secrets: of $folder/tls_certificate and $folder/tls_key one is missing" >&2
  exit 1
else
  made=$(mktemp -d)
  trap 'rm -rf "$made"' EXIT
  names=$(printf ',DNS:%s' "$@")
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj "/CN=$1" \
    -addext "subjectAltName=${names#,},IP:127.0.0.1" -keyout "$made/key" -out "$made/certificate" 2>/dev/null
  secret tls_certificate cat "$made/certificate"
  secret tls_key cat "$made/key"
fi
