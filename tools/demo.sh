#!/bin/bash
# `make demo`: what a first sandbox looks like. Uses only what the build made.
set -u
garrison=${1:-build/bin/garrison}
say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() { printf '$ garrison do -- %s\n' "$*"; "$garrison" do -- "$@"; }

say "A kernel of its own: the sandbox sees Garrison, not this host's processes"
run sh -c 'uname -a; echo "processes:"; ps -e 2>/dev/null || ls -d /proc/[0-9]*'
say "Your files are there, but a write stays in memory"
run sh -c 'head -n 1 /etc/os-release; echo changed >/etc/hostname; cat /etc/hostname'
printf '$ cat /etc/hostname   (outside)\n'; cat /etc/hostname 2>/dev/null
say "A program that crashes takes nothing with it"
run sh -c 'sh -c "kill -SEGV \$\$"; echo "exit code of the crashed program: $?"' 
say "What a sandbox's processes may do on the host"
"$garrison" do -- sleep 2 & sleep 1
for p in $(pgrep -x 'garrison-(sentry|gofer|monitor)'; pgrep -u nobody -x stub); do
	printf '%-16s' "$(cat /proc/$p/comm 2>/dev/null)"
	grep -E '^(Seccomp|CapEff|NoNewPrivs):' /proc/$p/status 2>/dev/null | tr '\n\t' '  '; echo
done
wait
