#!/bin/bash
# Real programs of a Debian root, from an OCI bundle, on both platforms, as root
# and as an unprivileged user. The programs lie in programs/NAME.sh (run by bash)
# or NAME.py; each must exit 0 natively in the same root too.
. "$(dirname "$0")/lib.bash"
need_rootfs
only=${1-}

# run_program PLATFORM USER FILE
run_program() {
	local platform=$1 user=$2 file=$3 name
	name=$(basename "$file")
	install -m 755 "$file" "$ROOTFS/var/tmp/$name"
	case $name in
	*.py) set -- python3 "/var/tmp/$name" ;;
	*) set -- bash -eu -o pipefail "/var/tmp/$name" ;;
	esac
	check "$name as $user on $platform" in_root "$platform" "$user" ${PROGRAM_SECONDS:-300} "$@"
	rm -f "$ROOTFS/var/tmp/$name"
}

for platform in $PLATFORMS; do
	for file in "$here"/programs/*"$only"*; do
		run_program "$platform" 0 "$file"
		grep -q '^# root only' "$file" || run_program "$platform" 1000 "$file"
	done
done
