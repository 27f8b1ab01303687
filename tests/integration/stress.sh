#!/bin/bash
# stress-ng with --verify: every stressor that needs no device or kernel module and
# does not fail the same under crun (reboot: EPERM; tmpfs: wants a large tmpfs) or fill the
# disk (resources: a file of as many pages as each of its pids says),
# SECONDS each (STRESS_SECONDS, default 1): no hang, no panic, no failed check.
#   stress.sh [STRESSOR...]
. "$(dirname "$0")/lib.bash"
PLATFORMS=${GARRISON_PLATFORMS:-systrap}
seconds=${STRESS_SECONDS:-1}
need_rootfs
default="access affinity aio-skip alarm bad-altstack brk cap chdir chmod chown clock clone close cpu
daemon dentry dir dirdeep dirmany dup dynlib-skip enosys env epoll eventfd exec exit-group fallocate
fault fcntl fiemap-skip fifo file-ioctl filename flock fork fp-error fpunch fstat full funccall
funcret futex get getdent getrandom goto handle-skip hdd hsearch icache idle-page-skip inode-flags-skip
inotify itimer kcmp kill landlock link locka lockf lockofd longjmp lsearch madvise malloc matrix mcontend
membarrier memcpy memfd memrate memthrash mincore mknod mlock mmap mmapaddr mmapfixed mmapfork
mmaphuge mmapmany mprotect mq mremap msg msync munmap mutex nanosleep nice nop null open
pageswap pidfd pipe pipeherd pkey poll prctl procfs pthread ptrace pty qsort rawdev-skip readahead
remap rename resched resources-skip revio ring-pipe rlimit rmap-skip rseq schedpolicy secretmem seek
sem sem-sysv sendfile session set shellsort shm shm-sysv sigabrt sigchld sigfd sigfpe sigio signal
signest sigpending sigpipe sigq sigrt sigsegv sigsuspend sigtrap skiplist sleep sock splice stack
stackmmap stream switch symlink sync-file sysinfo syscall tee timer timerfd tlb-shootdown touch
tree tsc tsearch tun-skip udp unshare userfaultfd utime vdso vecmath vfork vforkmany vm vm-segv vm-splice
wait x86syscall yield zero zlib zombie"
# None may fill the disk that the tests share with others.
small="--hdd-bytes 64m --fallocate-bytes 64m --revio-bytes 64m --readahead-bytes 64m --seek-size 64m
--sync-file-bytes 64m --msync-bytes 64m"
# A stressor that finds its call absent says so and exits 0, 3 or 4: report that as a skip.
stressor() {
	check "stress-ng $2 on $1" in_root "$1" 0 $((seconds + 120)) \
		stress-ng --"$2" 2 --timeout "${seconds}s" --verify --oomable --temp-path /tmp $small >"$work/result"
	if grep -q 'skipping stressor\|skipped' "$work/out"; then
		echo "skip stress-ng $2 on $1: $(grep -m1 -o 'skipp.*' "$work/out")"
	else
		cat "$work/result"
	fi
}

for platform in $PLATFORMS; do
	for s in ${*:-$default}; do
		case $s in *-skip) continue ;; esac
		stressor "$platform" "$s"
	done
done
