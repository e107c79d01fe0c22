#!/usr/bin/env bash
# Unpacks newer releases of Prometheus and Alertmanager from Debian into .tools/current, beside the system's own:
# the rules, the configuration and the tests have to hold on both. Installs nothing and needs no root.
set -euo pipefail
cd "$(dirname "$0")/.."
top=$PWD/.tools

fail() {
  echo "current-tools: $*" >&2
  exit 1
}

# The mirror is this machine's own, from whichever of the two formats its sources are written in.
mirror=$(find /etc/apt -name '*.list' -o -name '*.sources' | sort | xargs sed -nE \
  -e 's/^URIs:[[:space:]]*([^[:space:]]+\/debian)\/?([[:space:]].*)?$/\1/p' \
  -e 's/^deb (\[[^]]*\] )?([^[:space:]]+\/debian)\/? .*$/\2/p' | head -n 1)
[ -n "$mirror" ] || fail "no Debian mirror among this machine's apt sources"
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
[ -r "$keyring" ] || fail "$keyring is missing (package debian-archive-keyring)"

# apt with a state of its own: the machine's lists and sources stay as they are. A mirror that lags behind is good
# enough for tests, hence no check of dates; signatures are checked.
state=$top/apt
mkdir -p "$state"/{lists/partial,cache/archives/partial,deb}
echo "deb [signed-by=$keyring] $mirror sid main" >"$state/sources.list"
apt() {
  apt-get -q -o "Dir::Etc::SourceList=$state/sources.list" -o Dir::Etc::SourceParts=- -o APT::Sandbox::User= \
    -o Acquire::Check-Valid-Until=no \
    -o "Dir::State::Lists=$state/lists" -o "Dir::Cache=$state/cache" "$@" >"$state/log" 2>&1 ||
    {
      tail -n 5 "$state/log" >&2
      fail "apt-get $1 failed"
    }
}
apt update
rm -f "$state"/deb/*.deb
(cd "$state/deb" && apt download prometheus promtool prometheus-alertmanager)

rm -rf "$top/current"
for package in "$state"/deb/*.deb; do
  dpkg -x "$package" "$top/current"
done
for program in prometheus promtool prometheus-alertmanager amtool; do
  "$top/current/usr/bin/$program" --version 2>&1 | sed -n 's/^\([a-z]*, version [^ ]*\).*/current-tools: \1/p'
done
