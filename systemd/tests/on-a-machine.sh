#!/usr/bin/env bash
# What only a machine with systemd can tell about install.sh and the units; throwaway-machine.sh makes one.
set -euo pipefail
copy=/var/tmp/checkout # nobody is to edit it meanwhile
mkdir "$copy"
tar c --exclude=./.git --exclude='./.venv*' --exclude=./.run --exclude=./.tools -C "${CHECKOUT:-.}" . | tar x -C "$copy"
installer=$copy/systemd/install.sh
settings=/etc/gputally/gputally-node.env
node=http://127.0.0.1:9836

check() { # check WORDS COMMAND...
  local words=$1
  shift
  if "$@"; then echo "ok    $words"; else
    echo "WRONG $words"
    journalctl --no-pager --lines=20 --unit='gputally-*'
    exit 1
  fi
}

soon() { # soon COMMAND...: within 100 seconds
  local try
  for try in $(seq 500); do
    if "$@" 2>/dev/null; then return 0; fi
    sleep 0.2
  done
  echo "not within $try tries: $*"
  return 1
}

answers() { curl -fsS -o /dev/null "$1"; }
says() { curl -fsS "$node/metrics" | grep -q "$1"; }
pid() { systemctl show --property=MainPID --value "gputally-$1.service"; }
pid_is_not() { [ "$(pid node)" != "$1" ] && [ "$(pid node)" != 0 ]; }
is_ill() { [ "$(curl -sS -o /dev/null -w '%{http_code}' "$node/-/healthy")" = 503 ]; }
changes_nothing() {
  local said
  said=$("$installer" "$@")
  [[ $'\n'$said == *$'\n''nothing to change'* ]] || {
    echo "$said"
    return 1
  }
}
is_gone() { [ ! -e "$1" ] && [ ! -L "$1" ]; }

echo "# a dry run, before anything is there"
"$installer" --dry-run node site
check "a dry run writes nothing" is_gone /opt/gputally

echo "# installation"
"$installer" node site
check "the node agent answers" soon answers "$node/-/healthy"
check "the site agent answers" soon answers http://127.0.0.1:9837/-/ready
check "the command is there for everybody" gputally --version
check "a second run changes nothing" changes_nothing node site

echo "# settings"
sed -i 's/^#GPUTALLY_SOURCE=auto/GPUTALLY_SOURCE=simulated/' "$settings"
systemctl restart gputally-node.service
check "the setting holds" soon says '^gpu_up{.*} 1'
check "a changed setting is kept" changes_nothing node site
install -m 0640 -o root -g gputally /dev/stdin /etc/gputally/web.yml <<<'{}'
sed -i 's/^#GPUTALLY_WEB_CONFIG_FILE/GPUTALLY_WEB_CONFIG_FILE/' "$settings"
systemctl restart gputally-node.service
check "the group may read what others may not" soon answers "$node/-/ready"

echo "# a ledger"
printf 'date,provider,gpu_type,cost,currency,team\n%s,lambda,h100,12.5,EUR,nlp\n' "$(date +%F)" >~/bill.csv
echo 'ledger: {file: /var/lib/gputally-site/ledger.sqlite}' >/etc/gputally/gputally.yml
systemctl reload gputally-site.service
check "it is imported into the folder that is there" \
  gputally bills import --config.file=/etc/gputally/gputally.yml ~/bill.csv
check "the site agent reads it" soon \
  bash -c 'curl -fsS http://127.0.0.1:9837/metrics | grep "^gpu_cloud_cost_last_day.* 12.5"'
check "others do not" [ "$(stat -c %a-%G /var/lib/gputally-site)" = 2750-gputally ]

echo "# reload"
before=$(pid node)
printf 'tariff: {currency: EUR, price_per_kwh: 0.3}\n' >/etc/gputally/gputally.yml
systemctl reload gputally-node.service gputally-site.service
check "a new tariff is in force" soon says 'gpu_energy_cost_total{.*currency="EUR"'
check "without a new process" [ "$(pid node)" = "$before" ]

echo "# an agent that hangs"
kill -STOP "$before"
check "systemd starts another one" soon pid_is_not "$before"
check "which answers" soon answers "$node/-/ready"

echo "# a sampler that hangs, beside a loop that goes on"
before=$(pid node)
# What it writes to at every tick becomes a pipe that nobody reads: to open it is to wait.
check "its state is in the way" soon mkfifo --mode=666 /var/lib/private/gputally/counters.json.tmp
check "health says so" soon is_ill
rm /var/lib/private/gputally/counters.json.tmp
check "systemd starts another one" soon pid_is_not "$before"
check "which answers" soon answers "$node/-/ready"

echo "# uninstall"
"$installer" --uninstall
check "services are gone" is_gone /etc/systemd/system/gputally-node.service
check "settings stay" [ -e "$settings" ]
check "counters stay" [ -d /var/lib/private/gputally ]
check "uninstalling again changes nothing" changes_nothing --uninstall
"$installer" --uninstall --purge
check "purged, settings are gone" is_gone "$settings"
check "but not what others have put there" [ "$(ls /etc/gputally)" = web.yml ]
check "nor counters" is_gone /var/lib/private/gputally
check "but a ledger is not" [ -s /var/lib/gputally-site/ledger.sqlite ]
check "nor the group" bash -c '! getent group gputally'
