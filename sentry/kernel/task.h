/*
 * Tasks and processes.
 *
 * A `task` is a guest thread: one host thread of the sentry runs it (task_run)
 * as plain blocking C. A `process` is a thread group (Linux: signal_struct and
 * the group's leader together). The rest is refcounted and shared by clone flags.
 *
 * Locks: the process tree (parent, children, groups, sessions, the pid table,
 * exit states) is under `tasklist` (RANK_TASKLIST); signal state is under the
 * sighand's lock (RANK_SIGHAND). Fields marked "own" are touched by the task's
 * own thread only, or by others while it is stopped under ptrace.
 */
#ifndef GARRISON_SENTRY_KERNEL_TASK_H
#define GARRISON_SENTRY_KERNEL_TASK_H

#include <sys/resource.h>

#include "common/list.h"
#include "common/refcount.h"
#include "sentry/abi/signal.h"
#include "sentry/core/cred.h"
#include "sentry/core/guest_access.h"
#include "sentry/core/sleeper.h"
#include "sentry/core/waitq.h"
#include "sentry/fs/fdtable.h"
#include "sentry/fs/fs_context.h"
#include "sentry/mm/mm.h"
#include "sentry/platform/platform.h"

struct container;
struct process;
struct session;
struct tty;
struct pid;
struct ptrace_state;
struct posix_timers;

/* Signals waiting for a task or a process: the set, and queued siginfo. */
struct sigpending {
	ksigset set;
	struct list queue; /* struct sigqueue.node, oldest first */
};

struct sighand {
	struct refcount ref;
	struct mutex lock;		 /* RANK_SIGHAND */
	struct ksigaction action[KNSIG]; /* guarded by lock */
	struct waitq signalfd_wq;	 /* woken when a signal is queued */
};

/* task.work: why the task must look around before it goes back to the guest. */
#define WORK_SIGNAL BIT(0) /* a signal may be deliverable */
#define WORK_EXIT BIT(1)   /* the group is exiting, or another thread execs */
#define WORK_STOP BIT(2)   /* group stop or ptrace */
#define WORK_RUN BIT(3)	   /* task.todo is not empty */

struct task {
	struct refcount ref;
	struct guest_access access; /* how fs/ and net/ reach this caller's memory */
	int tid;		    /* in the container's pid namespace; immutable */
	struct process *process;    /* immutable but for execve of a non-leader; owned */
	struct list thread_node;    /* in process->threads; tasklist */

	struct pf_thread *pt;	     /* own; NULL once exited */
	struct mm *mm;		     /* own, others: task_get_mm; NULL once exited */
	struct fdtable *files;	     /* own, others: task_get_files */
	struct fs_context *fs;	     /* own, others: task_get_fs */
	struct sighand *sighand;     /* immutable but for execve */
	struct cred *cred;	     /* own to write; others: task_get_cred */
	struct mutex alloc_lock;     /* RANK_LEAF: guards the six pointers above for others */
	struct container *container; /* immutable; borrowed */

	struct sleeper *sleeper; /* its thread's */
	atomic_uint work;	 /* WORK_* */
	atomic_bool in_guest;	 /* inside pf_run */
	atomic_int state;	 /* what /proc shows: 'R', 'S', 'D', 'T', 't', 'Z', 'X' */
	char comm[16];		 /* alloc_lock */

	/* signals */
	struct sigpending pending; /* sighand->lock */
	ksigset blocked;	   /* own to write, sighand->lock to write; */
	ksigset saved_blocked;	   /* own: for sigsuspend, ppoll, ... */
	bool restore_blocked;	   /* own */
	struct kstack altstack;	   /* own */
	int fault_signal;

	/* syscall in progress; own */
	int64_t syscall_nr; /* -1: none */
	uint64_t syscall_args[6];
	/* restart_syscall(2) */
	long (*restart_fn)(struct task *t);
	uint64_t restart_data[4];

	/* exit */
	uaddr clear_child_tid, robust_list; /* own */
	int exit_signal;		    /* to the parent; 0 none */
	int exit_code;			    /* wait status, once exiting */
	struct vfork_wait *vfork;	    /* who waits for us to exec or exit */
	struct pid *pid;		    /* tasklist */

