#!/bin/bash
# CPython's own regression tests: every case that passes under crun must pass here.
# The cases come from the JUnit report; known exceptions, with their reason, stand
# in cpython_exceptions.txt. (Debian does not package test_sqlite3.)
#   cpython.sh [TEST...]        GARRISON_PLATFORMS=systrap by default
. "$(dirname "$0")/lib.bash"
PLATFORMS=${GARRISON_PLATFORMS:-systrap}
need_rootfs
default="test_os test_posix test_subprocess test_threading test_signal test_mmap test_fcntl
test_select test_epoll test_pty test_tempfile test_shutil test_multiprocessing_fork
test_multiprocessing_spawn test_asyncio test_faulthandler test_resource test_time
test_socket"
tests=${*:-$default}
out=/var/tmp/cpython-$$
mkdir -p "$ROOTFS$out"
trap 'rm -rf "$ROOTFS$out"; cleanup' EXIT

crun_in_root() {
	bundle "$work" 0 "$@"
	unshare -m sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"' sh \
		timeout -k 5 600 crun --root "$work/crun" --cgroup-manager=disabled run --bundle "$work" "ref-$$"
}

if ! command -v crun >/dev/null; then
	echo "skip cpython: crun is not installed"
	exit 0
fi
for t in $tests; do
	regrtest="cd /tmp && exec python3 -m test -u none --junit-xml $out"
	crun_in_root sh -c "$regrtest/$t.crun.xml $t" </dev/null >/dev/null 2>&1
	for platform in $PLATFORMS; do
		in_root "$platform" 0 900 sh -c "$regrtest/$t.$platform.xml $t" </dev/null \
			>"$work/$t.log" 2>&1
		python3 "$here/cpython_compare.py" "$t" "$platform" "$ROOTFS$out/$t.crun.xml" \
			"$ROOTFS$out/$t.$platform.xml" "$here/cpython_exceptions.txt" || tail -n 5 "$work/$t.log" >&2
	done
done
