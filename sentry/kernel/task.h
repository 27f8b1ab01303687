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
#include "sentry/core/timer.h"
#include "sentry/core/waitq.h"
#include "sentry/fs/fdtable.h"
#include "sentry/fs/fs_context.h"
#include "sentry/mm/mm.h"
#include "sentry/platform/platform.h"

struct container;
struct process;
struct session;
struct tty;
struct ptrace_state;
struct posix_timers;
struct pgrp;
struct vfork_wait;
struct task_birth;
struct guest_seccomp;
struct nsproxy;
struct pid_ns;

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

/* task.jobctl */
#define JOB_STOP_PENDING BIT(0) /* must take part in the group stop under way */
#define JOB_STOPPED BIT(1)	/* sleeps in a group stop */
#define JOB_TRAP_STOP BIT(2)	/* ptrace: PTRACE_INTERRUPT or attach wants a trap */
#define JOB_TRACED BIT(3)	/* sleeps in a ptrace stop */
#define JOB_LISTEN BIT(4)	/* ptrace: PTRACE_LISTEN */

/* task.trap */
#define TRAP_SYSCALL BIT(0) /* ptrace wants to see syscalls */
#define TRAP_SECCOMP BIT(1) /* the guest has seccomp filters of its own */
#define TRAP_EMU BIT(2)	    /* PTRACE_SYSEMU: seen, not run */
#define TRAP_STEP BIT(3)    /* single-stepping: a syscall is one step */

/* /proc/PID/io: bytes and calls of read(2), write(2) and their kin. A thread counts its own;
 * others may read. */
struct task_io {
	atomic_ullong rchar, wchar, syscr, syscw;
};

struct task {
	struct refcount ref;
	struct guest_access access; /* how fs/ and net/ reach this caller's memory */
	int tid;		    /* in the container's pid namespace; execve of a non-leader
				     * changes it, under tasklist */
	int own_tid;		    /* in its own pid namespace; changes as tid does */
	uint64_t serial;	    /* unique in the sentry for ever; immutable */
	struct process *process;    /* immutable but for execve of a non-leader; owned */
	struct list thread_node;    /* in process->threads; tasklist and sighand->lock */

	struct pf_thread *pt;		  /* own; NULL once exited */
	struct mm *mm;			  /* own, others: task_get_mm; NULL once exited */
	struct fdtable *files;		  /* own, others: task_get_files */
	struct fs_context *fs;		  /* own, others: task_get_fs */
	struct sighand *sighand;	  /* borrowed from process; immutable but for execve */
	struct cred *cred;		  /* own to write; others: task_get_cred */
	struct cred *former_cred;	  /* what `cred` was: see seccomp.c; owned */
	struct nsproxy *ns;		  /* own, others: task_get_namespaces; NULL once exited */
	struct pid_ns *pids_for_children; /* own, others under alloc_lock; NULL once exited */
	struct mutex alloc_lock;     /* RANK_LEAF: guards the eight pointers above for others */
	struct container *container; /* immutable; borrowed */
	struct account *payer;	     /* immutable; of the task and its thread */

	struct sleeper *sleeper; /* its thread's */
	atomic_uint work;	 /* WORK_* */
	atomic_bool in_guest;	 /* inside pf_run */
	atomic_uint guest_exits; /* how often it has come out of pf_run (membarrier) */
	atomic_int state;	 /* what /proc shows: 'R', 'S', 'D', 'T', 't', 'Z', 'X' */
	char comm[16];		 /* alloc_lock */

	/* signals */
	struct sigpending pending; /* sighand->lock */
	ksigset blocked;	   /* own to write, sighand->lock to write; */
	ksigset saved_blocked;	   /* own: for sigsuspend, ppoll, ... */
	bool restore_blocked;	   /* own */
	struct kstack altstack;	   /* own */
	unsigned int jobctl;	   /* JOB_*; sighand->lock */
	/* Of the last fault, for the signal frame; own. */
	struct {
		uint64_t trapno, error_code, addr;
	} fault;

