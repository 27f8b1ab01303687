#!/bin/bash
# containerd with its stock runc shim, and garrison in runc's place.
. "$(dirname "$0")/engines/lib.bash"
need containerd ctr containerd-shim-runc-v2

make_root
python3 "$(dirname "$0")/engines/oci_image.py" "$work/root.tar" "$work/image.tar" test/small:1
start_containerd
c="ctr -a $work/cd.sock"
code "import" 0 $c images import "$work/image.tar"
run="$c run --runc-binary $GARRISON"
expect "run" '^hello$' $run --rm test/small:1 a1 echo hello
code "its exit code" 3 $run --rm test/small:1 a2 sh -c 'exit 3'
expect "a command that is not there" 'executable file not found in \$PATH' $run --rm test/small:1 a3 nothere
code "out of memory" 137 $run --rm --memory-limit 67108864 test/small:1 a4 tail /dev/zero
expect "run -t" 'tty: /dev/' script -qec "$run --rm -t test/small:1 a5 sh -c 'echo tty: \$(tty)'" /dev/null
code "run -d" 0 $run -d test/small:1 c1 sh -c 'trap "exit 5" TERM; while :; do sleep 0.1; done'
expect "task list" 'c1 +[0-9]+ +RUNNING' $c task ls
expect "task ps" '^[0-9]+ ' $c task ps c1
expect "exec" '^in exec$' $c task exec --exec-id e1 c1 echo in exec
code "its exit code" 4 $c task exec --exec-id e2 c1 sh -c 'exit 4'
code "pause" 0 $c task pause c1
expect "is paused" 'c1 .*PAUSED' $c task ls
code "resume" 0 $c task resume c1
expect "metrics" 'pids.current +[1-9]' $c task metrics c1
code "kill" 0 $c task kill -s TERM c1
sleep 1
expect "is stopped" 'c1 .*STOPPED' $c task ls
expect "delete tells the exit code" 'exit code 5' $c task delete c1
code "container rm" 0 $c container rm c1
expect "checkpoint says no" 'not supported' sh -c "$run -d test/small:1 c2 sleep 100; $c task checkpoint c2; $c task kill -s KILL c2; sleep 1; $c task rm -f c2; $c c rm c2"
expect "no shim is left" '^0$' sh -c "ps -eo args | grep -c '[c]ontainerd-shim.*$work'"
