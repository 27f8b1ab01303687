#!/bin/bash
# Every malformed or unsupported field of config.json that matters is named in the error,
# with the file and the reason; nothing is left behind, nothing crashes.
. "$(dirname "$0")/runtime/lib.bash"

bundle "$work/good" ''
g run --bundle "$work/good" good; is "the unchanged configuration runs" $? 0

# EDIT | FIELD | REASON (both regular expressions)
while IFS='|' read -r edit field reason; do
	[ -n "$edit" ] || continue
	bundle "$work/bad" "$edit"
	err=$(g create --bundle "$work/bad" bad 2>&1 </dev/null); code=$?
	if [ $code = 1 ] && printf '%s' "$err" | grep -qE "/bad/config\.json: $field: .*$reason"; then
		ok "$edit"
	else
		not_ok "$edit" "exit $code: $err"
	fi
	[ -e "$state/bad" ] && { not_ok "nothing is left of it: $edit"; g delete --force bad; }
done <<'TABLE'
del c["ociVersion"]|ociVersion|missing
c["ociVersion"]="2.0.0"|ociVersion|not supported
c["ociVersion"]=1|ociVersion|must be a string, is a number
c["windows"]={}|windows|Linux containers only
del c["root"]|root|missing
c["root"]=[]|root|must be an object
c["root"]={}|root.path|missing
c["root"]["path"]="/no/such/root"|root.path|/no/such/root: no such file
c["root"]["path"]="config.json"|root.path|not a directory
c["root"]["readonly"]="yes"|root.readonly|must be true or false, is a string
del c["process"]|process|missing
c["process"]=1|process|must be an object
c["process"]["args"]=[]|process.args|must name a command
c["process"]["args"]=[""]|process.args|empty
c["process"]["args"]="sh"|process.args|must be an array, is a string
c["process"]["args"]=["sh",1]|process.args|element 1 must be a string
c["process"]["args"]=["a\0b"]|process.args|NUL
c["process"]["env"]=[1]|process.env|element 0
c["process"]["cwd"]="usr"|process.cwd|absolute path, is "usr"
del c["process"]["cwd"]|process.cwd|missing
c["process"]["user"]={"uid":-1}|process.user.uid|between 0 and
c["process"]["user"]={"uid":"root"}|process.user.uid|must be a whole number
c["process"]["user"]={"additionalGids":["x"]}|process.user.additionalGids|element 0
c["process"]["capabilities"]={"bounding":"all"}|process.capabilities.bounding|must be an array
c["process"]["rlimits"]=[{"type":"RLIMIT_FOO","soft":1,"hard":1}]|process.rlimits\[0\].type|unknown resource limit "RLIMIT_FOO"
c["process"]["rlimits"]=[{"type":"RLIMIT_CORE","soft":2,"hard":1}]|process.rlimits\[0\].soft|must not exceed hard
c["process"]["rlimits"]=[1]|process.rlimits\[0\]|must be an object
c["process"]["terminal"]="no"|process.terminal|must be true or false
c["process"]["oomScoreAdj"]=2000|process.oomScoreAdj|between -1000 and 1000
c["process"]["consoleSize"]={"height":1}|process.consoleSize.width|missing
c["hostname"]="x"*65|hostname|64 bytes
c["hostname"]=7|hostname|must be a string
c["mounts"]={}|mounts|must be an array
c["mounts"]=[7]|mounts\[0\]|must be an object
c["mounts"][1]={"type":"tmpfs"}|mounts\[1\].destination|missing
c["mounts"][1]["destination"]="dev"|mounts\[1\].destination|absolute path
c["mounts"][0]["type"]="ext4"|mounts\[0\].type|"ext4" is not supported
c["mounts"][0]["type"]=""|mounts\[0\].type|missing
c["mounts"].append({"destination":"/x","type":"bind"})|mounts\[5\].source|missing
c["mounts"].append({"destination":"/x","type":"bind","source":"/no/such/dir"})|mounts\[5\].source|/no/such/dir: .*no such file
c["mounts"][0]["options"]="ro"|mounts\[0\].options|must be an array
c["linux"]=1|linux|must be an object
c["linux"]["namespaces"]=[{"type":"foo"}]|linux.namespaces\[0\].type|unknown namespace "foo"
c["linux"]["namespaces"]=[{"type":"pid"},{"type":"pid"}]|linux.namespaces\[1\].type|named twice
c["linux"]["namespaces"]=[{"type":"network","path":"x"}]|linux.namespaces\[0\].path|absolute path
c["linux"]["devices"]=[{"path":"/dev/x","type":"q"}]|linux.devices\[0\].type|must be c, u, b or p
c["linux"]["devices"]=[{"path":"/dev/x","type":"c"}]|linux.devices\[0\].major|missing
c["process"]["user"]["additionalGids"]=[4294967297]|process.user.additionalGids|element 0 must be a number from 0
c["linux"]["resources"]={"memory":{"limit":"1G"}}|linux.resources.memory.limit|must be a whole number
c["linux"]["resources"]={"memory":{"limit":20,"swap":10}}|linux.resources.memory.swap|less than
c["linux"]["resources"]={"pids":[]}|linux.resources.pids|must be an object
c["linux"]["cgroupsPath"]="/../x"|linux.cgroupsPath|must not contain
c["linux"]["maskedPaths"]="/proc"|linux.maskedPaths|must be an array
c["linux"]["seccomp"]={}|linux.seccomp.defaultAction|missing
c["linux"]["seccomp"]={"defaultAction":"SCMP_ACT_NOTIFY"}|linux.seccomp.defaultAction|"SCMP_ACT_NOTIFY" is not supported
c["linux"]["seccomp"]={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"x"}]}|linux.seccomp.syscalls\[0\].action|"x" is not supported
c["linux"]["seccomp"]={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["read"],"action":"SCMP_ACT_LOG","args":[{"index":6,"value":0,"op":"SCMP_CMP_EQ"}]}]}|linux.seccomp.syscalls\[0\].args\[0\].index|between 0 and 5
c["linux"]["intelRdt"]={}|linux.intelRdt|not supported
TABLE

