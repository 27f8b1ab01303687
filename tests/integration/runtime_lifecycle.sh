#!/bin/bash
# create, start, exec, kill, wait, delete and what they print; exit codes, signals, stdio.
. "$(dirname "$0")/runtime/lib.bash"

# --- run: exit codes, stdio, signals ---
bundle "$work/b" 'sh("exit 42")'
g run --bundle "$work/b" r1; is "run passes the exit code on" $? 42
bundle "$work/b" 'sh("sh -c \"kill -SEGV \\$\\$\"; exit $?")'
g run --bundle "$work/b" r2; is "a guest process killed by a signal" $? 139
bundle "$work/b" 'sh("cat; echo err >&2")'
out=$(echo input | g run --bundle "$work/b" r3 2>"$work/err")
is "stdin and stdout are passed through" "$out" input
is "stderr is apart" "$(cat "$work/err")" err
bundle "$work/b" 'sh("cat")'
is "a large pipe arrives whole" "$(head -c 3000000 /dev/urandom | tee "$work/big" | g run --bundle "$work/b" r4 | sha256sum)" "$(sha256sum <"$work/big")"
bundle "$work/b" 'sh("trap \"echo term; exit 9\" TERM; echo up; while :; do sleep 0.1; done")'
"$GARRISON" --root "$state" --overlay memory run --bundle "$work/b" r5 >"$work/out" & pid=$!
try 50 grep -q up "$work/out"
kill -TERM $pid
wait $pid; is "SIGTERM to run reaches the container" "$? $(tail -1 "$work/out")" "9 term"
is "run leaves no state" "$(ls "$state" 2>/dev/null)" ""

# --- commands that are not there ---
for t in "nothere:127:executable file not found" "/not/here:127:no such file or directory" "/etc/passwd:126:permission denied" "/etc:126:permission denied"; do
	IFS=: read -r cmd code text <<<"$t"
	bundle "$work/b" "c['process']['args']=['$cmd']"
	err=$(g run --bundle "$work/b" n1 2>&1); is "exit code of run $cmd" $? "$code"
	like "message of run $cmd" "$err" "$text"
	g --log "$work/log.json" --log-format json create --bundle "$work/b" --pid-file "$work/pid" n2 >/dev/null 2>&1
	is "create $cmd fails with 1" $? 1
	like "create $cmd logs it" "$(tail -1 "$work/log.json")" "\"level\":.*\"error\".*$text"
done
is "failed creates leave nothing" "$(ls "$state" 2>/dev/null)" ""

