#!/usr/bin/env bash
# Installs the agents as services, upgrades them, and takes them away. Safe to run again: what is in place stays.
#
#   sudo systemd/install.sh                the node agent, on every machine with GPUs
#   sudo systemd/install.sh site           the site agent, on one machine of the cluster
#   sudo systemd/install.sh node site      both, as on a workstation
#
#   --slurm        prolog and epilog for Slurm too, on nodes
#   --from=WHAT    what pip installs: a wheel, a folder, or a requirement such as gputally==0.1.0; by itself, the
#                  sources that this file came with, else the release gputally
#   --dry-run      say what would be changed, and change nothing
#   --uninstall    take the agents away; settings and counters stay, so that a later installation goes on with them
#   --purge        with --uninstall: settings and counters go, too; files that others put into /etc/gputally stay
#
# A setting that was changed here is never overwritten: where a new version brings another default, that is written
# beside it as FILE.new. Units are ours; one that was changed by hand is kept as FILE.old, drop-ins stay.
#
# DESTDIR=somewhere puts the files there, runs no program of the machine and starts nothing: for packages and tests.
set -euo pipefail
umask 022
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${DESTDIR:-}
units=/etc/systemd/system
settings=/etc/gputally
home=/opt/gputally
accounts=/var/lib/gputally-site # bills that were imported: written by who imports, read by the site agent
record=$root$home/installed # sums of what we have written, so that a change by hand can be told from an old version

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"; }

# --- what is asked for

dry_run='' uninstall='' purge='' slurm='' from=''
agents=()
while [ $# -gt 0 ]; do
  case $1 in
    node | site) agents+=("$1") ;;
    --slurm) slurm=yes ;;
    --from=?*) from=${1#--from=} ;;
    --dry-run) dry_run=yes ;;
    --uninstall) uninstall=yes ;;
    --purge) purge=yes ;;
    -h | --help)
      usage
      exit 0
      ;;
    -*) fail "$1: unknown option; see --help" ;;
    *) fail "$1: expected node or site" ;;
  esac
  shift
