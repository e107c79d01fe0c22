#!/usr/bin/env bash
# docs/central.md, block by block; throwaway-machine.sh makes the machine. It is the centre and its only node, whose GPUs
# are simulated, and trusts a certificate of its own making.
set -euo pipefail
cd "${CHECKOUT:-.}"
checkout=$PWD
tls=/etc/gputally/central/tls
apt-get() { echo "(packages are those of the machine that was copied)"; }
curl() { command curl --no-progress-meter --cacert "$tls.crt" "$@"; }

blocks_of() { # blocks_of LANGUAGE HEADING: as the words of an array
  local line block='' inside=''
  blocks=()
  while IFS= read -r line; do
    case $inside$line in
      "\`\`\`$1") inside=yes block='' ;;
      'yes```')
        inside=''
        blocks+=("$block")
        ;;
      yes*) block+=$line$'\n' ;;
    esac
  done < <(sed -n "/^## $2\$/,/^## /{//!p}" "$checkout/docs/central.md")
}

run() { # run BLOCK: as a person would, line by line, and stop at what fails
  printf '$ %s\n' "${1%$'\n'}"
  eval "$1"
}

expect() { # expect WORDS QUERY: it has an answer, soon; what is recorded of what is recorded takes its time
  local try answer
  for try in $(seq 30); do
    answer=$(curl -G -H "Authorization: Bearer $(cat /etc/gputally/central/new/operator-grafana.token)" \
      https://centre.example.org:8443/api/v1/query --data-urlencode "query=$2")
    if grep -q '"value":\[' <<<"$answer"; then
      echo "ok    $1"
      return 0
    fi
    command sleep 10
  done
  echo "WRONG $1, after $try tries: $answer"
  journalctl --no-pager --lines=20 --unit=victoria-metrics --unit='gputally-*'
  exit 1
}

echo "127.0.0.1 centre.example.org" >>/etc/hosts
blocks_of sh "The centre"
[ ${#blocks[@]} -eq 4 ] || { echo "WRONG ${#blocks[@]} blocks"; exit 1; }
centre=("${blocks[@]}")
grep -A2 '^ARGS' "$checkout/docs/central.md" | sed '/^```/d' >/etc/default/victoria-metrics
run "${centre[0]}"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=centre.example.org \
  -addext subjectAltName=DNS:centre.example.org -keyout "$tls.key" -out "$tls.crt" 2>/dev/null
run "${centre[1]}"
run "${centre[2]}"
run "${centre[3]}"
expect "the centre watches itself" 'count(up{job="gputally-central"} == 1) == 3'

cp new/node-gpu-node-1.token ~/
(cd "$checkout" && systemd/install.sh node >/dev/null)
sed -i 's/^#GPUTALLY_SOURCE=auto/GPUTALLY_SOURCE=simulated/' /etc/gputally/gputally-node.env
systemctl restart gputally-node
blocks_of sh "A node"
[ ${#blocks[@]} -eq 1 ] || { echo "WRONG ${#blocks[@]} blocks"; exit 1; }
cd ~
node=${blocks[0]/&& systemctl disable --now victoria-metrics/} # which is this machine's centre
trust="install -m 0644 $tls.crt /etc/gputally/push/ca.pem; sed -i 's|^#VMAGENT_FLAGS=.*|VMAGENT_FLAGS="
trust+="-remoteWrite.tlsCAFile=/etc/gputally/push/ca.pem|' /etc/gputally/push/vmagent.env"
run "${node/systemctl enable/$trust; systemctl enable}"
expect "a node is known by its token" 'sum(gpu_power_watts{instance="gpu-node-1", cluster="north"})'
expect "rules are evaluated" 'cluster:gpu_power_watts:sum{cluster="north"}'
