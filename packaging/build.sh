#!/usr/bin/env bash
# packaging/build.sh BINARY [DIRECTORY]: packs a built gavel into DIRECTORY/gavel_VERSION_ARCH.deb
# (default: build/). Needs no root: ownership is root's by dpkg-deb's own option.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."
binary=$(readlink -f "$1")
target=${2:-build}
version=$(sed -n 's/^project(gavel VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
root=$stage/root
umask 022

install -D -m 755 "$binary" "$root/usr/bin/gavel"
llvm-strip-19 "$root/usr/bin/gavel"
install -D -m 644 packaging/gavel.service "$root/usr/lib/systemd/system/gavel.service"
install -D -m 644 packaging/gavel.yaml "$root/etc/gavel/gavel.yaml"

mkdir -p "$root"/usr/share/{bash-completion/completions,zsh/vendor-completions,fish/vendor_completions.d}
"$binary" completion bash >"$root/usr/share/bash-completion/completions/gavel"
"$binary" completion zsh >"$root/usr/share/zsh/vendor-completions/_gavel"
"$binary" completion fish >"$root/usr/share/fish/vendor_completions.d/gavel.fish"

install -D -m 644 schema/gavel.schema.json "$root/usr/share/gavel/schema/gavel.schema.json"
for file in $(cd incidents && find . -type f -not -path '*/__pycache__/*'); do
  install -D -m 644 "incidents/$file" "$root/usr/share/gavel/incidents/$file"
done
# The incidents bring up their own parts from npm, at the versions pinned here.
for file in install.sh package.json package-lock.json; do
  install -D -m 644 "tests/peers/$file" "$root/usr/share/gavel/tests/peers/$file"
done

mkdir -p "$root/usr/share/doc/gavel" "$root/usr/share/man/man1"
cp -R README.md ARCHITECTURE.md docs "$root/usr/share/doc/gavel/"
install -m 644 packaging/debian/copyright "$root/usr/share/doc/gavel/copyright"
sed "s/@VERSION@/$version/" packaging/gavel.1 | gzip -9n >"$root/usr/share/man/man1/gavel.1.gz"

# dpkg-shlibdeps reads which packages hold the libraries; it insists on a debian/control.
mkdir -p "$stage/work/debian"
printf 'Source: gavel\n\nPackage: gavel\nArchitecture: any\n' >"$stage/work/debian/control"
depends=$(cd "$stage/work" && dpkg-shlibdeps -O "$root/usr/bin/gavel" 2>/dev/null |
  sed -n 's/^shlibs:Depends=//p')
[[ -n $depends ]] || { echo "packaging/build.sh: dpkg-shlibdeps found no libraries" >&2; exit 1; }

mkdir -m 755 "$root/DEBIAN"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" \
  -e "s/@DEPENDS@/$depends/" -e "s/@SIZE@/$(du -sk "$root" | cut -f1)/" \
  packaging/debian/control.in >"$root/DEBIAN/control"
echo /etc/gavel/gavel.yaml >"$root/DEBIAN/conffiles"
for script in postinst prerm postrm; do
  install -m 755 "packaging/debian/$script" "$root/DEBIAN/$script"
done
(cd "$root" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"

mkdir -p "$target"
dpkg-deb --build --root-owner-group -Zxz "$root" "$target/gavel_${version}_$architecture.deb"
