#!/bin/sh
# Installs the pinned peers of requirements.txt into build/peers/python (or $1), a virtual environment.
# Quick when they are there: a stamp holds the digest of the requirements.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=${1:-$here/../../build/peers/python}
mkdir -p "$target"
target=$(CDPATH= cd -- "$target" && pwd)
stamp=$target/.installed
digest=$(sha256sum <"$here/requirements.txt" | cut -d' ' -f1)
# One installation at a time; others wait for it.
exec 9>"$target/.lock"
flock 9
if [ "$(cat "$stamp" 2>/dev/null || true)" = "$digest" ]; then
  exit 0
fi
if ! python3 -m venv "$target"; then
  echo "tests/peers/install-python.sh: python3 makes no virtual environment; install python3-venv" >&2
  exit 1
fi
# Only what was built already, so that no package's install script runs.
"$target/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps \
  --only-binary :all: --require-hashes --requirement "$here/requirements.txt"
echo "$digest" >"$stamp"
