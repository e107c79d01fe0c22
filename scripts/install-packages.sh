#!/usr/bin/env bash
# Installs Debian packages whose programs are not on PATH; does nothing, and needs no root, where all are.
#
#   scripts/install-packages.sh PROGRAM[|PROGRAM...]=PACKAGE[,PACKAGE...] ...
#
# A package's service is neither started nor enabled: the stack runs its own processes, and a Prometheus that
# came by itself would hold port 9090.
set -euo pipefail

fail() {
  echo "install-packages: $*" >&2
  exit 1
}

found() { # found "a|b": is one of the programs on PATH?
  local program
  for program in ${1//|/ }; do
    if command -v "$program" >/dev/null; then return 0; fi
  done
  return 1
}

as_root=()
packages=()
for need in "$@"; do
  if ! found "${need%%=*}"; then
    IFS=, read -ra names <<<"${need#*=}"
    for name in "${names[@]}"; do # once each: several programs may come with one package
      case " ${packages[*]-} " in *" $name "*) ;; *) packages+=("$name") ;; esac
    done
  fi
done
if [ ${#packages[@]} -eq 0 ]; then exit 0; fi

command -v apt-get >/dev/null ||
  fail "this machine has no apt-get; please install what provides: $*"
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null ||
    fail "not root and no sudo; as root, run: apt-get install ${packages[*]}"
  as_root=(sudo)
  if [ ! -t 0 ]; then as_root=(sudo -n); fi
fi

# Maintainer scripts ask policy-rc.d before they start a service. One that is there already stays.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  trap '"${as_root[@]}" rm -f "$policy"' EXIT
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi

echo "install-packages: installing ${packages[*]}"
log=$(mktemp)
apt() { # quiet unless it fails; waits for another apt instead of failing beside it
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1
}
apt update || true # a stale or partly unreachable list may still do; the install decides
apt install --no-install-recommends "${packages[@]}" || {
  tail -n 15 "$log" >&2
  fail "apt-get could not install: ${packages[*]}"
}
rm -f "$log"

if command -v systemctl >/dev/null; then # nor at the next boot
  for package in "${packages[@]}"; do
    if [ -e "/lib/systemd/system/$package.service" ]; then
      "${as_root[@]}" systemctl --quiet disable "$package.service"
    fi
  done
fi
