#!/bin/bash
# update, events, checkpoint: limits of a running container and what it has used.
. "$(dirname "$0")/runtime/lib.bash"

bundle "$work/b" 'sh("while :; do sleep 0.2; done"); c["linux"]["resources"]={"memory":{"limit":67108864},"pids":{"limit":200}}'
g create --bundle "$work/b" --pid-file "$work/pid" u1 >/dev/null 2>&1 </dev/null && g start u1
# limit FILE...: of the first of these that the container's cgroup has (v1 or v2).
limit() {
	local f dir
	for f in "$@"; do
		for dir in $(python3 -c 'import json,sys; print(*json.load(open(sys.argv[1]))["cgroupDirs"])' "$state/u1/state.json"); do
			[ -e "$dir/$f" ] && { cat "$dir/$f"; return; }
		done
	done
}
memory() { limit memory.limit_in_bytes memory.max; }

is "the limit of create" "$(memory)" 67108864
g update --memory 128m u1; is "update --memory" "$? $(memory)" "0 134217728"
like "is seen inside" "$(g exec u1 grep MemTotal /proc/meminfo)" ' 131072 kB'
echo '{"memory":{"limit":50331648},"pids":{"limit":0},"cpu":{"shares":512}}' | g update --resources - u1
is "update --resources -" "$? $(memory)" "0 50331648"
is "0 leaves a limit alone" "$(limit pids.max)" 200
like "shares" "$(limit cpu.shares cpu.weight)" '^(512|20)$'
g update --pids-limit -1 u1; is "-1 takes it off" "$? $(limit pids.max)" "0 max"
like "a wrong number" "$(g update --memory lots u1 2>&1)" 'update: memory.limit: "lots" is not a number'
like "a wrong file" "$(echo '{"memory":{"limit":"x"}}' | g update -r - u1 2>&1)" 'linux.resources.memory.limit: must be a whole number'
like "a broken file" "$(echo '{' | g update -r - u1 2>&1)" '--resources -: line [12]:'

g events --stats u1 >"$work/stats"; is "events --stats" $? 0
is "its shape" "$(field "$work/stats" '["type"]') $(field "$work/stats" '["id"]')" "stats u1"
is "CPU time was used" "$(field "$work/stats" '["data"]["cpu"]["usage"]["total"] > 0')" True
is "memory in use" "$(field "$work/stats" '["data"]["memory"]["usage"]["limit"]') $(field "$work/stats" '["data"]["memory"]["usage"]["usage"] > 0')" "50331648 True"
is "processes" "$(field "$work/stats" '["data"]["pids"]["current"] > 2')" True
timeout 3 "$GARRISON" --root "$state" events --interval 300ms u1 >"$work/events"
is "events --interval" "$(($(grep -c '"stats"' "$work/events") > 3))" 1
like "a wrong interval" "$(g events --interval soon u1 2>&1)" '--interval soon: must be like 5s'
("$GARRISON" --root "$state" events --interval 60s u1 >"$work/oom"; echo ended >>"$work/oom") & watcher=$!
sleep 1
g exec u1 sh -c 'tail /dev/zero' 2>/dev/null; is "out of memory" $? 137
try 50 grep -q '"oom"' "$work/oom"; is "is an event" $? 0
like "checkpoint" "$(g checkpoint --image-path /x --leave-running u1 2>&1)" 'checkpoint: .*not supported'
like "restore" "$(g restore --image-path /x --bundle /y u2 2>&1)" 'restore: .*not supported'
g delete --force u1
wait $watcher; is "events ends with the container" "$(tail -1 "$work/oom")" ended
like "events of none" "$(g events --stats u1 2>&1)" 'does not exist'

# --- the network namespace of the monitor ---
bundle "$work/n" 'sh("sleep 100")'
g create --bundle "$work/n" --pid-file "$work/pid" n1 >/dev/null 2>&1 </dev/null
[ "$(readlink /proc/"$(cat "$work/pid")"/ns/net)" != "$(readlink /proc/self/ns/net)" ]; is "a network namespace of its own" $? 0
like "whose loopback is up" "$(nsenter -t "$(cat "$work/pid")" -n ip -br link show lo)" 'UNKNOWN|UP'
bundle "$work/j" 'sh("sleep 100"); c["linux"]["namespaces"]=[{"type":"network","path":"/proc/'"$(cat "$work/pid")"'/ns/net"}]'
g create --bundle "$work/j" --pid-file "$work/pid2" n2 >/dev/null 2>&1 </dev/null
is "a network namespace by its path" "$(readlink /proc/"$(cat "$work/pid2")"/ns/net)" "$(readlink /proc/"$(cat "$work/pid")"/ns/net)"
g start n2; g exec --detach --pid-file "$work/pid3" n2 sleep 50 </dev/null >/dev/null 2>&1
is "also for an exec" "$(readlink /proc/"$(cat "$work/pid3")"/ns/net)" "$(readlink /proc/"$(cat "$work/pid")"/ns/net)"
bundle "$work/x" 'c["linux"]["namespaces"]=[{"type":"network","path":"/no/such/netns"}]'
like "one that is not there" "$(g create --bundle "$work/x" n3 2>&1 </dev/null)" 'network: /no/such/netns: no such file'
bundle "$work/h" 'sh("sleep 100"); c["linux"]["namespaces"]=[]'
g create --bundle "$work/h" --pid-file "$work/pid4" n4 >/dev/null 2>&1 </dev/null
is "the host's, if none is named" "$(readlink /proc/"$(cat "$work/pid4")"/ns/net)" "$(readlink /proc/self/ns/net)"
for c in n1 n2 n4; do g delete --force $c; done
is "nothing is left" "$(ls "$state")" ""
