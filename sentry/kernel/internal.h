/* What the files of kernel/ that make up tasks and signals share among themselves only. */
#ifndef GARRISON_SENTRY_KERNEL_INTERNAL_H
#define GARRISON_SENTRY_KERNEL_INTERNAL_H

#include "sentry/kernel/lifecycle.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tasklist.h"

/* --- task.c --- */
struct task *task_new(struct process *p);
/* Takes the sighand. */
struct process *process_new(struct container *c, struct sighand *sighand);
void task_set_current(struct task *t);
/* The calling thread becomes t's, and ceases to be. */
void task_enter_thread(struct task *t);
void task_leave_thread(struct task *t);
void process_times_locked(struct process *p, uint64_t *user, uint64_t *system);

/* --- signal_queue.c: all under the sighand's lock --- */
struct posix_timer;

struct sigqueue {
	struct list node;
	struct account *payer;
	struct posix_timer *timer; /* part of this timer, which it keeps a reference on; or NULL */
	siginfo_t info;
};

struct sighand *sighand_new(void);
struct sighand *sighand_dup(struct sighand *sh);
void sighand_put(struct sighand *sh);

#define SIG_STOP_SET (KSIGBIT(SIGSTOP) | KSIGBIT(SIGTSTP) | KSIGBIT(SIGTTIN) | KSIGBIT(SIGTTOU))
#define SIG_IGNORE_SET (KSIGBIT(SIGCHLD) | KSIGBIT(SIGCONT) | KSIGBIT(SIGURG) | KSIGBIT(SIGWINCH))
#define SIG_CORE_SET                                                                               \
	(KSIGBIT(SIGQUIT) | KSIGBIT(SIGILL) | KSIGBIT(SIGTRAP) | KSIGBIT(SIGABRT) |                \
	 KSIGBIT(SIGFPE) | KSIGBIT(SIGSEGV) | KSIGBIT(SIGBUS) | KSIGBIT(SIGSYS) |                  \
	 KSIGBIT(SIGXCPU) | KSIGBIT(SIGXFSZ))
#define SIG_SYNCHRONOUS_SET                                                                        \
	(KSIGBIT(SIGSEGV) | KSIGBIT(SIGBUS) | KSIGBIT(SIGILL) | KSIGBIT(SIGTRAP) |                 \
	 KSIGBIT(SIGFPE) | KSIGBIT(SIGSYS))

static inline ksigset sigset_bit(int sig)
{
	return KSIGBIT(sig);
}

/* Queues it: 0, or -EAGAIN for a real-time signal over the limit. */
int sigpending_add(struct sigpending *q, struct process *p, int sig, const siginfo_t *info);
/* Takes the next of `set` (synchronous ones first): its number or 0. A POSIX timer's entry hands
 * its reference to the caller in *timer. */
int sigpending_take(struct sigpending *q, struct process *p, ksigset set, siginfo_t *info,
		    struct posix_timer **timer);
void sigpending_remove(struct sigpending *q, struct process *p, ksigset set);
/* Without a lock, when the owner goes. */
void sigpending_flush(struct sigpending *q, struct process *p);

/* --- signal_send.c --- */
/* Under tasklist. info NULL: SI_KERNEL, which may kill pid 1. */
int signal_process_locked(struct process *p, int sig, const siginfo_t *info);
int signal_task_locked(struct task *t, int sig, const siginfo_t *info);
/* Under tasklist and p's sighand's lock: all threads exit. */
void process_group_exit_locked(struct process *p, int wait_status);
/* Recomputes WORK_SIGNAL and WORK_STOP: is a signal deliverable? The first form under the sighand's
 * lock. */