	struct ptrace_state *ptrace; /* kernel/ptrace.c; NULL: not traced, not tracing */

	/* times: ns */
	uint64_t start_time; /* CLOCK_MONOTONIC */
	uint64_t min_flt, nvcsw, nivcsw;
	int nice, sched_policy, sched_priority;
	uint64_t affinity[16]; /* 1024 CPUs */
	uint64_t timer_slack;
	int pdeath_signal;
	int io_prio;
	uint64_t personality;
	int seccomp_mode; /* of the guest's own making: kernel/seccomp.c */
	struct guest_seccomp *seccomp;

	/* The last syscalls, for panic and `garrison debug` */
	struct {
		uint16_t nr;
		int64_t result;
	} history[16];
	unsigned int history_next;
};

struct process {
	struct refcount ref;
	int tgid; /* immutable */
	struct container *container;

	/* tasklist */
	struct task *leader;
	struct list threads;
	int nthreads, live_threads;
	struct process *parent; /* borrowed: a parent reparents its children before it goes */
	struct list children, sibling;
	struct pgrp *pgrp;
	struct list pgrp_node;
	struct session *session;
	bool zombie, exiting, execing, reaped, stopped_report, continued_report, is_subreaper,
	    has_subreaper, did_exec;
	int exit_code;	      /* wait status */
	struct waitq wait_wq; /* wait4 callers of this process sleep here */
	struct waitq pidfd_wq;
	struct task *exec_task;

	/* sighand->lock (of any of its tasks: all share one) */
	struct sigpending pending;
	int group_stop_signal;
	int group_stop_count;
	bool group_exit;
	int group_exit_code;

	struct mutex limit_lock;    /* RANK_LEAF */
	struct rlimit64 limits[16]; /* limit_lock */

	struct posix_timers *timers; /* kernel/posix_timer.c; itimers too */
	/* of dead threads and of reaped children; tasklist */
	struct rusage dead_usage, child_usage;
	uint64_t start_time;
	int oom_score_adj;
	struct tty *tty; /* session leader's and members': through session */
};

static inline struct task *task_from_access(struct guest_access *ga)
{
	return container_of(ga, struct task, access);
}

/* The task that the calling host thread runs; NULL on other threads. Only kernel/ and sys/
 * use it, and only where no task was passed in. */
struct task *task_current(void);

struct task *task_get(struct task *t);
void task_put(struct task *t);

/* Owned references to another task's parts, or NULL when it has exited. */
struct mm *task_get_mm(struct task *t);
struct fdtable *task_get_files(struct task *t);
struct fs_context *task_get_fs(struct task *t);
struct cred *task_get_cred(struct task *t); /* never NULL */

/* By number in the container's pid namespace; owned, or NULL. */
struct task *task_find(struct container *c, int tid);
struct process *process_find(struct container *c, int tgid);
struct process *process_get(struct process *p);
void process_put(struct process *p);
/* Every process of the container, by rising tgid: the first with tgid >= from; owned. */
struct process *process_next(struct container *c, int from);
/* Threads of a process: the first with tid >= from; owned, or NULL. */
struct task *process_next_task(struct process *p, int from);

/* Wakes the task wherever it is: in the guest or in a sleep. Any thread. */
void task_kick(struct task *t);
void task_add_work(struct task *t, unsigned int work);

/* True if the sleeping task must go back and handle a signal, an exit or a stop. */
bool task_interrupted(struct task *t);

/*
 * Sleeps until woken, `deadline` (CLOCK_MONOTONIC ns, SLEEP_FOREVER) or an interruption:
 * 0, -ETIMEDOUT or -ERESTARTSYS. The caller has put its waiters in place.
 */
int task_sleep(struct task *t, uint64_t deadline) MUST_CHECK;

uint64_t task_rlimit(struct task *t, int resource); /* the soft limit */
void task_mm_limits(struct task *t, struct mm_limits *out);
/* A walk_env with owned copies of root and cwd: end it with task_walk_end. */
struct task_walk {
	struct path root, cwd;
	struct cred *cred;
};
void task_walk_begin(struct task *t, struct task_walk *w, struct walk_env *env);
void task_walk_end(struct task_walk *w);

#endif
