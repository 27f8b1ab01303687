#!/bin/bash
# An unprivileged user takes all that he gets of one thing after the other (greedy.c). The
# sentry must not grow beyond its share of the container's memory, and root in the same
# sandbox must be able to start programs and read files while the other holds it all.
. "$(dirname "$0")/../integration/runtime/lib.bash"
gcc -std=gnu17 -D_GNU_SOURCE -O1 -static -o "$work/greedy" "$(dirname "$0")/greedy.c" -lrt ||
	{ not_ok "build greedy"; exit 0; }
mkdir -p "$work/disk" "$work/bin"
mv "$work/greedy" "$work/bin/"
chmod 755 "$work" "$work/bin"
chmod 1777 "$work/disk"

# A quarter of the memory is the sentry's for its guests, half of that one user's.
limit_mib=256
rss_max_mib=100
edit='sh("exec sleep 1000")
c["linux"].setdefault("resources", {})["memory"] = {"limit": '$limit_mib' << 20}
c["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "hard": 524288, "soft": 1024}]
c["mounts"] += [{"destination": "/x", "type": "bind", "source": "'$work'/bin", "options": ["bind", "ro"]},
 {"destination": "/disk", "type": "bind", "source": "'$work'/disk", "options": ["bind"]},
 {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777"]}]'

rss_mib() { echo $(($(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' "/proc/$1/status") / 1024)); }

# What stops it on Linux, or would if it had a limit there.
expected() {
	case $1 in
	memfd | disk-file) echo ENFILE ;;
	eventfd) echo 'ENFILE|ENOMEM' ;;
	tmpfs-file) echo 'ENFILE|ENOSPC' ;;
	symlink | directory | xattr) echo ENOSPC ;;
	signal | timer) echo EAGAIN ;;
	lock) echo ENOLCK ;;
	flying) echo ETOOMANYREFS ;;
	inotify) echo 'EMFILE|ENOMEM|ENFILE' ;;
	mqueue) echo 'EMFILE|ENOSPC' ;;
	*) echo 'E(NFILE|NOMEM|NOBUFS|AGAIN|NOSPC)' ;;
	esac
}

greed() { # WHAT
	local pid rss sentry out=$work/out.$1 id=greedy$$-$1
	g create --bundle "$work/b" "$id" >"$work/log" 2>&1 </dev/null && g start "$id" ||
		{ not_ok "$1: start" "$(cat "$work/log")"; return; }
	timeout -k 5 60 "$GARRISON" --root "$state" exec --user 1000 "$id" /x/greedy "$1" >"$out" 2>&1 </dev/null &
	pid=$!
	try 500 grep -q stopped "$out"
	like "$1: the user is stopped" "$(cat "$out")" "^stopped by ($(expected "$1"))"
	sentry=$(field "$state/$id/state.json" '["sentry"]["pid"]')
	rss=$(rss_mib "$sentry")
	if [ "$rss" -lt $rss_max_mib ]; then ok "$1: the sentry stays small"; else not_ok "$1: the sentry stays small" "$rss MiB"; fi
	is "$1: root starts programs and reads files" "$(timeout -k 5 20 "$GARRISON" --root "$state" exec "$id" \
		/bin/sh -c '(cat /etc/hostname | wc -l >/tmp/n) && ls / >/dev/null && for i in 1 2 3; do /bin/true || echo failed; done; echo fine' 2>&1 </dev/null)" fine
	g delete --force "$id" >/dev/null 2>&1
	kill "$pid" 2>/dev/null
	wait "$pid" 2>/dev/null
	rm -rf "$work/disk/"*
}

bundle "$work/b" "$edit"
for what in ${GREEDY:-$("$work/bin/greedy")}; do
	greed "$what"
done
