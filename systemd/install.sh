#!/usr/bin/env bash
# Installs the node agent as a service: `sudo systemd/install.sh`. Safe to run again: it upgrades, and keeps settings.
#
# DESTDIR=somewhere puts the files there and starts nothing, for packages and for tests.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${DESTDIR:-}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

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

install -D -m 0644 "$here/gputally-node.service" "$root/etc/systemd/system/gputally-node.service"
install -D -m 0644 "$here/run-gputally-runs.mount" "$root/etc/systemd/system/run-gputally-runs.mount"
install -D -m 0755 "$here/gputally" "$root/usr/local/bin/gputally"
install -D -m 0644 "$here/gputally.tmpfiles.conf" "$root/etc/tmpfiles.d/gputally.conf"
if [ ! -e "$root/etc/gputally/gputally-node.env" ]; then
  install -D -m 0644 "$here/gputally-node.env" "$root/etc/gputally/gputally-node.env"
fi

if [ -z "$root" ]; then
  systemd-tmpfiles --create gputally.conf
  systemctl daemon-reload
  systemctl enable --quiet gputally-node.service
  systemctl enable --quiet --now run-gputally-runs.mount
  systemctl restart gputally-node.service
  echo "gputally-node runs: curl -s http://127.0.0.1:9836/metrics"
fi
