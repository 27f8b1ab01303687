#!/bin/bash
# Hooks: order, the state on their stdin, failures; pause and resume; a forced delete while
# another command holds the lock.
. "$(dirname "$0")/runtime/lib.bash"

cat >"$work/hook" <<'H'
#!/bin/sh
echo "$1 $(python3 -c 'import json,sys; o=json.load(sys.stdin); print(o["id"], o["status"], int(o["pid"] > 0))')" >>"$(dirname "$0")/log"
[ "$1" != "$FAIL" ]
H
chmod +x "$work/hook"
hooks='c["hooks"]={k:[{"path":"'$work'/hook","args":["hook",k],"env":["PATH=/bin:/usr/bin","FAIL=%s"]}] for k in ("prestart","createRuntime","createContainer","poststart","poststop")}'

bundle "$work/b" "$(printf "$hooks" no); sh('exit 3')"
g run --bundle "$work/b" h1; is "run with hooks" $? 3
is "their order and state" "$(tr '\n' ';' <"$work/log")" "prestart h1 created 1;createRuntime h1 created 1;createContainer h1 created 1;poststart h1 running 1;poststop h1 stopped 0;"

rm "$work/log"
bundle "$work/c" "$(printf "$hooks" no); sh('sleep 100')"
g create --bundle "$work/c" h2 >/dev/null 2>&1 </dev/null
is "hooks of create" "$(cut -d' ' -f1 "$work/log" | tr '\n' ' ')" "prestart createRuntime createContainer "
g start h2; is "hooks of start" "$(tail -1 "$work/log")" "poststart h2 running 1"
g pause h2; is "pause" $? 0
like "status when paused" "$(g state h2)" '"paused"'
like "exec when paused" "$(g exec h2 /bin/true 2>&1)" 'is paused'
like "ps when paused" "$(timeout 5 "$GARRISON" --root "$state" ps h2 2>&1)" 'is paused: resume it'
like "debug when paused" "$(timeout 5 "$GARRISON" --root "$state" debug h2 2>&1)" 'is paused: resume it'
like "kill TERM when paused" "$(timeout 5 "$GARRISON" --root "$state" kill h2 TERM 2>&1)" 'is paused: resume it'
g resume h2; is "resume" $? 0
g exec h2 /bin/true; is "exec after resume" $? 0
bundle "$work/k" "sh('sleep 100')"
g run --detach --bundle "$work/k" h5 >/dev/null 2>&1 </dev/null
g pause h5; timeout 10 "$GARRISON" --root "$state" kill h5 KILL; is "kill KILL of a paused container" $? 0
is "and it ends" "$(timeout 10 "$GARRISON" --root "$state" wait h5)" 137
g delete h5; is "and can be deleted" $? 0
g pause h2; g delete --force h2; is "delete --force of a paused container" $? 0
is "hooks of delete" "$(tail -1 "$work/log")" "poststop h2 stopped 0"

bundle "$work/f" "$(printf "$hooks" createRuntime)"
err=$(g create --bundle "$work/f" h3 2>&1 </dev/null); is "a failing hook fails create" $? 1
like "and is named" "$err" "createRuntime: hook $work/hook failed with exit code 1"
is "and leaves nothing" "$(ls "$state")" ""
bundle "$work/p" "$(printf "$hooks" poststart); sh('exit 0')"
g run --bundle "$work/p" h4; is "a failing poststart hook only warns" $? 0
bundle "$work/t" 'c["hooks"]={"prestart":[{"path":"/bin/sleep","args":["sleep","60"],"timeout":1}]}'
like "a hook's time-out" "$(g create --bundle "$work/t" h5 2>&1 </dev/null)" 'prestart: hook /bin/sleep took longer than 1 s'
like "a hook that is not there" "$(bundle "$work/n" 'c["hooks"]={"prestart":[{"path":"/no/hook"}]}'; g create --bundle "$work/n" h6 2>&1 </dev/null)" '/no/hook.*no such file'

bundle "$work/l" 'sh("sleep 100")'
g create --bundle "$work/l" h7 >/dev/null 2>&1 </dev/null
flock -o "$state/h7" sleep 30 & locker=$!
sleep 0.3
(sleep 1.5; kill $locker) &
g delete --force h7; is "delete --force while another holds the lock" $? 0
is "nothing is left" "$(ls "$state")" ""
