#!/bin/bash
# dockerd, its daemons started here, with garrison as a runtime.
. "$(dirname "$0")/engines/lib.bash"
need dockerd docker containerd ctr

make_root
start_containerd
printf '{"data-root":"%s","exec-root":"%s","pidfile":"%s","hosts":["unix://%s"],"iptables":false,"bridge":"none","storage-driver":"vfs","default-runtime":"garrison","runtimes":{"garrison":{"path":"%s"}}}' \
	"$work/data" "$work/exec" "$work/pid" "$work/docker.sock" "$GARRISON" >"$work/daemon.json"
export DOCKER_HOST=unix://$work/docker.sock DOCKER_CONFIG=$work
dockerd --config-file "$work/daemon.json" --containerd="$work/cd.sock" >"$work/dockerd.log" 2>&1 &
daemons+=($!)
for _ in $(seq 200); do docker info >/dev/null 2>&1 && break; sleep 0.1; done
expect "import" sha256 docker import "$work/root.tar" small

r="docker run --network none --rm"
expect "run" '^hello$' $r small echo hello
code "exit code" 3 $r small sh -c 'exit 3'
code "no such command" 127 $r small nothere
code "not executable" 126 $r small /etc/passwd
expect "--user" 'uid=12 gid=34' $r --user 12:34 small id
expect "--workdir" '^/tmp/x$' $r -w /tmp/x small pwd
expect "-e" '^v$' $r -e A=v small sh -c 'echo $A'
expect "--read-only" 'Read-only' $r --read-only small touch /x
expect "--tmpfs" 'on /m type tmpfs' $r --tmpfs /m:size=1m small mount
expect "--hostname" '^hh$' $r --hostname hh small cat /proc/sys/kernel/hostname
expect "--ulimit" '^77$' $r --ulimit nofile=77:77 small sh -c 'ulimit -n'
expect "--cap-drop" 'CapEff:.0000000000000000' $r --cap-drop ALL small grep CapEff /proc/self/status
expect "no-new-privileges" 'NoNewPrivs:.1' $r --security-opt no-new-privileges small grep NoNewPrivs /proc/self/status
expect "the default seccomp profile" 'Seccomp:.2' $r small grep Seccomp: /proc/self/status
printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":95}]}' >"$work/seccomp.json"
expect "a seccomp profile" 'Operation not supported' $r --security-opt "seccomp=$work/seccomp.json" small mkdir /x
expect "--shm-size" ' 8192 ' $r --shm-size 8m small df /dev/shm
expect "--device" '^crw' $r --device /dev/zero:/dev/zz small ls -l /dev/zz
expect "--pid host" '^ok$' $r --pid host small echo ok
mkdir "$work/v"; echo hi >"$work/v/f"
expect "a bind mount" '^hi$' $r -v "$work/v:/v" small cat /v/f
expect "read-only" 'Read-only' $r -v "$work/v:/v:ro" small touch /v/g
expect "a volume" '^x$' $r -v vol1:/v small sh -c 'echo x >/v/a; cat /v/a'
expect "-it" 'ok' script -qec "docker run -it --network none --rm small sh -c 'test -t 0 && echo ok'" /dev/null

expect "run -d" '^[0-9a-f]{64}$' docker run --network none -d --name d1 small sh -c 'echo log; trap "exit 7" TERM; while :; do sleep 0.1; done'
expect "logs" '^log$' docker logs d1
expect "exec" '^in$' docker exec d1 echo in
code "exec's exit code" 9 docker exec d1 sh -c 'exit 9'
expect "exec -u" 'uid=5' docker exec -u 5 d1 id
expect "exec -t" 'ok' script -qec "docker exec -t d1 sh -c 'test -t 1 && echo ok'" /dev/null
expect "top" '^root +[0-9]+ ' docker top d1
expect "stats" '[0-9]%' docker stats --no-stream d1
echo cp >"$work/cp"
code "cp in" 0 docker cp "$work/cp" d1:/root/cp
expect "is there" '^cp$' docker exec d1 cat /root/cp
docker exec d1 sh -c 'echo out >/root/out'
code "cp out" 0 docker cp d1:/root/out "$work/out"
expect "arrived" '^out$' cat "$work/out"
expect "diff" '^A /root/out$' docker diff d1
code "update" 0 docker update -m 128m --memory-swap 256m d1
expect "is seen inside" ' 131072 kB' docker exec d1 grep MemTotal /proc/meminfo
code "pause" 0 docker pause d1
expect "is paused" Paused docker ps
code "unpause" 0 docker unpause d1
expect "commit" sha256 docker commit d1 img1
code "stop" 0 docker stop -t 5 d1
expect "its exit code" '^7$' docker inspect -f '{{.State.ExitCode}}' d1
code "start again" 0 docker start d1
code "restart" 0 docker restart -t 1 d1
code "kill" 0 docker kill d1
expect "wait" '^137$' docker wait d1
code "rm" 0 docker rm -f d1
expect "an OOM kill is seen" true sh -c 'docker run --network none -d --name d2 -m 32m small tail /dev/zero >/dev/null; docker wait d2; docker inspect -f "{{.State.OOMKilled}}" d2; docker rm d2'
expect "build" 'Successfully built' sh -c 'printf "FROM small\nENV PATH=/bin\nRUN echo built >/built\nRUN grep built /built\n" | docker build --network none -'
expect "nothing is left running" '^0$' sh -c 'docker ps -q | wc -l'
