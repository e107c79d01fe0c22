#!/usr/bin/env bash
# Unpacks newer releases of Prometheus, Alertmanager, VictoriaMetrics, kubectl and Slurm from Debian into .tools/current,
# beside the system's own: the rules, the configuration and the tests have to hold on both. Installs nothing and needs no root.
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
# /sid: a machine may have a kubectl of somebody else's with a higher version.
(cd "$state/deb" && apt download prometheus promtool prometheus-alertmanager victoria-metrics kubectl/sid)

rm -rf "$top/current"
for package in "$state"/deb/*.deb; do
  dpkg -x "$package" "$top/current"
done
"$top/current/usr/bin/kubectl" version --client | sed -n 's/^Client Version: v/current-tools: kubectl, version /p'
for program in prometheus promtool prometheus-alertmanager amtool; do
  "$top/current/usr/bin/$program" --version 2>&1 | sed -n 's/^\([a-z]*, version [^ ]*\).*/current-tools: \1/p'
done

# Slurm needs newer libraries than the machine has. It is unpacked with all of them, and what stands on PATH runs it
# with these as /usr, in a mount namespace of its own.
if [ "$(id -u)" -ne 0 ]; then
  echo "current-tools: slurm stays the machine's own: only root can put another /usr in its place"
  exit 0
fi
rm -f "$state"/cache/archives/*.deb
: >"$state/status" # as if nothing were installed
apt install --yes --download-only --no-install-recommends -o "Dir::State::status=$state/status" \
  slurmctld slurmd slurmdbd slurm-client munge dash coreutils tzdata
rm -rf "$top/slurm"
for package in "$state"/cache/archives/*.deb; do
  dpkg -x "$package" "$top/slurm"
done
for program in slurmctld slurmd slurmstepd; do # as its packages do when they are installed
  ln -s "$program-wlm" "$top/slurm/usr/sbin/$program"
done
for program in sbin/munged sbin/slurm{ctld,d,dbd} bin/{sacct,sacctmgr,sbatch,scancel,scontrol,sinfo,squeue,srun}; do
  [ -x "$top/slurm/usr/$program" ] || fail "no $program among the packages of Slurm"
  cat >"$top/current/usr/bin/${program#*/}" <<END
#!/bin/sh
exec unshare --mount sh -c 'mount --bind "\$0" /usr && exec /usr/$program "\$@"' '$top/slurm/usr' "\$@"
END
  chmod 755 "$top/current/usr/bin/${program#*/}"
done
"$top/current/usr/bin/slurmd" -V | sed 's/^slurm-wlm /current-tools: slurm, version /'
