#!/usr/bin/env bash
# packaging/check.sh DEB: installs the package into a scratch root, runs what it installed (the
# version, a daemon over the packaged configuration, a client of it), then removes it and looks for
# leftovers. As root through dpkg itself; otherwise the files are only unpacked.
set -euo pipefail
deb=$(readlink -f "$1")
scratch=$(mktemp -d)
daemon=
finish() {
  if [[ -n $daemon ]]; then kill -KILL "$daemon" 2>/dev/null || true; fi
  rm -rf "$scratch"
}
trap finish EXIT
root=$scratch/root
state=$scratch/state
gavel=$root/usr/bin/gavel

fail() {
  echo "packaging/check.sh: $*" >&2
  if [[ -f $scratch/up.log ]]; then sed 's/^/    /' "$scratch/up.log" >&2; fi
  exit 1
}

scratch_dpkg() {
  # The scratch root holds no libraries: the machine's are used, and dpkg is told so.
  dpkg --root="$root" --log="$scratch/dpkg.log" --force-script-chrootless --force-depends "$@" \
    >"$scratch/dpkg.out" 2>&1 || { cat "$scratch/dpkg.out" >&2; fail "dpkg $* failed"; }
}

mkdir -p "$root/var/lib/dpkg/"{info,updates,triggers}
touch "$root/var/lib/dpkg/status"
if ((EUID == 0)); then scratch_dpkg -i "$deb"; else dpkg-deb -x "$deb" "$root"; fi

version=$(dpkg-deb -f "$deb" Version)
"$gavel" version | grep -qF "$version" || fail "gavel version does not say $version"
for package in $(dpkg-deb -f "$deb" Depends | sed 's/([^)]*)//g; s/|[^,]*//g; s/,//g'); do
  dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
    fail "it depends on $package, which is not installed here"
done
if command -v systemd-analyze >/dev/null; then
  sed "s|/usr/bin/gavel|$gavel|" "$root/usr/lib/systemd/system/gavel.service" \
    >"$scratch/gavel.service"
  # Only what it says of this unit counts; the machine's other units are its own business.
  complaints=$(systemd-analyze verify --man=no "$scratch/gavel.service" 2>&1 | grep gavel || true)
  [[ -z $complaints ]] || fail "systemd-analyze: $complaints"
fi
bash -n "$root/usr/share/bash-completion/completions/gavel" || fail "bash completion is broken"

"$gavel" policy check "$root/etc/gavel/gavel.yaml" >/dev/null || fail "gavel.yaml does not pass"
"$gavel" up --config "$root/etc/gavel/gavel.yaml" --state "$state" --listen 127.0.0.1:0 \
  >"$scratch/up.log" 2>&1 &
daemon=$!
for ((tries = 0; tries < 300; tries++)); do
  if [[ -f $state/daemon.json ]]; then break; fi
  kill -0 "$daemon" 2>/dev/null || fail "gavel up ended early"
  sleep 0.1
done
[[ -f $state/daemon.json ]] || fail "gavel up was not ready within 30 s"
"$gavel" --state "$state" sessions --json >/dev/null || fail "the daemon does not answer"
kill -TERM "$daemon"
wait "$daemon" || fail "gavel up ended with $? when it was told to stop"
daemon=

if ((EUID == 0)); then
  scratch_dpkg --purge gavel
  leftovers=$(find "$root" -path "$root/var/lib/dpkg" -prune -o -type f -print)
  [[ -z $leftovers ]] || fail "left behind: $leftovers"
fi
echo "$(basename "$deb") installs, runs and goes away"
