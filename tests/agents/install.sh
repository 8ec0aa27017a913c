#!/bin/sh
# Installs the pinned agent programs of package-lock.json into build/agents (or $1). Quick when they are
# there: a stamp holds the lock's digest.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
target=${1:-$here/../../build/agents}
mkdir -p "$target"
target=$(CDPATH= cd -- "$target" && pwd)
stamp=$target/.installed
digest=$(cat "$here/package.json" "$here/package-lock.json" | sha256sum | cut -d' ' -f1)
if [ "$(cat "$stamp" 2>/dev/null || true)" = "$digest" ]; then
  exit 0
fi
if ! command -v npm >/dev/null; then
  echo "tests/agents/install.sh: npm is missing; install the packages nodejs and npm (Node 20 or newer)" >&2
  exit 1
fi
# One installation at a time; others wait for it.
exec 9>"$target/.lock"
flock 9
if [ "$(cat "$stamp" 2>/dev/null || true)" = "$digest" ]; then
  exit 0
fi
cp "$here/package.json" "$here/package-lock.json" "$target/"
# None of the programs needs its install scripts, so none runs.
(cd "$target" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
echo "$digest" >"$stamp"
