/*
 * Host calls that libc makes by itself, and therefore have no wrapper. Each tag
 * says on whose behalf. (glibc 2.36; a call that a newer one makes shows up as a
 * panic that names it, see confine_seccomp.c.)
 *
 * malloc: #host: brk,munmap,mremap sentry gofer
 * The heap and thread stacks are never executable:
 * #host: mmap[2&4=0] sentry gofer
 * #host: mprotect[2&4=0] sentry gofer
 * free and thread stacks: #host: madvise sentry gofer
 * malloc arenas count CPUs: #host: sched_getaffinity sentry gofer
 * pthread_create (clone3 is refused, so it falls back to clone): a thread, never a process:
 * #host: clone[0&0x10100=0x10100] sentry gofer
 * #host: set_robust_list,rseq sentry gofer
 * locks and joins: #host: futex sentry gofer
 * signal masks around thread creation, abort, raise:
 * #host: rt_sigprocmask,rt_sigaction sentry gofer
 * #host: rt_sigreturn,restart_syscall,sigaltstack sentry gofer
 * #host: tgkill,gettid,getpid sentry gofer
 * #host: exit,exit_group sentry gofer
 * #host: sched_yield,getrandom sentry gofer
 * stack size of new threads: #host: prlimit64[2&0xffffffff=0] sentry gofer
 * the clock, where the vDSO cannot answer:
 * #host: clock_gettime,gettimeofday,time sentry gofer
 * a backtrace checks whether memory is readable (libunwind):
 * #host: mincore,pipe2 sentry gofer
 */
#include "common/base.h"

/* A file must hold a declaration. */
struct host_libc;
