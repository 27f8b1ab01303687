#!/bin/bash
# podman and conmon, with garrison as the runtime.
. "$(dirname "$0")/engines/lib.bash"
need podman conmon

make_root
p="podman --root $work/storage --runroot $work/run --tmpdir $work/tmp --storage-driver vfs --cgroup-manager cgroupfs --events-backend file --runtime $GARRISON"
# This host may not raise limits; podman does unless told not to.
limits="--network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024"
expect "import" sha256 $p import "$work/root.tar" small
expect "run" '^hello$' $p run --rm $limits small /bin/echo hello
code "exit code" 3 $p run --rm $limits small /bin/sh -c 'exit 3'
code "no such command" 127 $p run --rm $limits small nothere
expect "run -d" '^[0-9a-f]{64}$' $p run -d --name p1 $limits small /bin/sh -c 'echo log; trap "exit 7" TERM; while :; do sleep 0.1; done'
sleep 0.5
expect "logs" '^log$' $p logs p1
expect "exec" '^in$' $p exec p1 echo in
code "exec's exit code" 9 $p exec p1 sh -c 'exit 9'
code "pause" 0 $p pause p1
expect "is paused" Paused $p ps -a --format '{{.Status}} {{.State}}'
code "unpause" 0 $p unpause p1
expect "stats" 'p1' $p stats --no-stream p1
code "stop" 0 $p stop -t 5 p1
expect "its exit code" '^7$' $p inspect -f '{{.State.ExitCode}}' p1
code "start again" 0 $p start p1
code "kill" 0 $p kill p1
code "rm" 0 $p rm -f p1
