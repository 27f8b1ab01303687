# what ps, top, free, lscpu, lsof and friends read
ps -ef | grep -q 'ps -ef'; ps aux >/dev/null; ps -eLf >/dev/null; pstree -p >/dev/null
top -b -n 1 | grep -q '^ *PID'
free -m | grep -q '^Mem:'; uptime | grep -q 'load average'
[ "$(nproc)" -ge 1 ]; lscpu | grep -q '^Architecture: *x86_64'
vmstat 1 2 >/dev/null; lsof -p $$ | grep -q cwd
mount | grep -q ' on /proc type proc'; df -h / | grep -q '%'; findmnt / >/dev/null
cat /proc/self/status | grep -q '^Name:'; [ -n "$(cat /proc/self/cmdline | tr '\0' ' ')" ]
readlink /proc/self/exe | grep -q bin; ls -l /proc/self/fd | grep -q '/proc'
id; [ "$(hostname)" = garrison ]; uname -a >/dev/null; getconf -a >/dev/null; stat / /dev/null /proc >/dev/null
pmap $$ | grep -q total; prlimit --pid $$ >/dev/null; tty || true; w >/dev/null || true; dmesg >/dev/null 2>&1 || true