done
if [ -n "$purge" ] && [ -z "$uninstall" ]; then fail "--purge goes with --uninstall"; fi
if [ ${#agents[@]} -eq 0 ]; then
  if [ -n "$uninstall" ]; then agents=(node site); else agents=(node); fi
fi

asked() { # asked AGENT
  local agent
  for agent in "${agents[@]}"; do
    if [ "$agent" = "$1" ]; then return 0; fi
  done
  return 1
}

if [ -n "$slurm" ] && ! asked node; then fail "--slurm is for machines with GPUs: install.sh node --slurm"; fi

# --- how a change is made, or only told

changes=0
change() { # change WORDS COMMAND...: every change of the machine goes through here
  local words=$1
  shift
  changes=$((changes + 1))
  if [ -n "$dry_run" ]; then
    echo "would $words"
  else
    echo "$words"
    "$@"
  fi
}

live() { [ -z "$root" ]; } # on this machine itself, and not in a folder for a package

declare -A recorded=() touched=()
recorded_before=
if [ -r "$record" ]; then
  while read -r sum name; do recorded[$name]=$sum; done <"$record"
  recorded_before=$(sort "$record")
fi

save_record() {
  local name
  for name in "${!recorded[@]}"; do echo "${recorded[$name]} $name"; done | sort >"$record.part"
  mv -f "$record.part" "$record"
}

keep_record() { # no change that anybody would want to be told of
  if [ -n "$dry_run" ]; then return 0; fi
  local name now
  now=$(for name in "${!recorded[@]}"; do echo "${recorded[$name]} $name"; done | sort)
  if [ "$now" = "$recorded_before" ]; then return 0; fi
  recorded_before=$now
  install -d -m 0755 "$root$home"
  save_record
}

sum_of() { sha256sum <"$1" | cut -d ' ' -f 1; }

is_same() { # is_same SOURCE PATH MODE
  [ -f "$root$2" ] && cmp -s "$1" "$root$2" && [ "$(stat -c %a "$root$2")" = "$3" ]
}

put() { # put SOURCE PATH MODE: ours, always as this version has it
  if ! is_same "$1" "$2" "$3"; then
    change "write $2" install -D -m "0$3" "$1" "$root$2"
    touched[$2]=yes
  fi
  recorded[$2]=$(sum_of "$1")
}

put_unit() { # put_unit NAME
  local path=$units/$1
  if [ -f "$root$path" ] && ! cmp -s "$here/$1" "$root$path" &&
    [ "$(sum_of "$root$path")" != "${recorded[$path]:-}" ]; then
    change "keep $path, which was changed here, as $path.old" cp -p "$root$path" "$root$path.old"
  fi
  put "$here/$1" "$path" 644
}

put_settings() { # put_settings SOURCE PATH: somebody's own as soon as it was changed; its mode and owner always
  local new was=${recorded[$2]:-}
  new=$(sum_of "$1")
  if [ ! -e "$root$2" ]; then
    put "$1" "$2" 644
  elif cmp -s "$1" "$root$2"; then
    : # as it is, or already as the new version wants it
  elif [ "$(sum_of "$root$2")" = "$was" ]; then
    change "write $2" cp "$1" "$root$2"
    touched[$2]=yes
  elif [ "$new" != "$was" ] && ! cmp -s "$1" "$root$2.new"; then
    change "keep $2, which was changed here; write $2.new" install -m 0644 "$1" "$root$2.new"
  else
    echo "keep $2, which was changed here"
  fi
  recorded[$2]=$new # also of what is kept: of a new default we tell once
}

take() { # take PATH...: those that are there
  local path
  for path in "$@"; do
    if [ -e "$root$path" ] || [ -L "$root$path" ]; then change "remove $path" rm -rf "$root$path"; fi
    unset "recorded[$path]"
  done
}

# --- installation

check_machine() {
  if [ -n "$dry_run" ]; then return 0; fi # which anybody may ask for, anywhere
  [ "$(id -u)" -eq 0 ] || fail "please run as root: sudo $0"
  [ -d /run/systemd/system ] || fail "systemd does not run on this machine"
  if [ -n "$uninstall" ]; then return 0; fi
  python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
    fail "Python 3.11 or newer with the venv module is needed: apt-get install python3-venv"
}

sources_sum() { # of everything that pip would install from here; other names are taken as they are
  if [ -d "$from" ]; then
    (cd "$from" && find . \( -name '.?*' -o -name tests -o -name __pycache__ -o -name build -o -name '*.egg-info' \) \
      -prune -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d ' ' -f 1)
  elif [ -f "$from" ]; then
    sum_of "$from"
  fi
}

pip_install() { # code belongs to root: the service may not change what it runs
  python3 -m venv "$home/venv"
  "$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check --upgrade "$@" ||
    fail "pip could not install gputally (see above)"
}

put_program() {
  if [ -z "$from" ]; then
    if [ -f "$here/../pyproject.toml" ]; then from=$(dirname "$here"); else from=gputally; fi
  fi
  local sum
  sum=$(sources_sum)
  if [ -n "$sum" ] && [ "${recorded[program]:-}" = "$sum" ] && [ -x "$home/venv/bin/gputally" ]; then return 0; fi
  change "install $from into $home/venv" pip_install "$from"
  touched[program]=yes
  recorded[program]=${sum:-unknown}
}

put_agent() { # put_agent NAME
  put_unit "gputally-$1.service"
  put_settings "$here/gputally-$1.env" "$settings/gputally-$1.env"
}

put_node() { # where jobs are written down
  put_agent node
  put_unit run-gputally-runs.mount
  put "$here/gputally.tmpfiles.conf" /etc/tmpfiles.d/gputally.conf 644
  if [ -z "$slurm" ] && [ ! -e "$root/etc/slurm/prolog.d/50-gputally" ]; then return 0; fi
  put "$here/slurm/gputally-record.sh" /etc/slurm/prolog.d/50-gputally 755
  put "$here/slurm/gputally-record.sh" /etc/slurm/epilog.d/50-gputally 755
  put_settings "$here/slurm/slurm.env" "$settings/slurm.env"
}

is_new() { [ -z "${recorded[$1]:-}" ]; } # is_new UNIT: it was never started by us

start() { # start UNIT PATH...: enabled once, restarted after a change of what it reads at its start
  local unit=$1 path changed=''
  shift
  if is_new "$unit"; then
    change "enable $unit" systemctl enable --quiet "$unit"
    change "start $unit" systemctl restart "$unit" || fail "$unit does not start: journalctl -u $unit"
    recorded[$unit]=started
    return 0
  fi
  for path in "$units/$unit" "$@"; do
    if [ -n "${touched[$path]:-}" ]; then changed=yes; fi
  done
  # Whoever has stopped it will have had a reason.
  if [ -n "$changed" ] && systemctl is-active --quiet "$unit"; then
    change "restart $unit" systemctl restart "$unit" || fail "$unit does not start: journalctl -u $unit"
  fi
}

reload_units() {
  local agent path stale=''
  for path in "${!touched[@]}"; do
    if [ "${path%/*}" = "$units" ]; then stale=yes; fi
  done
  for agent in "${agents[@]}"; do
    if is_new "gputally-$agent.service"; then stale=yes; fi
  done
  if [ -n "$stale" ]; then change "tell systemd of its units" systemctl daemon-reload; fi
}

activate() {
  local agent
  if ! getent group gputally >/dev/null; then
    change "make the group gputally" systemd-sysusers /etc/sysusers.d/gputally.conf
  fi
  if asked node && [ ! -d /run/gputally/slurm ]; then
    change "make the folders in /run/gputally" systemd-tmpfiles --create /etc/tmpfiles.d/gputally.conf
  fi
  if asked site && [ ! -d "$accounts" ]; then
    change "make $accounts" install -d -m 2750 -g gputally "$accounts"
  fi
  reload_units
  if asked node; then start run-gputally-runs.mount; fi
  for agent in "${agents[@]}"; do
    start "gputally-$agent.service" program "$settings/gputally-$agent.env" "$settings/gputally.yml"
  done
}

install_all() {
  if live; then put_program; fi
  put "$here/gputally" /usr/local/bin/gputally 755
  put "$here/gputally.sysusers.conf" /etc/sysusers.d/gputally.conf 644
  put_settings "$here/gputally.yml" "$settings/gputally.yml"
  if asked node; then put_node; fi
  if asked site; then put_agent site; fi
  keep_record # also if something does not start
  if live; then activate; fi
  keep_record
}

say_what_is_next() {
  if [ "$changes" -eq 0 ]; then echo "nothing to change"; fi
  if [ -n "$slurm" ] && ! grep -qs '^Prolog=/etc/slurm/prolog\.d/' "$root/etc/slurm/slurm.conf"; then
    echo "for slurm.conf, on all machines of the cluster, before \`scontrol reconfigure\`:"
    printf '  %s\n' 'Prolog=/etc/slurm/prolog.d/*' 'Epilog=/etc/slurm/epilog.d/*' 'PrologFlags=Contain'
  fi
  if [ -n "$dry_run" ] || ! live; then return 0; fi
  if asked node; then echo "the node agent: curl -s http://127.0.0.1:9836/metrics"; fi
  if asked site; then echo "the site agent: curl -s http://127.0.0.1:9837/metrics"; fi
}

# --- and the way back

stop() { # stop UNIT
  if live && [ -e "$units/$1" ]; then change "stop and disable $1" systemctl disable --quiet --now "$1"; fi
  unset "recorded[$1]"
}

take_node() {
  stop gputally-node.service
  stop run-gputally-runs.mount
  take "$units"/{gputally-node.service,run-gputally-runs.mount} /etc/tmpfiles.d/gputally.conf
  take /etc/slurm/{prolog,epilog}.d/50-gputally
  if live; then take /run/gputally; fi
}

take_site() {
  stop gputally-site.service
  take "$units/gputally-site.service"
}

is_left() { # is_left AGENT: installed, and to stay so
  [ -e "$root$units/gputally-$1.service" ] && ! asked "$1"
}

uninstall_all() {
  local agent
  for agent in "${agents[@]}"; do
    "take_$agent"
    if [ -z "$purge" ]; then continue; fi
    take "$settings/gputally-$agent.env"{,.new} "$units/gputally-$agent.service"{.old,.d}
    if [ "$agent" = node ]; then take "$settings/slurm.env"{,.new} /var/lib/gputally /var/lib/private/gputally; fi
    if [ "$agent" = site ] && [ -z "$dry_run" ]; then rmdir "$root$accounts" 2>/dev/null || true; fi # a ledger stays
  done
  if is_left node || is_left site; then keep_record; else take_common; fi
  if live && [ "$changes" -gt 0 ]; then change "tell systemd of removed units" systemctl daemon-reload; fi
}

take_common() { # what both agents need
  take /usr/local/bin/gputally /etc/sysusers.d/gputally.conf "$home"
  if [ -n "$purge" ]; then
    take "$settings/gputally.yml"{,.new}
    if [ -z "$dry_run" ]; then rmdir "$root$settings" 2>/dev/null || true; fi # unless others have something in it
    if live && getent group gputally >/dev/null; then change "remove the group gputally" groupdel gputally; fi
  fi
}

if live; then check_machine; fi
if [ -n "$uninstall" ]; then
  uninstall_all
  if [ "$changes" -eq 0 ]; then echo "nothing to change"; fi
else
  install_all
  say_what_is_next
fi