# Broken files
mkdir -p "$work/bad"
printf '{"ociVersion": "1.0.2",\n "process": }' >"$work/bad/config.json"
like "a syntax error is placed" "$(g create --bundle "$work/bad" bad 2>&1)" '/bad/config\.json: line 2, column'
printf '[]' >"$work/bad/config.json"
like "not an object" "$(g create --bundle "$work/bad" bad 2>&1)" '/bad/config\.json: must be a JSON object'
: >"$work/bad/config.json"
like "an empty file" "$(g create --bundle "$work/bad" bad 2>&1)" '/bad/config\.json: line'
rm "$work/bad/config.json"
like "a missing file" "$(g create --bundle "$work/bad" bad 2>&1)" 'cannot read .*/bad/config\.json: no such file'
like "a missing bundle" "$(g create --bundle "$work/none" bad 2>&1)" '--bundle .*/none: no such file'
bundle "$work/tty" 'c["process"]["terminal"]=True'
like "a terminal without console socket" "$(g create --bundle "$work/tty" bad 2>&1)" 'process.terminal is true: --console-socket'
like "a console socket without terminal" "$(g create --bundle "$work/good" --console-socket /x bad 2>&1)" 'process.terminal .* false'
like "a console socket that is not there" "$(g create --bundle "$work/tty" --console-socket /no/sock bad 2>&1)" '--console-socket: cannot connect to /no/sock'
is "nothing is left of all these" "$(ls "$state")" ""

# Numbers above 2^63, as Go writes "unlimited"
bundle "$work/big" 'c["process"]["rlimits"]=[{"type":"RLIMIT_NOFILE","soft":18446744073709551615,"hard":18446744073709551615}]; sh("ulimit -n")'
is "an unlimited rlimit" "$(g run --bundle "$work/big" big 2>&1)" unlimited

bundle "$work/device" 'c["linux"]["devices"]=[{"path":"/dev/sub/zero","type":"c","major":1,"minor":5}]; sh("test -c /dev/sub/zero")'
g run --bundle "$work/device" device </dev/null; is "a device below a directory that is made for it" $? 0
