#!/usr/bin/env bash
# The pages "Workstation" and "Cluster" of docs/install.md, block by block; throwaway-machine.sh makes the machine.
# It is its own and only node, reached by a shell in place of ssh, and its GPUs are simulated.
set -euo pipefail
cd "${CHECKOUT:-.}"
sudo() { "$@"; }
apt-get() { echo "(packages are those of the machine that was copied)"; }
ssh() { bash -euc "$2"; }

page() { # page HEADING: its blocks, as the words of an array
  local line block='' inside=''
  blocks=()
  while IFS= read -r line; do
    case $inside$line in
      '```sh') inside=yes block='' ;;
      'yes```')
        inside=''
        blocks+=("$block")
        ;;
      yes*) block+=$line$'\n' ;;
    esac
  done < <(sed -n "/^## $1\$/,/^## /{//!p}" docs/install.md)
}

run() { # run BLOCK
  printf '$ %s\n' "${1%$'\n'}"
  eval "$1"
}

expect() { # expect WORDS QUERY: it has an answer, soon
  local try answer
  for try in $(seq 60); do
    answer=$(curl -s --get 'http://127.0.0.1:9090/api/v1/query' --data-urlencode "query=$2") || true
    if grep -q '"value":\[' <<<"$answer"; then
      echo "ok    $1"
      return 0
    fi
    sleep 1
  done
  echo "WRONG $1, after $try s: $answer"
  journalctl --no-pager --lines=30 --unit=prometheus --unit='gputally-*'
  exit 1
}

page Workstation
[ ${#blocks[@]} -eq 4 ] || { echo "WRONG ${#blocks[@]} blocks"; exit 1; }
run "${blocks[0]}"
sed -i 's/^#GPUTALLY_SOURCE=auto/GPUTALLY_SOURCE=simulated/' /etc/gputally/gputally-node.env
systemctl restart gputally-node.service
sleep 3
run "${blocks[1]}" || true # `gputally check` says by its status that there is no GPU here
run "${blocks[2]}"
expect "Prometheus has the GPUs" 'sum(gpu_power_watts)'
expect "rules are evaluated" 'cluster:gpu_power_watts:sum'
expect "the site agent is scraped" 'site_day_info'
expect "Prometheus knows Alertmanager" 'prometheus_notifications_alertmanagers_discovered == 1'
run "${blocks[3]}"
systemctl is-active gputally-node gputally-site prometheus prometheus-alertmanager

page Cluster
[ ${#blocks[@]} -eq 3 ] || { echo "WRONG ${#blocks[@]} blocks"; exit 1; }
systemd/install.sh --uninstall --purge node
echo localhost >nodes.txt
run "${blocks[0]//printf \'%s\\n\'/printf \'%s\\n\' GPUTALLY_SOURCE=simulated}"
run "${blocks[1]}"
expect "Prometheus has the node by its name" 'sum by (cluster) (gpu_power_watts{instance="localhost:9836", cluster="lab"})'
run "${blocks[2]}"
