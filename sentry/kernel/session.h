/*
 * Sessions and process groups (kernel/session.c), as ttys and /proc see them.
 * Membership is under tasklist, which is taken after a tty's own lock.
 */
#ifndef GARRISON_SENTRY_KERNEL_SESSION_H
#define GARRISON_SENTRY_KERNEL_SESSION_H

#include "sentry/kernel/task.h"

struct pgrp {
	struct container *container;
	int id;
	struct session *session; /* owned */
	struct list members;	 /* struct process.pgrp_node */
	struct list session_node;
};

struct session {
	struct refcount ref;
	struct container *container;
	int id;
	/* tasklist */
	struct process *leader; /* borrowed; NULL once it is gone */
	struct list groups;	/* struct pgrp.session_node */
	struct tty *tty;	/* the controlling terminal; borrowed: the tty lets go first */
	/* The foreground group of a terminal that hung up: it gets SIGHUP when the leader goes. */
	atomic_int old_pgrp;
};

struct session *session_get(struct session *s);
void session_put(struct session *s);

/* Of a task's process. Owned. */
struct session *task_session(struct task *t);
int task_sid(struct task *t);
int task_pgrp(struct task *t);
bool task_is_session_leader(struct task *t);

/* The controlling terminal of t's session. `get` is called under tasklist to make the reference
 * that the caller wants (tty_get); NULL if there is none. */
struct tty *task_tty(struct task *t, void (*get)(struct tty *tty));
/* Makes tty the session's terminal, or none (NULL). */
void session_set_tty(struct session *s, struct tty *tty);
struct tty *session_tty(struct session *s); /* borrowed: only for comparison */

/* Does the group exist in this session? (tcsetpgrp) */
bool pgrp_in_session(struct session *s, int pgrp);
bool pgrp_exists(struct container *c, int pgrp);
/* No member has a parent in another group of the same session: terminal stops are refused. */
bool task_pgrp_orphaned(struct task *t);

/* To a whole group, or to a session's leader; info NULL: SI_KERNEL. Takes tasklist. */
int signal_session_leader(struct session *s, int sig);
/* SIGHUP and SIGCONT, as when the terminal hangs up: to the leader. */
void session_hangup(struct session *s);

/* Written by tty/: the leader of a session with a terminal exits, or TIOCNOTTY by it. Called
 * without locks; the tty forgets the session and signals its foreground group. */
void tty_session_exit(struct session *s);
/* Written by tty/: makes tty the terminal of a new session, whose leader's group comes to the
 * foreground (task_start). Calls session_set_tty. */
void tty_set_session(struct tty *tty, struct session *s, int pgrp);

/* Under tasklist: */
struct pgrp *pgrp_find_locked(struct container *c, int id);
void process_join_pgrp_locked(struct process *p, struct pgrp *g);
void process_leave_pgrp_locked(struct process *p);
struct pgrp *pgrp_new_locked(struct container *c, int id, struct session *s);
struct session *session_new_locked(struct process *leader);
/* SIGHUP, SIGCONT to groups that p's exit or move orphans and that have stopped members. */
void pgrp_check_orphans_locked(struct process *p, struct process *old_parent);

long session_setsid(struct task *t);
long session_setpgid(struct task *t, int pid, int pgid);

#endif
