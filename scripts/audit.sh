#!/usr/bin/env bash
# Asks a database of known weaknesses about everything that `pip install 'gputally[kubernetes,clouds]'` brings along
# today, and checks that the list of parts (SBOM) of the same has all of it.
#
# Ends with 1 where a weakness is known, and as well where the database does not answer: nothing is known then, and
# nobody should take that for "none". pip-audit asks PyPI (AUDIT_SERVICE=osv: osv.dev).
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/make-venv.sh dev,release
python=$PWD/.venv/bin/python
place=$PWD/build/audit
rm -rf "$place"
mkdir -p "$place"

"$python" -m venv --without-pip "$place/venv"
"$python" -m pip --python "$place/venv/bin/python" install --quiet --disable-pip-version-check '.[kubernetes,clouds]'
"$python" -m pip --python "$place/venv/bin/python" uninstall --quiet --yes --disable-pip-version-check gputally
packages=$("$place/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
.venv/bin/cyclonedx-py environment --output-reproducible --output-file "$place/parts.cdx.json" "$place/venv/bin/python"
"$python" -m scripts.audit "$place/parts.cdx.json" pyproject.toml "$packages"

# In an environment of its own: it brings more packages along than gputally itself.
"$python" -m venv "$place/tool"
"$place/tool/bin/python" -m pip install --quiet --disable-pip-version-check 'pip-audit>=2.7'
"$place/tool/bin/pip-audit" --strict --progress-spinner=off --vulnerability-service="${AUDIT_SERVICE:-pypi}" \
  --path="$packages" 2>"$place/said" && status=0 || status=$?
cat "$place/said" >&2
if grep -q -e 'could not be audited' -e 'Connection' "$place/said"; then
  echo "audit: the database does not answer for every package: nothing is known, which is not \"no weakness\"" >&2
  exit 1
fi
exit "$status"
