#!/bin/bash
# The container's stdio opened by name, as scripts and servers that log to /dev/stdout do.
. "$(dirname "$0")/runtime/lib.bash"
d() { timeout -k 5 30 "$GARRISON" do --rootfs "$ROOTFS" "$@"; }

is "a pipe, read" "$(echo hello | d -- cat /dev/stdin)" hello
is "a pipe, written" "$(d -- sh -c 'echo one >/dev/stdout; echo two >/dev/stdout' | cat | xargs)" \
	"one two"
is "by a user" "$(d -u 1000 -- sh -c 'echo hers >/dev/stdout; echo err >/dev/stderr' 2>&1 | cat | xargs)" \
	"hers err"
printf 'a\nb\nc\n' >"$work/in"
is "a file, read" "$(d -- sh -c 'read x; echo $x; cat /dev/stdin; read y; echo $y' <"$work/in" | xargs)" \
	"a a b c b"
d -- sh -c 'echo first; echo over >/dev/stdout' >"$work/out"
is "a file, cut and written" "$(head -1 "$work/out")" over
d -- sh -c 'echo first; echo second >>/dev/stdout; echo third' >>"$work/log"
is "a file, appended to" "$(xargs <"$work/log")" "first second third"
like "not for what the descriptor cannot do" "$(d -- sh -c 'echo x >/dev/stdin' <"$work/in" 2>&1)" \
	"Permission denied"
is "and it is as it was" "$(xargs <"$work/in")" "a b c"
is "/dev/null" "$(d -- sh -c 'echo x >/dev/stdin && echo well' </dev/null)" well
