#!/bin/bash
# What a user gets wrong: every command's --help, options and arguments that are wrong or missing,
# odd environments.
. "$(dirname "$0")/runtime/lib.bash"

commands=$(g --help | sed -n '/^Commands:/,$s/^  \([a-z]*\) .*/\1/p')
is "--help names the commands" "$(echo "$commands" | grep -cxE 'run|create|start|exec|do|kill|delete|ps|spec')" 9
for c in $commands; do
	help=$(g "$c" --help 2>"$work/err"); code=$?
	is "$c --help" "$code$(cat "$work/err")" 0
	like "$c --help says how" "$help" "^usage: garrison \[global options\] $c "
	is "$c -h is the same" "$(g "$c" -h)" "$help"
	like "$c: an unknown option" "$(g "$c" --frob x 2>&1)" "^garrison: $c: unknown .*\"--frob\"; see garrison $c --help"
	like "$c: an unknown letter" "$(g "$c" -Z x 2>&1)" "^garrison: $c: unknown option \"-Z\""
	case $help in
	*"$c [options] ID"*)
		like "$c: no ID" "$(g "$c" 2>&1)" "^garrison: $c: ID missing; see garrison $c --help" ;;
	esac
	# Every option with an argument, at the end of the line.
	for o in $(printf '%s' "$help" | sed -nE 's/^ +(-., )? *(--[a-z-]+) [A-Z].*|^ +(-., )? *(--[a-z-]+) [a-z|]+$/\2\4/p'); do
		like "$c $o without its argument" "$(g "$c" "$o" 2>&1)" "^garrison: $c: option $o needs an argument"
	done
done
for o in --root --log --log-format --platform --overlay; do
	like "global $o without its argument" "$(g --overlay memory "$o" 2>&1)" "option $o needs an argument"
done
like "no command" "$(g 2>&1)" 'COMMAND missing; see garrison --help'
like "a wrong value" "$(g --log-format xml list 2>&1)" '--log-format xml: must be text or json'
like "a wrong format" "$(g list -f xml 2>&1)" 'list: --format xml: must be table or json'
like "an argument too much" "$(g state a b 2>&1)" 'state: unexpected argument "b"'
like "a flag with a value" "$(g delete --force=yes a 2>&1)" 'option --force takes no argument'
like "options behind the ID" "$(g delete nothere --force 2>&1; echo $?)" '^0$'
like "do without a command" "$(g do 2>&1)" 'do: COMMAND missing'
like "exec without a command" "$(g exec x 2>&1)" 'exec: COMMAND missing'

# --- what the user gave is named ---
like "do --rootfs" "$(g do --rootfs /no/such -- true 2>&1)" '^garrison: do: --rootfs /no/such: /no/such: no such file'
like "do --rootfs of a file" "$(g do --rootfs /etc/passwd -- true 2>&1)" '^garrison: do: --rootfs /etc/passwd: .*not a directory'
like "do --mount" "$(g do --mount /no/such:/x -- true 2>&1)" '^garrison: do: --mount /no/such:/x: /no/such: .*no such file'
like "do --mount malformed" "$(g do --mount x -- true 2>&1)" '--mount x: must be /SOURCE:/DESTINATION'
like "do --mount with an unknown option" "$(g do --mount /tmp:/x:rx -- true 2>&1)" 'unknown option "rx"'
like "do --user" "$(g do --user root -- true 2>&1)" '^garrison: do: --user root: must be UID or UID:GID'
for id in 4294967296 1000:4294967296 4294967295 -1 1: 99999999999999999999; do
	like "do --user $id" "$(g do --user "$id" -- true 2>&1)" "--user $id: must be UID or UID:GID"