	/* syscall in progress; own */
	int64_t syscall_nr; /* -1: none */
	uint64_t syscall_args[6];
	/* restart_syscall(2) */
	long (*restart_fn)(struct task *t);
	uint64_t restart_data[4];

	/* exit */
	uaddr clear_child_tid, robust_list; /* own */
	bool dying;			    /* own: the main loop ends */
	bool exited;		  /* no longer counted alive; tasklist and sighand->lock */
	int exit_code;		  /* wait status, once exiting */
	struct vfork_wait *vfork; /* who waits for us to exec or exit; own */
	struct task_birth *birth; /* what clone left for the first moments; own */

	struct ptrace_state *ptrace; /* kernel/ptrace.c; NULL: never traced; tasklist */
	atomic_bool traced;	     /* has a tracer; changes under tasklist and sighand->lock */
	atomic_uint trap;	     /* TRAP_*: slow path of every syscall */

	/* times: ns */
	uint64_t start_time; /* CLOCK_MONOTONIC */
	/* CPU time: wall time inside pf_run, and the CPU clock of its thread in the sentry. */
	atomic_ullong guest_ns, guest_since; /* guest_since 0: not in the guest */
	clockid_t cpu_clock;		     /* alloc_lock; valid while sleeper is set */
	uint64_t cpu_clock_start;	     /* what it showed when the task began */
	uint64_t system_ns;		     /* the final value once its thread has gone */
	uint64_t min_flt, nvcsw, nivcsw;
	struct task_io io; /* own */
	int nice, sched_policy, sched_priority;
	uint64_t affinity[16]; /* 1024 CPUs */
	uint64_t timer_slack;
	atomic_int pdeath_signal; /* its own, but its parent's end reads it */
	int io_prio;
	uint64_t personality;
	int mempolicy; /* get_mempolicy(2): the mode, and the nodes */
	uint64_t mempolicy_nodes;
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
	int tgid;	     /* immutable; in the container's pid namespace */
	int own_tgid;	     /* immutable; in its own */
	struct pid_ns *pids; /* immutable; its own; owned */
	struct container *container;
	struct sighand *sighand; /* owned; changes in execve only, under tasklist */
	bool unkillable;	 /* pid 1 of a namespace: default actions do not apply; immutable */
	bool passive;		 /* an init without a program (init.c); immutable */

	/* tasklist; threads, nthreads and live_threads change under sighand->lock too */
	struct task *leader;
	struct list threads; /* owns a reference on each */
	int nthreads, live_threads;
	struct process *parent; /* borrowed: a parent reparents its children before it goes */
	uint64_t parent_serial; /* the thread that forked it: pdeath signal, __WNOTHREAD */
	atomic_int ppid;	/* the parent's tgid; 0 none. Readable without the lock */
	int exit_signal;	/* to the parent; 0 none */
	struct list children, sibling, tracees;
	struct pgrp *pgrp;
	struct list pgrp_node;
	struct session *session;
	bool zombie, exiting, reaped, is_subreaper, did_exec;
	int exit_code;	      /* wait status */
	struct waitq wait_wq; /* wait4 callers of this process sleep here */
	struct waitq pidfd_wq;

	/* sighand->lock (of any of its tasks: all share one) */
	struct sigpending pending;
	int group_stop_signal;		       /* of the stop under way or complete; 0 none */
	int group_stop_count;		       /* threads that have yet to stop */
	bool stopped;			       /* all threads have stopped */
	bool stopped_report, continued_report; /* not yet waited for */
	bool group_exit;
	int group_exit_code;
	struct task *exec_task; /* waits in execve for all others to go */

	struct ktimer kill_timer; /* see process_insist */

	struct mutex limit_lock;    /* RANK_LEAF */
	struct rlimit64 limits[16]; /* limit_lock */

