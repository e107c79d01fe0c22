#!/usr/bin/env bash
# Installs agents as services, and upgrades them. Safe to run again: settings are kept.
#
#   sudo systemd/install.sh              the node agent, on every machine with GPUs
#   sudo systemd/install.sh site         the site agent, on one machine of the cluster
#   sudo systemd/install.sh node site    both, as on a workstation
#
# DESTDIR=somewhere puts the files there and starts nothing, for packages and for tests.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${DESTDIR:-}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

[ $# -gt 0 ] || set -- node
for agent in "$@"; do
  case $agent in
    node | site) ;;
    *) fail "$agent: expected node or site" ;;
  esac
done

if [ -z "$root" ]; then
  [ "$(id -u)" -eq 0 ] || fail "please run as root: sudo $0"
  [ -d /run/systemd/system ] || fail "systemd does not run on this machine"
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "Python 3.11 or newer with the venv module is needed: apt-get install python3-venv"
  # Code belongs to root: the service may not change what it runs.
  python3 -m venv /opt/gputally/venv
  /opt/gputally/venv/bin/python -m pip install --quiet --disable-pip-version-check --upgrade "$here/.." ||
    fail "pip could not install gputally (see above)"
fi

put_agent() {
  install -D -m 0644 "$here/gputally-$1.service" "$root/etc/systemd/system/gputally-$1.service"
  if [ ! -e "$root/etc/gputally/gputally-$1.env" ]; then
    install -D -m 0644 "$here/gputally-$1.env" "$root/etc/gputally/gputally-$1.env"
  fi
}

start_agent() {
  systemctl daemon-reload
  systemctl enable --quiet "gputally-$1.service"
  systemctl restart "gputally-$1.service"
  echo "gputally-$1 runs: curl -s http://127.0.0.1:$2/metrics"
}

install -D -m 0755 "$here/gputally" "$root/usr/local/bin/gputally"
for agent in "$@"; do
  put_agent "$agent"
  if [ "$agent" = node ]; then
    install -D -m 0644 "$here/run-gputally-runs.mount" "$root/etc/systemd/system/run-gputally-runs.mount"
    install -D -m 0644 "$here/gputally.tmpfiles.conf" "$root/etc/tmpfiles.d/gputally.conf"
  fi
  [ -z "$root" ] || continue
  if [ "$agent" = node ]; then
    systemd-tmpfiles --create gputally.conf
    systemctl daemon-reload
    systemctl enable --quiet --now run-gputally-runs.mount
    start_agent node 9836
  else
    start_agent site 9837
  fi
done
