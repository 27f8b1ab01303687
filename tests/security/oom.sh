#!/bin/bash
# Guests that run out of their container's memory: they alone are killed, or get an
# error; the sandbox goes on, and so does its first process.
. "$(dirname "$0")/../integration/runtime/lib.bash"
gcc -std=gnu17 -D_GNU_SOURCE -O1 -static -o "$work/eater" "$(dirname "$0")/eater.c" || { not_ok build; exit 0; }
mkdir "$work/bin"
mv "$work/eater" "$work/bin/"
chmod 755 "$work" "$work/bin"

edit='sh("exec sleep 1000")
c["linux"].setdefault("resources", {})["memory"] = {"limit": 64 << 20}
c["mounts"] += [{"destination": "/x", "type": "bind", "source": "'$work'/bin", "options": ["bind", "ro"]},
 {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777"]}]'
bundle "$work/b" "$edit"

in_container() { timeout -k 5 60 "$GARRISON" --root "$state" exec "$@" </dev/null 2>&1; }

eat() { # HOW UID WANTED-CODE WANTED-OUTPUT
	local name=oom$$-$((++serial)) out code
	g create --bundle "$work/b" "$name" >"$work/log" 2>&1 </dev/null && g start "$name" ||
		{ not_ok "$1: start" "$(cat "$work/log")"; return; }
	out=$(in_container --user "$2" "$name" /x/eater "$1")
	code=$?
	like "$1 as $2: exit code" "$code" "^($3)\$"
	like "$1 as $2: output" "[$out]" "$4"
	like "$1 as $2: the first process lives" "$(g ps "$name")" 'sleep 1000'
	is "$1 as $2: programs start again" "$(in_container "$name" /bin/echo fine)" fine
	g delete --force "$name" >/dev/null 2>&1
}

serial=0
eat one 1000 137 '^\[\]$'
eat many 1000 '0|137' '^\[\]$'
eat many 0 '0|137' '^\[\]$'
eat /dev/shm/f 1000 0 '^\[stopped by ENOSPC\]$'
eat memfd 1000 0 '^\[stopped by ENOSPC\]$'
