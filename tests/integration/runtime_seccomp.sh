#!/bin/bash
# linux.seccomp: the guest's own calls are filtered by the sentry, of its init and of execs.
. "$(dirname "$0")/runtime/lib.bash"

# filter DEFAULT RULES: Python text for the configuration.
filter() { echo 'c["linux"]["seccomp"]={"defaultAction":"SCMP_ACT_'"$1"'","architectures":["SCMP_ARCH_X86_64"],"syscalls":['"$2"']}'; }
mkdirs='{"names":["mkdir","mkdirat","nosuchcall"],"action":"SCMP_ACT_ERRNO","errnoRet":95}'

bundle "$work/a" "$(filter ALLOW "$mkdirs"); sh('mkdir /x; grep Seccomp: /proc/self/status')"
out=$(g run --bundle "$work/a" s1 2>&1)
like "a call is refused with the errno of the rule" "$out" 'Operation not supported'
like "the mode is seen inside" "$out" 'Seccomp:.2'
bundle "$work/k" "$(filter ALLOW '{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_KILL_PROCESS"}'); sh('mkdir /x; echo rc=\$?')"
like "a call kills" "$(g run --bundle "$work/k" s2 2>&1)" 'rc=159'
bundle "$work/c" "$(filter ALLOW '{"names":["personality"],"action":"SCMP_ACT_ERRNO","errnoRet":95,"args":[{"index":0,"value":8,"op":"SCMP_CMP_EQ"},{"index":0,"value":262144,"op":"SCMP_CMP_EQ"}]}'); sh('setarch x86_64 -R true; setarch x86_64 true; echo rc=\$?')"
out=$(g run --bundle "$work/c" s3 2>&1)
like "a condition on an argument" "$out" 'failed to set personality.*Operation not supported'
like "another value passes" "$out" 'rc=0'
python3 - >"$work/all.py" <<'P'
# Everything is allowed by name but sync: the default is EPERM, newer calls are ENOSYS.
import re
names = re.findall(r"define SYS_(\w+)", open("/usr/include/x86_64-linux-gnu/bits/syscall.h").read())
names = [n for n in names if n not in ("sync", "futex_waitv", "process_mrelease", "memfd_secret", "set_mempolicy_home_node", "cachestat", "fchmodat2")]
print('c["linux"]["seccomp"]={"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":%r,"action":"SCMP_ACT_ALLOW"}]}' % names)
P
probe='import ctypes; l=ctypes.CDLL(None,use_errno=True); print(*[(l.syscall(n),ctypes.get_errno()) for n in (162,449)])'
bundle "$work/d" "$(cat "$work/all.py"); c['process']['args']=['/usr/bin/python3','-c','$probe']"
is "the default, and calls newer than the profile" "$(g run --bundle "$work/d" s4 2>&1)" "(-1, 1) (-1, 38)"

bundle "$work/e" "$(filter ALLOW "$mkdirs"); sh('sleep 100')"
g create --bundle "$work/e" s5 >/dev/null 2>&1 </dev/null && g start s5
like "an exec is filtered, too" "$(g exec s5 mkdir /x 2>&1)" 'Operation not supported'
echo '{"args":["/bin/mkdir","/x"],"cwd":"/","env":["PATH=/bin"],"user":{"uid":0,"gid":0}}' >"$work/p.json"
like "also by --process" "$(g exec --process "$work/p.json" s5 2>&1)" 'Operation not supported'
g delete --force s5
is "nothing is left" "$(ls "$state")" ""
