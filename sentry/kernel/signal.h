/* Sending signals (kernel/signal_send.c) and delivering them (kernel/signal_deliver.c). */
#ifndef GARRISON_SENTRY_KERNEL_SIGNAL_H
#define GARRISON_SENTRY_KERNEL_SIGNAL_H

#include "sentry/kernel/task.h"

/* As kill(2) without the permission check. info NULL: SI_KERNEL. Queues real-time signals up
 * to RLIMIT_SIGPENDING (-EAGAIN), merges standard ones. */
int signal_process(struct process *p, int sig, const siginfo_t *info);
int signal_task(struct task *t, int sig, const siginfo_t *info);
/* A signal that the task's own action raised (a fault): unblocks and resets it if blocked or
 * ignored, so that it cannot be missed. */
void signal_force(struct task *t, int sig, const siginfo_t *info);
/* To a process group, by number in the container; -ESRCH if it is empty. */
int signal_pgrp(struct container *c, int pgrp, int sig, const siginfo_t *info);
/* kill(2)'s permission check. */
bool signal_permitted(struct task *from, struct process *to, int sig);

/* Is a signal that is not blocked waiting? */
bool signal_pending(struct task *t);
/* Takes the next signal in `set` off the queues (sigtimedwait, signalfd): number or 0. */
int signal_dequeue(struct task *t, ksigset set, siginfo_t *info);
/* Replaces the blocked set; looks for signals that this lets through. */
void signal_set_blocked(struct task *t, ksigset blocked);

/* On the way back to the guest: delivers, stops, dies. result is the syscall's result, which
 * may be a restart code. */
void signal_on_return(struct task *t);
long signal_sigreturn(struct task *t);

#endif
