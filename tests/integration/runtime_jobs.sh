#!/bin/bash
# Commands under `do` at a terminal behave as native ones: ^C, ^\, ^Z and fg; ends of input and
# output; signals to `do` itself.
. "$(dirname "$0")/runtime/lib.bash"

timeout -k 5 250 python3 "$here/jobs.py" "$GARRISON" "$state"

# --- signals without a terminal ---
"$GARRISON" --root "$state" do -- sleep 100 & pid=$!
sleep 0.7
kill -TERM $pid
wait $pid; is "SIGTERM ends do of a command without a handler" $? 143
"$GARRISON" --root "$state" do -- sh -c 'trap "exit 9" TERM; echo ready; while :; do sleep 0.1; done' \
	>"$work/ready" & pid=$!
try 100 grep -q ready "$work/ready"
kill -TERM $pid
wait $pid; is "SIGTERM reaches a handler" $? 9

# --- an init of its own ---
is "the command is a child of init" "$(g do -- sh -c 'echo $$ $PPID')" "2 1"
is "orphans are reaped" "$(g do -- sh -c '(sh -c "sleep 0.1 & sleep 0.1" &) ; sleep 0.6; ps -e -o stat= | grep -c Z')" 0
is "init cannot be killed from inside" "$(g do -- sh -c 'kill -9 1; kill -TERM 1; sleep 0.1; echo alive')" alive
is "kill -1 spares it" "$(g do -- sh -c 'trap "" TERM; kill -TERM -1; echo alive')" alive
g do -- sh -c 'sleep 1000 & exit 3'; is "the sandbox ends with the command" $? 3
g do -- sh -c 'kill -SEGV $$'; is "death by a signal" $? 139

# --- terminals without a terminal on stdin ---
g do -t -- cat </dev/null; is "do -t </dev/null: end of file" $? 0
g do -t -- cat <&-; is "do -t with stdin closed" $? 0
like "do -t from a pipe" "$(printf 'one\ntwo' | g do -t -- sh -c 'read a; read b; echo "[$a$b]"; cat')" '\[onetwo\]'

timeout 10 bash -c "'$GARRISON' --root '$state' do -t -- yes </dev/null | head -1" >/dev/null
is "do -t whose output nobody reads ends" $? 0
is "all this left nothing" "$(ls "$state")" ""