done
like "do --mount of proc" "$(g do --mount /proc:/p:ro -- true 2>&1)" '--mount /proc:/p:ro: /proc: .*proc file system cannot be shared'
like "do in proc" "$(cd /proc && g do -- true 2>&1)" 'proc file system cannot be shared'
like "do --mount of a file on proc" "$(g do --mount /proc/self/mem:/p -- true 2>&1)" 'proc file system cannot be shared'
like "do --cap" "$(g do --cap CAP_FOO -- true 2>&1)" '--cap CAP_FOO: unknown capability'
like "do --cwd" "$(g do --cwd x -- true 2>&1)" '--cwd x: must be an absolute path'
like "do --hostname" "$(g do --hostname "$(printf '%070d' 1)" -- true 2>&1)" 'do: --hostname .*longer than 64'
like "do --id" "$(g do --id a/b -- true 2>&1)" 'invalid container ID "a/b"'
like "--log in no directory" "$(g --log /no/such/log list 2>&1)" '^garrison: --log: cannot open /no/such/log: no such file'
g --log /no/such/log list 2>/dev/null; is "and its exit code" $? 1
like "--root below a file" "$(timeout 5 "$GARRISON" --root /etc/passwd/x do -- true 2>&1)" '--root: cannot make /etc/passwd/x'
like "--root read-only" "$(timeout 5 "$GARRISON" --root /proc/nothing do -- true 2>&1)" '--root: cannot make /proc/nothing'
is "nothing is left of all these" "$(ls "$state")" ""

# --- odd environments ---
is "no environment at all" "$(env -i "$GARRISON" --root "$state" do -- sh -c 'echo $HOME')" /root
mkdir "$work/gone"
is "a deleted current directory" "$(cd "$work/gone" && rmdir "$work/gone" && g do -- pwd 2>&1)" /
is "an argument that is not UTF-8" "$(g do -- printf %s $'a\xff\xc3' | od -An -tx1 | tr -d ' ')" 61ffc3
is "a variable that is not UTF-8" "$(g do -e $'A=\xfe' -- sh -c 'printf %s "$A"' | od -An -tx1 | tr -d ' ')" fe
mkdir "$work/"$'d\xe9'
is "a directory that is not UTF-8" "$(cd "$work/"$'d\xe9' && g do -- sh -c 'pwd | od -An -tx1 | grep -c e9; : >x'; ls "$work/"$'d\xe9')" "1
x"
big=$(head -c 65536 /dev/zero | tr '\0' x)
is "an environment of 64 KiB" "$(g do -e BIG="$big" -- sh -c 'echo ${#BIG}')" 65536
is "an empty argument" "$(g do -- printf '[%s]' '' b)" "[][b]"
like "an empty command" "$(g do -- '' 2>&1)" "do: the command's name is empty"
is "-e without a value takes ours" "$(FOO=bar g do -e FOO -- sh -c 'echo $FOO')" bar
is "-e replaces" "$(g do -e PATH=/bin:/x -- sh -c 'env | grep ^PATH=')" PATH=/bin:/x
deep=$work/$(printf 'd%.0s' $(seq 200))/$(printf 'e%.0s' $(seq 200))/$(printf 'f%.0s' $(seq 200))
mkdir -p "$deep"
is "a long --root" "$(timeout 20 "$GARRISON" --root "$deep" do -- echo deep 2>&1)" deep
args=$(for i in $(seq 1000); do echo "--mount /usr/share:/m$i:ro"; done)
like "1000 mounts" "$(g do $args -- true 2>&1; echo $?)" '^(0|.*more than [0-9]+ bind mounts.*)$'
is "nothing is left of these" "$(ls "$state")" ""

# --- the load average is the sandbox's own ---
is "an idle sandbox has no load" "$(g do -- cut -d' ' -f1-3 /proc/loadavg)" "0.00 0.00 0.00"
load=$(g do -- sh -c 'while :; do :; done & while :; do :; done & sleep 9; cat /proc/loadavg; kill %1 %2 2>/dev/null')
like "a busy one has" "$load" '^0\.(1[0-9]|2[0-9]|3[0-9]) 0\.0[1-9] 0\.0[0-9] [23]/[4-6] [0-9]+$'
