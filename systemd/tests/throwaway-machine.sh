#!/usr/bin/env bash
# Boots a copy of this machine with a systemd of its own, runs one program in it as root, prints what that said, and
# throws all away: systemd/tests/throwaway-machine.sh systemd/tests/on-a-machine.sh
#
# Needs root, and systemd-nspawn (apt-get install systemd-container; NSPAWN names it where it is elsewhere). Nothing
# of this machine is changed: what the copy writes is held in memory. It has no network but a loopback of its own; what
# pip installs in it is fetched before.
set -euo pipefail
nspawn=${NSPAWN:-systemd-nspawn}
program=$(realpath "$1")
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

if [ -z "${THROWAWAY_FOLDER:-}" ]; then # again, in mount and cgroup namespaces that go away with us
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  python=$checkout/.venv/bin/python
  [ -x "$python" ] || { echo "there is no $python: make tools" >&2; exit 1; }
  "$python" -m pip wheel --quiet --disable-pip-version-check --wheel-dir "$folder/wheels" "$checkout" setuptools wheel
  THROWAWAY_FOLDER=$folder unshare --mount --cgroup "${BASH_SOURCE[0]}" "$program" >"$folder/console" 2>&1 || true
  cat "$folder/said" 2>/dev/null || tail -n 20 "$folder/console"
  exit "$(cat "$folder/status" 2>/dev/null || echo 1)"
fi

layers=$THROWAWAY_FOLDER/layers
machine=$layers/machine
mkdir "$layers"
mount -t tmpfs tmpfs "$layers"
mkdir "$layers/upper" "$layers/work" "$machine"
mount -t overlay overlay -o "lowerdir=/,upperdir=$layers/upper,workdir=$layers/work" "$machine"
: >"$machine/etc/machine-id"
rm -rf "$machine"/etc/systemd/system/*.wants # what this machine runs would run twice
cat >"$machine/etc/systemd/system/asked.service" <<UNIT
[Unit]
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=oneshot
Environment=HOME=/root CHECKOUT=$checkout PIP_CONFIG_FILE=/dev/null PIP_NO_INDEX=1 PIP_FIND_LINKS=/said/wheels
WorkingDirectory=$checkout
ExecStart=/bin/bash -c '"$program" >/said/said 2>&1; echo \$? >/said/status'
UNIT
mkdir -p "$machine/etc/systemd/system/multi-user.target.wants"
ln -s ../asked.service "$machine/etc/systemd/system/multi-user.target.wants/asked.service"
exec "$nspawn" --quiet --register=no --keep-unit --boot --directory="$machine" \
  --private-network --bind="$THROWAWAY_FOLDER:/said"
