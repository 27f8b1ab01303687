/*
 * ptrace(2) for guests (kernel/ptrace*.c): what the rest of the kernel calls. All
 * are cheap when nobody is traced.
 */
#ifndef GARRISON_SENTRY_KERNEL_PTRACE_H
#define GARRISON_SENTRY_KERNEL_PTRACE_H

#include <sys/ptrace.h>

#include "sentry/kernel/task.h"

struct wait_request;
struct wait_result;

static inline bool ptrace_is_traced(const struct task *t)
{
	return atomic_load(&((struct task *)t)->traced);
}

/* ptrace(2) by t. */
long ptrace_request(struct task *t, unsigned int request, int pid, uint64_t addr, uint64_t data);

/* Writes to mm, read-only private pages too, through a task of it that t traces and that is
 * stopped: bytes or -errno. For /proc/PID/mem. */
ssize_t ptrace_poke_mm(struct task *t, struct mm *mm, uaddr to, const void *from, size_t n);

/* By the traced task itself, no locks held: it stops and waits for its tracer. */
/* A signal is about to be delivered: the signal to deliver instead, 0 for none. */
int ptrace_signal_stop(struct task *t, int sig, siginfo_t *info);
/* PTRACE_EVENT_*: if the tracer asked for this event. Cheap otherwise. */
void ptrace_event(struct task *t, int event, uint64_t message);
/* The same about a task, by its number in the container: the tracer is told its own. */
void ptrace_event_task(struct task *t, int event, int tid);
/* A filter said SECCOMP_RET_TRACE: false if no tracer asked for that. */
bool ptrace_seccomp_event(struct task *t, uint32_t data);
/* PTRACE_INTERRUPT, an attach's SIGSTOP, or a group stop (sig) of a seized task. */
void ptrace_trap_stop(struct task *t);
/* A group stop by sig of a tracee: its tracer is told, instead of sleeping as stopped. */
void ptrace_group_stop(struct task *t, int sig);
/* Syscall entry and exit. Entry: false if the call is not to be made. */
bool ptrace_syscall_enter(struct task *t);
void ptrace_syscall_exit(struct task *t);
/* A single step or int3 needs no hook: it arrives as SIGTRAP. */

/* clone: the child starts out traced by the parent's tracer if that asked for it. Under tasklist
 * and the child's sighand lock. */
void ptrace_clone_locked(struct task *parent, struct task *child, int event);
/* Under tasklist: t has exited: its tracer hears of it; its own tracees are let go. True: t stays
 * listed until its tracer has waited for it. */
bool ptrace_exit_locked(struct task *t);
/* Gives up all that t traces; ptrace_exit_locked does it too. */
void ptrace_release_tracees_locked(struct task *t);
/* Under tasklist: a tracee with something to report: 1; nothing yet: 0; no tracee fits: -1. */
int ptrace_wait_locked(struct task *t, const struct wait_request *req, struct wait_result *out);
/* Under tasklist: may the real parent see this zombie already? */
bool ptrace_hides_zombie(struct process *p);
/* Under tasklist: p is a zombie; its tracer, if that is not its parent, hears of it first. */
void ptrace_zombie_locked(struct process *p);
void ptrace_exec(struct task *t, int old_tid);
/* Under the sighand's lock: SIGCONT came. */
void ptrace_group_continued(struct task *t);
void ptrace_free(struct task *t);
int ptrace_tracer_tid(struct task *t); /* 0 none: TracerPid in /proc */

#endif