bool signal_recalc_locked(struct task *t);
bool signal_recalc(struct task *t);
bool signal_permitted_locked(struct task *from, struct process *to, int sig);
/* SIGCHLD about p's stop or continuation to its parent; under tasklist. why: CLD_*. */
void signal_notify_parent_locked(struct process *p, int why, int status);
/* Under tasklist and sighand->lock: does a stop that was waiting for t only become complete? */
bool signal_leave_stop_locked(struct task *t);
/* A preallocated entry (POSIX timers); under tasklist. False: it is ignored or already pending. */
bool signal_send_queued(struct process *p, struct task *t, struct sigqueue *q);
/* Other threads should look at the signals that this one will not take. Both locks held. */
void signal_retarget_locked(struct task *t, ksigset which);

/* --- signal_frame.c --- */
/* Builds the frame for a handler and points the registers at it: 0 or -EFAULT. */
int signal_frame_setup(struct task *t, int sig, const siginfo_t *info, const struct ksigaction *act,
		       ksigset blocked);

/* sigaltstack(2) with the stack pointer sp; and what it reports. */
long signal_do_sigaltstack(struct task *t, const struct kstack *new, uint64_t sp);
struct kstack signal_get_altstack(struct task *t, uint64_t sp);

/* --- signal_deliver.c --- */
/* A fault of guest code becomes a signal. */
void signal_fault(struct task *t, const struct pf_event *event);

/* --- run.c --- */
/* What a new task does first, on its own thread. */
enum birth_gate { GATE_GO, GATE_ABORT };
struct task_birth {
	struct worker *worker; /* its host thread to be */
	enum birth_gate gate;  /* the creator's word whether it may live */
	bool from_clone;       /* a copy of its parent: rax 0 and the following */
	bool set_tls, set_child_tid;
	uaddr stack, child_tid; /* stack NULL: the parent's */
	uint64_t tls;
	int (*load)(struct task *t, void *arg); /* task_start: loads the image */
	void *load_arg;
};
/* A host thread for t; what fails later ends with GATE_ABORT. */
int task_thread_reserve(struct task *t) MUST_CHECK;
/* The thread begins. Takes a reference of t. */
void task_open_gate(struct task *t, enum birth_gate gate);
/* The group dies with this status; run by one of its own threads. */
void task_die(struct task *t, int wait_status);

/* --- clone.c --- */
/* Gives t its place in the tree; both locks held. */
void process_add_thread_locked(struct process *p, struct task *t, struct pid *pid);
void process_link_locked(struct process *p, struct process *parent, uint64_t parent_serial);
/* The end of a task whose gate said GATE_ABORT. */
void task_abort(struct task *t);
/* A number for a new task, as pid_alloc. */
struct pid *pid_reserve(struct pid_ns *ns, const int *set_tid, size_t n, int *err);
void pid_unreserve(struct pid *pid);

/* A user's identity as p's user namespace shows it (INVALID_ID shows as 65534); tasklist held. */
uint32_t process_show_uid_locked(struct process *p, uint32_t uid);

/* --- exit.c --- */
/* Threads of p were told to exit: if some do not come out of the guest soon, their stub is killed.
 * Any locks up to the sighand's. */
void process_insist(struct process *p);
void process_insist_init(struct process *p);
void process_reparent_locked(struct process *p);
/* Tells the parent of a zombie, or reaps it where nobody will wait. */
void process_notify_death_locked(struct process *p);
/* A zombie thread that is not the leader leaves the list (its tracer has waited for it). */
void task_reap_thread_locked(struct task *t);

/* The end of the calling task: gives up everything and tells the parent. */
void task_finish(struct task *t);
/* Wakes vfork's parent. */
void vfork_release(struct task *t);
void task_free_extras(struct task *t);
/* Under tasklist: a zombie leaves the tree; the caller then puts the references that the tree
 * held: process_put(p). */
void process_reap_locked(struct process *p);

/* --- timers --- */
void process_timers_free(struct process *p);
/* Another thread group's last thread exits, or execve: POSIX timers go; `all`: itimers too. */
void process_timers_exit(struct process *p, bool all);
/* A timer's signal was taken off the queue: overruns are counted, the timer re-armed. Takes the
 * reference. No locks held. */
void posix_timer_delivered(struct posix_timer *timer, siginfo_t *info);
void posix_timer_put(struct posix_timer *timer);

#endif
