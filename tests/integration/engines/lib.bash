# For the tests with container engines: a small image made of the test root, results.

GARRISON=$(realpath "${GARRISON:-build/bin/garrison}")
ROOTFS=${GARRISON_ROOTFS:-/var/tmp/garrison-rootfs}
work=$(mktemp -d /tmp/garrison-en.XXXXXX)
daemons=()

need() {
	local program
	for program in "$@"; do
		command -v "$program" >/dev/null || { echo "skip all: $program is not installed"; rmdir "$work"; exit 0; }
	done
	[ -x "$ROOTFS/bin/sh" ] || { echo "skip all: no root file system at $ROOTFS"; rmdir "$work"; exit 0; }
	[ "$(id -u)" = 0 ] || { echo "skip all: engines need root"; rmdir "$work"; exit 0; }
}

# Ends a daemon of ours and waits.
stop_daemon() {
	kill "$1" 2>/dev/null
	for _ in $(seq 50); do
		kill -0 "$1" 2>/dev/null || return
		sleep 0.1
	done
	kill -9 "$1" 2>/dev/null
}

cleanup() {
	local i
	for ((i = ${#daemons[@]} - 1; i >= 0; i--)); do stop_daemon "${daemons[i]}"; done
	# Whatever the engines left mounted below our directory, deepest first.
	awk -v w="$work/" 'index($5, w) == 1 { print $5 }' /proc/self/mountinfo | sort -r | xargs -r -n1 umount -l 2>/dev/null
	rm -rf --one-file-system "$work"
}
trap cleanup EXIT

# A root with a shell and small tools, from the big one.
make_root() {
	local program file
	mkdir -p "$work/root"/{bin,etc,tmp,proc,dev,sys,root}
	for program in sh ls cat echo sleep ps id env true false touch kill wc head tail hostname stat tty stty mount df grep pwd mkdir; do
		file=$(chroot "$ROOTFS" sh -c "command -v $program" 2>/dev/null)
		case $file in /*) ;; *) file=$(chroot "$ROOTFS" sh -c "ls /bin/$program /usr/bin/$program 2>/dev/null | head -1") ;; esac
		[ -n "$file" ] || continue
		cp -L "$ROOTFS$file" "$work/root/bin/$program"
		chroot "$ROOTFS" ldd "$file" 2>/dev/null | grep -o '/[^ ]*' | while read -r lib; do
			[ -e "$work/root$lib" ] && continue
			mkdir -p "$work/root$(dirname "$lib")"
			cp -L "$ROOTFS$lib" "$work/root$lib"
		done
	done
	echo root:x:0:0:root:/root:/bin/sh >"$work/root/etc/passwd"
	tar -C "$work/root" -cf "$work/root.tar" .
}

start_containerd() {
	cat >"$work/containerd.toml" <<C
version = 2
root = "$work/cd-root"
state = "$work/cd-state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.tracing"]
[grpc]
address = "$work/cd.sock"
C
	containerd -c "$work/containerd.toml" >"$work/containerd.log" 2>&1 &
	daemons+=($!)
	for _ in $(seq 100); do
		ctr -a "$work/cd.sock" version >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "not ok containerd starts ($(tail -1 "$work/containerd.log"))"
	exit 0
}

# expect NAME REGEX COMMAND...: its output (both streams) matches.
expect() {
	local name=$1 want=$2 got code
	shift 2
	got=$(timeout -k 5 60 "$@" 2>&1 </dev/null)
	code=$?
	if printf '%s' "$got" | grep -qE -- "$want"; then echo "ok $name"; else echo "not ok $name (exit $code: ${got:0:600})"; fi
}

# code NAME WANT COMMAND...: its exit code.
code() {
	local name=$1 want=$2 got out
	shift 2
	out=$(timeout -k 5 60 "$@" 2>&1 </dev/null)
	got=$?
	if [ "$got" = "$want" ]; then echo "ok $name"; else echo "not ok $name (exit $got, want $want: ${out:0:600})"; fi
}
