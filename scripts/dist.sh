#!/usr/bin/env bash
# Builds what a release is made of into dist/: sdist, wheel, a list of all that it is made of (CycloneDX) and checksums;
# the notes, as CHANGELOG.md has them, into build/notes.md.
#
#   scripts/dist.sh [TAG]    with a tag, version and changelog must fit it
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/make-venv.sh dev,release
python=$PWD/.venv/bin/python

notes=$("$python" -m scripts.changelog "$@")
rm -rf build dist
mkdir -p build
echo "$notes" >build/notes.md
version=$("$python" -c 'from gputally import __version__; print(__version__)')
# Times of the commit, not of the build: whoever builds this commit again gets the same wheel.
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
"$python" -m build --no-isolation --outdir dist . >build/build.log 2>&1 || {
  tail -n 20 build/build.log >&2
  exit 1
}

# What comes along with `pip install gputally`, today: installed without pip itself, and listed.
"$python" -m venv --without-pip build/venv
"$python" -m pip --python build/venv/bin/python install --quiet --disable-pip-version-check "dist/gputally-$version"-*.whl
"$python" -m pip --python build/venv/bin/python uninstall --quiet --yes --disable-pip-version-check gputally
sed "s/^dynamic = .*/version = \"$version\"/" pyproject.toml >build/pyproject.toml
.venv/bin/cyclonedx-py environment --pyproject build/pyproject.toml --output-reproducible \
  --output-file "dist/gputally-$version.cdx.json" build/venv/bin/python
packages=$(build/venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$python" -m scripts.audit "dist/gputally-$version.cdx.json" pyproject.toml "$packages"

(cd dist && sha256sum -- * >SHA256SUMS)
ls -l dist
