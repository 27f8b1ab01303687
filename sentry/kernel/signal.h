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
/* To the group that p is in. */
int signal_pgrp_of(struct process *p, int sig, const siginfo_t *info);
/* kill(2) by t, with its checks: pid > 0, 0, -1 or < -1; sig 0 only checks. */
int signal_kill(struct task *t, int pid, int sig, const siginfo_t *info) MUST_CHECK;
/* tgkill(2): tgid -1 for tkill. */
int signal_tgkill(struct task *t, int tgid, int tid, int sig, const siginfo_t *info) MUST_CHECK;
/* rt_sigtimedwait(2): the signal, -EAGAIN at the deadline, -EINTR. */
long signal_timedwait(struct task *t, ksigset set, uint64_t deadline, siginfo_t *info) MUST_CHECK;
/* sigaction(2); new or old may be NULL. */
int signal_action(struct task *t, int sig, const struct ksigaction *new,
		  struct ksigaction *old) MUST_CHECK;
/* kill(2)'s permission check. */
bool signal_permitted(struct task *from, struct process *to, int sig);

/* Is a signal that is not blocked waiting? */
bool signal_pending(struct task *t);
/* All that wait, blocked or not. */
ksigset signal_pending_set(struct task *t);
/* Takes the next signal in `set` off the queues (sigtimedwait, signalfd): number or 0. */
int signal_dequeue(struct task *t, ksigset set, siginfo_t *info);
/* Replaces the blocked set; looks for signals that this lets through. */
void signal_set_blocked(struct task *t, ksigset blocked);

/* pselect, ppoll, epoll_pwait, sigsuspend: the blocked set until the syscall's end. The exit path
 * puts the old one back, after delivering if the syscall was interrupted. */
void signal_set_temporary(struct task *t, ksigset blocked);
/* The same from the guest's (sigset, size) pair; a NULL address changes nothing. */
int signal_set_temporary_user(struct task *t, uaddr set, uint64_t size) MUST_CHECK;
/* The actions as they are now: is it ignored (SIG_IGN, or default and default is to ignore)? For
 * ttys: is it blocked or ignored by the task? */
bool signal_blocked_or_ignored(struct task *t, int sig);
/* A siginfo as kill(2) by t makes it. */
siginfo_t signal_info_user(struct task *t, int sig);

/* On the way back to the guest: delivers, stops, dies. A syscall's result may be a restart
 * code. */
void signal_on_return(struct task *t);
long signal_sigreturn(struct task *t);

#endif
