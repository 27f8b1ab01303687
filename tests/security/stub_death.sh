#!/bin/bash
# The host kills a stub whose guest thread sleeps in the sentry (as its OOM killer may): that
# guest process is killed by SIGKILL, and it alone.
. "$(dirname "$0")/../integration/lib.bash"
need_rootfs

# The host pid of the stub that was made last.
newest_stub() {
	"$GARRISON" --root "$work/state" ps -f json "$1" | tr -dc '0-9\n,' | tr , '\n' |
		while read -r pid; do
			[ "$(cat "/proc/$pid/comm" 2>/dev/null)" = guest ] &&
				echo "$(cut -d' ' -f22 "/proc/$pid/stat") $pid"
		done | sort -n | tail -n 1 | cut -d' ' -f2
}

# wait_for FILE: until it has something in it, 20 s at most.
wait_for() {
	for _ in $(seq 200); do
		[ -s "$1" ] && return
		sleep 0.1
	done
}

killed_in_sleep() {
	local platform=$1 id=death-$$-$1 dir=$work/$1 stub main
	mkdir -p "$dir"
	bundle "$dir" 0 sh -c 'sleep 100 & echo started; wait $!; echo "status $?"'
	timeout -k 5 60 "$GARRISON" --root "$work/state" --platform="$platform" \
		run --bundle "$dir" "$id" >"$dir/out" &
	main=$!
	wait_for "$dir/out"
	sleep 0.5
	stub=$(newest_stub "$id")
	[ -n "$stub" ] && kill -9 "$stub"
	wait "$main"
	"$GARRISON" --root "$work/state" delete --force "$id" 2>/dev/null
	[ "$(tail -n 1 "$dir/out")" = "status 137" ] || { cat "$dir/out"; return 1; }
}

for platform in $PLATFORMS; do
	check "a killed stub is a killed process [$platform]" killed_in_sleep "$platform"
done
