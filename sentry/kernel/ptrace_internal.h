/* Shared by kernel/ptrace.c (the tracee's side) and ptrace_request.c (the tracer's). */
#ifndef GARRISON_SENTRY_KERNEL_PTRACE_INTERNAL_H
#define GARRISON_SENTRY_KERNEL_PTRACE_INTERNAL_H

#include "sentry/kernel/internal.h"
#include "sentry/kernel/ptrace.h"

#ifndef PTRACE_EVENT_STOP
#define PTRACE_EVENT_STOP 128
#endif

enum { CALL_NONE, CALL_POSTED, CALL_DONE };

/*
 * Made at the first attachment and kept until the task goes. Everything is under
 * tasklist, but what the tracee alone touches while it runs and the tracer while it
 * is stopped (info, message, syscall_op).
 */
struct ptrace_state {
	struct list node;	/* in tracer->tracees */
	struct task *task;	/* the tracee: it owns this */
	struct process *tracer; /* borrowed: lets go of its tracees when it ends; NULL: none */
	uint64_t tracer_serial; /* the thread of it that attached */
	int tracer_tid;
	unsigned int options; /* PTRACE_O_* */
	bool seized;
	atomic_bool stopped;  /* in a ptrace-stop */
	bool unreported;      /* the stop has not been waited for */
	bool zombie_reported; /* the tracer has seen the end; now the parent may */
	int code;	      /* wait status >> 8 */
	bool has_info;
	siginfo_t info;
	uint64_t message; /* PTRACE_GETEVENTMSG */
	int resume_signal;
	bool step;
	int syscall_op; /* PTRACE_SYSCALL_INFO_* of this stop */
	uint32_t seccomp_data;

	/* Something that only the tracee's own thread may do (ptrace_remote). */
	atomic_uint call_state; /* CALL_* */
	long (*call)(struct task *t, void *arg);
	void *call_arg;
	long call_result;
};

/* Under tasklist. */
void ptrace_link_locked(struct task *t, struct task *tracer, struct process *process,
			unsigned int options, bool seized);
void ptrace_unlink_locked(struct task *t);
/* Ends t's stop, if it is in one. */
void ptrace_resume_locked(struct task *t);
/* Runs fn on the stopped tracee's thread; -ESRCH if it stops being stopped. No locks held. */
long ptrace_remote(struct task *t, long (*fn)(struct task *t, void *arg), void *arg);

#endif
