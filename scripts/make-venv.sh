#!/usr/bin/env bash
# Makes .venv and installs the package into it, editable: `scripts/make-venv.sh` to run, `... dev` to test.
set -euo pipefail
cd "$(dirname "$0")/.."
extra=${1:-}

fail() {
  echo "make-venv: $*" >&2
  exit 1
}

python() { # the first interpreter that is new enough and can make environments
  local candidate
  for candidate in python3 python3.11 python3.12 python3.13 python3.14; do
    if "$candidate" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return 0
    fi
  done
  return 1
}

if [ ! -x .venv/bin/python ]; then
  if ! python >/dev/null; then # probes a name that no machine has: Debian splits the module from its program
    scripts/install-packages.sh no-such-program=python3,python3-venv
  fi
  interpreter=$(python) || fail "gputally needs Python 3.11 or newer with the venv module; found: $(python3 --version 2>&1)"
  "$interpreter" -m venv .venv
fi
echo "make-venv: installing gputally into .venv"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${extra:+[$extra]}" ||
  fail "pip could not install gputally's requirements (see above)"
