#!/bin/bash
# What a sentry that crashes leaves in the log, from inside its confinement: why, a
# backtrace, the last calls of the task; and what it leaves behind: nothing.
. "$(dirname "$0")/runtime/lib.bash"

# crash ID THREAD SIGNAL PLATFORM: the signal of a fault (11), of a forbidden call (31), for
# the first sentry thread of that name.
crash() {
	local id=$1 thread=$2 signal=$3 platform=$4 pid comm
	bundle "$work/$id" 'sh("echo up; sleep 1000")'
	g --platform "$platform" --debug-log "$work/$id.log" create --bundle "$work/$id" "$id" \
		>"$work/$id.out" 2>&1 </dev/null || not_ok "create $id" "$(cat "$work/$id.out")"
	g start "$id"
	try 50 grep -q up "$work/$id.out"
	sleep 0.2
	pid=$(field "$state/$id/state.json" '["sentry"]["pid"]')
	for comm in "/proc/$pid/task/"*/comm; do
		[ "$(cat "$comm")" = "$thread" ] && break
	done
	python3 -c 'import ctypes, sys; ctypes.CDLL(None).syscall(234, *map(int, sys.argv[1:]))' \
		"$pid" "$(basename "$(dirname "$comm")")" "$signal"
	try 50 eval "! kill -0 $pid"
	is "$id: the sentry is gone" $? 0
	log=$(cat "$work/$id.log")
	like "$id: says why" "$log" 'panic: (SIGSEGV|forbidden host system call)'
	like "$id: once" "$(grep -c panic: "$work/$id.log")" '^1$'
	like "$id: frames of its own" "$log" '^  0x[0-9a-f]+ \(0x[0-9a-f]+\)$'
	like "$id: frames of libc" "$log" '^  0x[0-9a-f]+ /[^ ]*libc[^ ]*\+0x'
	like "$id: symbolize names them" "$("$here/../../../tools/symbolize" \
		"$(dirname "$GARRISON")/../libexec/garrison/garrison-sentry" <"$work/$id.log")" 'on_(crash|sigsys)'
	g delete --force "$id"
	is "$id: delete --force" "$?" 0
	is "$id: nothing is left" "$(ls "$state")" ""
}

for platform in ${GARRISON_PLATFORMS:-systrap ptrace}; do
	crash "main-$platform" garrison-sentry 11 "$platform"
	crash "task-$platform" task 31 "$platform"
	like "task-$platform: the task" "$log" '^task [0-9]+ (sh|sleep)$'
	like "task-$platform: its call" "$log" '^  in (wait4|clock_nanosleep)\('
	like "task-$platform: its last calls" "$log" '^  last calls:.* (execve|rt_sig[a-z]*|mmap)='
done