	struct posix_timers *timers; /* kernel/posix_timer.c; itimers too */
	/* of dead threads and of reaped children; tasklist */
	struct rusage dead_usage, child_usage;
	struct task_io dead_io; /* both together, as Linux counts it */
	uint64_t start_time;
	int oom_score_adj;
	atomic_uint membarrier; /* MEMBARRIER_CMD_REGISTER_* made */
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

/* By number in a pid namespace (task_pids: as the caller means it); owned, or NULL. */
struct task *task_find(struct pid_ns *ns, int tid);
struct process *process_find(struct pid_ns *ns, int tgid);
struct process *process_get(struct process *p);
void process_put(struct process *p);
/* Every process of the container, by rising tgid: the first with tgid >= from; owned. */
struct process *process_next(struct container *c, int from);
/* Every process that a namespace sees, by rising number in it, which *nr is set to; owned. */
struct process *process_next_in(struct pid_ns *ns, int from, int *nr);
/* Threads of a process: the first with tid >= from; owned, or NULL. */
struct task *process_next_task(struct process *p, int from);

/* Wakes the task wherever it is: in the guest or in a sleep. Any thread. */
void task_kick(struct task *t);
void task_add_work(struct task *t, unsigned int work);

/* True if the sleeping task must go back and handle a signal, an exit or a stop. */
bool task_interrupted(struct task *t);
/* True if it is being killed: ends also sleeps that signals do not. */
static inline bool task_killed(struct task *t)
{
	return atomic_load(&t->work) & WORK_EXIT;
}

/*
 * Sleeps until woken, `deadline` (CLOCK_MONOTONIC ns, SLEEP_FOREVER) or an interruption:
 * 0, -ETIMEDOUT or -ERESTARTSYS. The caller has put its waiters in place.
 */
int task_sleep(struct task *t, uint64_t deadline) MUST_CHECK;
/* The same, interrupted by a kill only (-EINTR). */
int task_sleep_killable(struct task *t, uint64_t deadline) MUST_CHECK;

/* Publishes new credentials of the calling task; takes the reference. */
void task_set_cred(struct task *t, struct cred *cred);
static inline bool task_capable(struct task *t, int cap)
{
	return cred_capable(t->cred, cap);
}
static inline bool task_ns_capable(struct task *t, const struct user_ns *ns, int cap)
{
	return cred_ns_capable(t->cred, ns, cap);
}

/* Identities at the border: as t's user namespace shows and knows them (INVALID_ID: it does not). */
static inline uint32_t task_show_uid(const struct task *t, uint32_t uid)
{
	return user_ns_show(t->cred->user_ns, ID_UID, uid);
}
static inline uint32_t task_show_gid(const struct task *t, uint32_t gid)
{
	return user_ns_show(t->cred->user_ns, ID_GID, gid);
}
static inline uint32_t task_take_uid(const struct task *t, uint32_t uid)
{
	return user_ns_in(t->cred->user_ns, ID_UID, uid);
}
static inline uint32_t task_take_gid(const struct task *t, uint32_t gid)
{
	return user_ns_in(t->cred->user_ns, ID_GID, gid);
}
void task_get_comm(struct task *t, char comm[16]);
void task_set_comm(struct task *t, const char *comm);

/* CPU time so far, in ns: of a task; of a process with its dead threads. Any thread. */
void task_times(struct task *t, uint64_t *user, uint64_t *system);
void process_times(struct process *p, uint64_t *user, uint64_t *system);
/* Counts a call of the calling thread; its result in bytes, or -errno. */
void task_count_read(struct task *t, long result);
void task_count_write(struct task *t, long result);
void task_io_add(struct task_io *to, const struct task_io *from);
/* Adds what the process's threads, dead ones and reaped children have done; under tasklist. */
void process_io_locked(struct process *p, struct task_io *to);
int process_count_threads(struct process *p);
/* How many tasks a container has (sysinfo, /proc/loadavg). */
int container_count_tasks(struct container *c);

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