# --- create, start, state, ps, exec, kill, wait, delete ---
bundle "$work/c" 'sh("trap \"exit 7\" TERM; echo up; while :; do sleep 0.1; done"); c["annotations"]={"a.b":"c"}'
g create --bundle "$work/c" --pid-file "$work/pid" c1 >"$work/out" 2>&1 </dev/null; is "create" $? 0
is "status after create" "$(g state c1 | python3 -c 'import json,sys; o=json.load(sys.stdin); print(o["status"], o["id"], o["ociVersion"], o["annotations"])')" "created c1 1.0.2 {'a.b': 'c'}"
pid=$(cat "$work/pid")
is "the pid file names the state's pid" "$(g state c1 | python3 -c 'import json,sys; print(json.load(sys.stdin)["pid"])')" "$pid"
like "the monitor is in the container's cgroup" "$(cat /proc/"$pid"/cgroup)" ':/c1$'
like "a second create of the ID" "$(g create --bundle "$work/c" c1 2>&1)" 'exists already'
like "delete refuses" "$(g delete c1 2>&1)" 'is created'
like "exec before start" "$(g exec c1 /bin/true 2>&1)" 'is created'
is "nothing was run yet" "$(cat "$work/out")" ""
g start c1; is "start" $? 0
try 50 grep -q up "$work/out"; is "it runs, on the stdio of create" "$(cat "$work/out")" up
like "a second start" "$(g start c1 2>&1)" 'cannot start'
like "list" "$(g list)" 'c1 +[0-9]+ +running'
is "list --quiet" "$(g list -q)" c1
like "list --format json" "$(g list -f json | tr -d '\n ')" '"id":"c1"'
like "ps" "$(g ps c1)" '^root +1 +0 +[0-9]+ [0-9:]+ \? +00:00:0[0-9] /bin/sh -c trap "exit 7"'
is "ps: columns" "$(g ps c1 | head -1)" "UID          PID    PPID  C STIME TTY          TIME CMD"
is "ps -o" "$(g ps c1 -o pid=NR,user,comm | sed -n '1p; /^ *1 /p' | tr -s ' ' | tr '\n' ';')" " NR UID CMD; 1 root sh;"
like "ps aux" "$(g ps c1 aux)" '^USER +PID %CPU %MEM'
like "ps with an unknown option" "$(g ps c1 -Z 2>&1)" 'unknown option -Z'
pids=$(g ps -f json c1 | tr -d '][\n ')
is "ps --format json: the monitor first" "${pids%%,*}" "$pid"
is "the others are stubs below the sentry" "$(for p in $(echo "${pids#*,}" | tr , ' '); do sed -n 's/^PPid:\t//p' /proc/$p/status 2>/dev/null || echo gone; done | sort -u | grep -vx gone)" "$(field "$state/c1/state.json" '["sentry"]["pid"]')"
is "exec" "$(g exec c1 /bin/sh -c 'echo $0 $1; exit 0' a b)" "a b"
g exec c1 /bin/sh -c 'exit 5'; is "exec passes the exit code on" $? 5
is "exec --env --cwd --user" "$(g exec --env A=1 --cwd /usr --user 12:34 c1 /bin/sh -c 'echo $A $(pwd) $(id -u) $(id -g)')" "1 /usr 12 34"
g exec c1 nothere 2>/dev/null; is "exec of a missing command" $? 127
echo '{"args":["/bin/sh","-c","echo $X; while :; do sleep 0.2; done"],"cwd":"/","env":["PATH=/bin","X=y"],"user":{"uid":1,"gid":1}}' >"$work/p.json"
g exec --process "$work/p.json" --detach --pid-file "$work/epid" c1 >"$work/eout"; is "exec --process --detach" $? 0
try 50 grep -q y "$work/eout"; is "its output" "$(cat "$work/eout")" y
is "ps shows it" "$(g ps c1 | grep -c 'echo .X')" 1
like "its monitor is in the cgroup" "$(cat /proc/"$(cat "$work/epid")"/cgroup)" ':/c1$'
kill -9 "$(cat "$work/epid")"; sleep 0.3
is "killing an exec's monitor kills the exec" "$(g ps c1 | grep -c 'echo .X')" 0
like "kill of an unknown signal" "$(g kill c1 FOO 2>&1)" 'unknown signal'
g kill c1 0; is "kill 0" $? 0
(g wait c1 >"$work/waited") & waiter=$!
sleep 0.2
g kill c1 SIGTERM; is "kill" $? 0
wait $waiter; is "wait prints the exit code" "$(cat "$work/waited")" 7
try 30 status_is c1 stopped; is "status after the end" "$(g state c1 | python3 -c 'import json,sys; o=json.load(sys.stdin); print(o["status"], o["pid"])')" "stopped 0"
is "wait after the end" "$(g wait c1)" 7
like "kill after the end" "$(g kill c1 2>&1)" 'container not running'
g delete c1; is "delete" $? 0
like "state after delete" "$(g state c1 2>&1)" 'does not exist'
g delete c1 2>/dev/null; is "delete of an absent container" $? 1
g delete --force c1; is "delete --force of an absent container" $? 0
is "no cgroup is left" "$(find /sys/fs/cgroup -maxdepth 2 -name c1 | wc -l)" 0

# --- death of the monitor, delete --force ---
g create --bundle "$work/c" --pid-file "$work/pid" c2 >/dev/null 2>&1 </dev/null && g start c2
sentry=$(field "$state/c2/state.json" '["sentry"]["pid"]')
kill -9 "$(cat "$work/pid")"
try 30 status_is c2 stopped; is "SIGKILL of the monitor stops the container" $? 0
gone() { [ ! -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }
try 30 gone "$sentry"; is "and ends the sentry" $? 0
g delete c2; is "which can be deleted" $? 0
g create --bundle "$work/c" c3 >/dev/null 2>&1 </dev/null && g start c3
g delete --force c3; is "delete --force of a running container" $? 0
is "nothing is left of it" "$(ls "$state"; find /sys/fs/cgroup -maxdepth 2 -name 'c[0-9]')" ""

# --- an init without a handler: TERM is lost on it, as on Linux; KILL is not ---
bundle "$work/i" 'c["process"]["args"]=["/bin/sleep","60"]'
g create --bundle "$work/i" c4 >/dev/null 2>&1 </dev/null && g start c4
g kill c4 TERM; sleep 0.3; status_is c4 running; is "init without a handler survives TERM" $? 0
g kill c4 KILL; try 30 status_is c4 stopped; is "and ends by KILL" $? 0
is "with the status of one killed" "$(g wait c4)" 137
g delete c4; is "delete after KILL" $? 0

"$GARRISON" --root "$state" --overlay memory run --bundle "$work/i" c5 & pid=$!
try 50 status_is c5 running
for i in 1 2 3; do kill -TERM $pid; sleep 0.1; done
wait $pid; is "the third SIGTERM to run kills" $? 137

# --- features, spec, usage ---
like "features" "$(g features | tr -d '\n ')" '"ociVersionMax":"1\.'
mkdir "$work/s" && g spec --bundle "$work/s"; is "spec" $? 0
is "spec makes a valid configuration" "$(field "$work/s/config.json" '["root"]["path"]')" rootfs
like "unknown command" "$(g frobnicate 2>&1)" 'unknown command "frobnicate"'
like "bad ID" "$(g create --bundle "$work/c" a/b 2>&1)" 'invalid container ID'
like "--systemd-cgroup" "$(g --systemd-cgroup list 2>&1)" 'not supported'

# --- limits ---
bundle "$work/m" 'sh("tail /dev/zero; echo rc=$?"); c["linux"]["resources"]={"memory":{"limit":67108864},"pids":{"limit":100}}'
like "a memory hog is killed, its shell lives" "$(g run --bundle "$work/m" m1 2>&1)" 'rc=137'
