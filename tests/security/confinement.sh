#!/bin/bash
# The confinement of the sentry, its stubs, the gofer and the monitor, as the host sees it
# while a container runs.
. "$(dirname "$0")/../integration/runtime/lib.bash"

bundle "$work/b" 'sh("sleep 1000 & echo up; exec sleep 1000"); c["mounts"].append({"destination":"/bind","type":"bind","source":"/tmp","options":["rbind","ro"]})'
exec 47</etc/passwd # a stray fd of the caller
g create --bundle "$work/b" c1 >"$work/out" 2>&1 </dev/null || { not_ok "create" "$(cat "$work/out")"; exit 0; }
g start c1 || { not_ok start; exit 0; }
try 50 grep -q up "$work/out"
sleep 0.3

pid_of() { field "$state/c1/state.json" "[\"$1\"][\"pid\"]"; }
of_status() { sed -n "s/^$2:\t*//p" "/proc/$1/status" | tr -s '\t ' ' '; }
ns() { readlink "/proc/$1/ns/$2"; }
children() { cat "/proc/$1/task/"*/children 2>/dev/null; }

no_caps() { # PID NAME
	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		is "$2: $set is empty" "$(of_status "$1" $set)" 0000000000000000
	done
}
filtered() { # PID NAME
	is "$2: seccomp filter" "$(of_status "$1" Seccomp)" 2
	is "$2: no new privileges" "$(of_status "$1" NoNewPrivs)" 1
}
apart() { # PID NAME NAMESPACE...
	local pid=$1 name=$2 n
	shift 2
	for n in "$@"; do
		if [ "$(ns "$pid" "$n")" != "$(ns self "$n")" ]; then ok "$name: own $n namespace"; else not_ok "$name: own $n namespace"; fi
	done
}
empty_root() { # PID NAME
	is "$2: empty root" "$(ls -A "/proc/$1/root/")" ""
	if touch "/proc/$1/root/x" 2>/dev/null; then not_ok "$2: read-only root"; else ok "$2: read-only root"; fi
	is "$2: one mount" "$(wc -l <"/proc/$1/mountinfo")" 1
}
no_stray_fds() { # PID NAME ALLOWED-REGEX
	local fd target bad=
	for fd in /proc/"$1"/fd/*; do
		target=$(readlink "$fd") || continue
		[[ $target =~ ^($3)$ ]] || bad="$bad ${fd##*/}:$target"
	done
	is "$2: only expected fds" "$bad" ""
}

sentry=$(pid_of sentry); gofer=$(pid_of gofer); monitor=$(pid_of monitor)

is "sentry: working directory is the root" "$(readlink "/proc/$sentry/cwd")" /
no_caps "$sentry" sentry; filtered "$sentry" sentry; empty_root "$sentry" sentry
apart "$sentry" sentry user pid mnt net ipc uts cgroup
is "sentry: unprivileged user" "$(of_status "$sentry" Uid)" "65534 65534 65534 65534"
is "sentry: unprivileged group" "$(of_status "$sentry" Gid)" "65534 65534 65534 65534"
is "sentry: no supplementary groups" "$(of_status "$sentry" Groups | tr -d ' ')" ""
is "sentry: pid 1 of its namespace" "$(of_status "$sentry" NSpid | cut -d' ' -f2)" 1
for t in /proc/"$sentry"/task/*; do
	[ "$(of_status "$sentry/task/${t##*/}" Seccomp)" = 2 ] || not_ok "sentry: thread ${t##*/} has a filter"
done
ok "sentry: all threads looked at"
no_stray_fds "$sentry" sentry "/dev/null|socket:\[[0-9]+\]|pipe:\[[0-9]+\]|anon_inode:\[(eventfd|eventpoll|timerfd)\]|anon_inode:seccomp( notify)?|/memfd:.*|$state/c1/log|$work/out|/(usr/)?(bin|lib|lib64)/.*|/etc/ld.so.cache|/proc/(cpuinfo|meminfo|loadavg|stat|uptime)"

n=0
for stub in $(children "$sentry"); do
	[ -e "/proc/$stub/status" ] || continue
	[ "$(of_status "$stub" State | cut -c1)" = Z ] && continue
	n=$((n + 1))
	no_caps "$stub" "stub $n"; filtered "$stub" "stub $n"; empty_root "$stub" "stub $n"
	apart "$stub" "stub $n" user pid mnt net ipc uts cgroup
	is "stub $n: no fds" "$(ls "/proc/$stub/fd")" ""
	is "stub $n: unprivileged user" "$(of_status "$stub" Uid)" "65534 65534 65534 65534"
done
if [ $n -ge 2 ]; then ok "stubs were found"; else not_ok "stubs were found" "$n"; fi

filtered "$gofer" gofer; empty_root "$gofer" gofer; apart "$gofer" gofer mnt ipc uts cgroup
# CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID MKNOD SETFCAP
is "gofer: file capabilities only" "$(of_status "$gofer" CapEff)" 000000008800001f
is "gofer: bounding set is empty" "$(of_status "$gofer" CapBnd)" 0000000000000000
is "gofer: no ambient capabilities" "$(of_status "$gofer" CapAmb)" 0000000000000000
bad=
for fd in /proc/"$gofer"/fd/*; do
	target=$(readlink "$fd") || continue
	case $target in
	/dev/null | socket:* | anon_inode:* | "$state/c1/log" | /proc/*/fd | /) ;;
	*) [ -e "$ROOTFS$target" ] || [ -e "/tmp$target" ] || bad="$bad $target" ;;
	esac
done
is "gofer: only files of its exports" "$bad" ""

no_caps "$monitor" monitor; filtered "$monitor" monitor
no_stray_fds "$monitor" monitor "/dev/null|socket:\[[0-9]+\]|anon_inode:\[signalfd\]|$state/c1/exit-status"

for p in "$sentry" "$gofer" "$monitor"; do
	for fd in /proc/"$p"/fd/*; do
		[ "$(readlink "$fd")" = /etc/passwd ] && not_ok "the caller's stray fd leaked into $p"
	done
done
ok "the caller's stray fd did not leak"

# Memory of the idle sandbox: all its processes together (DESIGN.md, budgets).
total=0
for p in "$sentry" "$gofer" "$monitor" $(children "$sentry"); do
	pss=$(sed -n 's/^Pss: *\([0-9]*\) kB/\1/p' "/proc/$p/smaps_rollup" 2>/dev/null)
	total=$((total + ${pss:-0}))
done
if [ "$total" -le 6144 ]; then ok "idle sandbox takes at most 6 MiB"; else not_ok "idle sandbox takes at most 6 MiB" "$total kB"; fi
echo "# PSS of the idle sandbox: $total kB"
g delete --force c1; is "delete" $? 0
