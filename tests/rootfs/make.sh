#!/bin/bash
# Makes the Debian root file system that the tests and benchmarks run in.
#   tests/rootfs/make.sh DIR
# DIR is complete when it exists: it is built beside and moved into place.
set -eu
dir=$1
mirror=${GARRISON_MIRROR:-http://deb.debian.org/debian}
packages=$(sed 's/#.*//' "$(dirname "$0")/packages.txt" | tr -s '\n ' ',,')
packages=${packages#,} packages=${packages%,}
[ -d "$dir" ] && exit 0
mkdir -p "$(dirname "$dir")"
tmp=$(mktemp -d "$(dirname "$dir")/.rootfs.XXXXXX")
trap 'rm -rf --one-file-system "$tmp"' EXIT
mmdebstrap --quiet --variant=minbase --components=main \
	--include="$packages" \
	--customize-hook='chroot "$1" useradd -m -u 1000 user' \
	--customize-hook='ln -sf /proc/mounts "$1/etc/mtab"' \
	--customize-hook="printf 'deb $mirror bookworm main\ndeb-src $mirror bookworm main\n' > \"\$1/etc/apt/sources.list\"" \
	--customize-hook='cp /etc/resolv.conf "$1/etc/" 2>/dev/null || true' \
	--customize-hook='chroot "$1" sh -c "apt-get update -qq && cd /usr/src && apt-get source -qq lua5.4 zlib"' \
	bookworm "$tmp/root" "$mirror" >&2
chmod 755 "$tmp/root"
mv "$tmp/root" "$dir"
