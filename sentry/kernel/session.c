/*
 * Process groups and sessions. A group lives while it has members, a session
 * while it has groups (as an object: while somebody holds it, such as its tty).
 * Everything is under tasklist.
 */
#include "sentry/kernel/session.h"

#include <errno.h>

#include "common/mem.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"

struct session *session_get(struct session *s)
{
	ref_get(&s->ref);
	return s;
}

void session_put(struct session *s)
{
	if (s && ref_put(&s->ref))
		free(s);
}

struct session *session_new_locked(struct process *leader)
{
	struct session *s = NEW(struct session);
	struct pid *pid = pid_lookup(leader->container->pids, leader->tgid);

	mutex_assert_held(&tasklist);
	ref_init(&s->ref);
	s->container = leader->container;
	s->id = leader->tgid;
	s->leader = leader;
	list_init(&s->groups);
	pid->session = s;
	return s;
}

struct pgrp *pgrp_new_locked(struct container *c, int id, struct session *s)
{
	struct pgrp *g = NEW(struct pgrp);
	struct pid *pid = pid_lookup(c->pids, id);

	mutex_assert_held(&tasklist);
	g->container = c;
	g->id = id;
	g->session = session_get(s);
	list_init(&g->members);
	list_add_tail(&s->groups, &g->session_node);
	pid->pgrp = g;
	return g;
}

struct pgrp *pgrp_find_locked(struct container *c, int id)
{
	struct pid *pid = pid_lookup(c->pids, id);

	return pid ? pid->pgrp : NULL;
}

void process_join_pgrp_locked(struct process *p, struct pgrp *g)
{
	p->pgrp = g;
	p->session = g->session;
	list_add_tail(&g->members, &p->pgrp_node);
}

/* The last group of a session takes the session's number along. */
static void session_check_empty(struct session *s)
{
	struct pid *pid = pid_lookup(s->container->pids, s->id);

	if (!list_empty(&s->groups) || !pid || pid->session != s)
		return;
	pid->session = NULL;
	pid_release(pid);
}

void process_leave_pgrp_locked(struct process *p)
{
	struct pgrp *g = p->pgrp;
	struct pid *pid;

	if (!g)
		return;
	list_del(&p->pgrp_node);
	p->pgrp = NULL;
	p->session = NULL;
	if (!list_empty(&g->members))
		return;
	pid = pid_lookup(p->container->pids, g->id);
	pid->pgrp = NULL;
	pid_release(pid);
	list_del(&g->session_node);
	session_check_empty(g->session);
	session_put(g->session);
	free(g);
}

struct session *task_session(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	return t->process->session ? session_get(t->process->session) : NULL;
}

int task_sid(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	return t->process->session ? t->process->session->id : 0;
}

int task_pgrp(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	return t->process->pgrp ? t->process->pgrp->id : 0;
}

bool task_is_session_leader(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	return t->process->session && t->process->session->leader == t->process;
}

struct tty *task_tty(struct task *t, void (*get)(struct tty *tty))
{
	SCOPED_LOCK(&tasklist);
	struct session *s = t->process->session;

	if (!s || !s->tty)
		return NULL;
	get(s->tty);
	return s->tty;
}

void session_set_tty(struct session *s, struct tty *tty)
{
	SCOPED_LOCK(&tasklist);
	s->tty = tty;
}

struct tty *session_tty(struct session *s)
{
	SCOPED_LOCK(&tasklist);
	return s->tty;
}

bool pgrp_in_session(struct session *s, int pgrp)
{
	SCOPED_LOCK(&tasklist);
	struct pgrp *g = pgrp_find_locked(s->container, pgrp);

	return g && g->session == s;
}

bool pgrp_exists(struct container *c, int pgrp)
{
	SCOPED_LOCK(&tasklist);
	return pgrp_find_locked(c, pgrp) != NULL;
}

/* Without counting `leaving`: nobody is left whose parent, in another group of the session, could
 * continue it. */
static bool orphaned(struct pgrp *g, struct process *leaving)
{
	struct process *p;

	list_for_each (p, &g->members, pgrp_node) {
		if (p == leaving || p->zombie || !p->parent)
			continue;
		if (p->parent->pgrp != g && p->parent->session == g->session)
			return false;
	}
	return true;
}

bool task_pgrp_orphaned(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	return !t->process->pgrp || orphaned(t->process->pgrp, NULL);
}

static bool has_stopped(struct pgrp *g)
{
	struct process *p;

	list_for_each (p, &g->members, pgrp_node)
		if (p->stopped)
			return true;
	return false;
}

static void signal_members(struct pgrp *g, int sig)
{
	struct process *p;

	list_for_each (p, &g->members, pgrp_node)
		(void)signal_process_locked(p, sig, NULL);
}

void pgrp_check_orphans_locked(struct process *p, struct process *old_parent)
{
	struct pgrp *g = p->pgrp;
	struct process *leaving = old_parent ? NULL : p;
	struct process *parent = old_parent ? old_parent : p->parent;

	if (!g || !parent || parent->pgrp == g || parent->session != g->session)
		return;
	if (!orphaned(g, leaving) || !has_stopped(g))
		return;
	signal_members(g, SIGHUP);
	signal_members(g, SIGCONT);
}

int signal_session_leader(struct session *s, int sig)
{
	SCOPED_LOCK(&tasklist);
	return s->leader ? signal_process_locked(s->leader, sig, NULL) : -ESRCH;
}

void session_hangup(struct session *s)
{
	(void)signal_session_leader(s, SIGHUP);
	(void)signal_session_leader(s, SIGCONT);
}

long session_setsid(struct task *t)
{
	SCOPED_LOCK(&tasklist);
	struct process *p = t->process;
	struct pid *pid = pid_lookup(p->container->pids, p->tgid);
	struct session *s;

	if (pid->session || pid->pgrp)
		return -EPERM;
	s = session_new_locked(p);
	process_leave_pgrp_locked(p);
	process_join_pgrp_locked(p, pgrp_new_locked(p->container, p->tgid, s));
	session_put(s); /* the group holds it */
	return p->tgid;
}

/* Whom setpgid(pid) means, or why not. */
static int setpgid_target(struct task *t, int pid, struct process **out)
{
	struct pid *entry = pid_lookup(t->container->pids, pid);
	struct process *p = entry ? entry->process : NULL;

	if (!p)
		return entry && entry->task ? -EINVAL : -ESRCH;
	if (p->parent == t->process) {
		if (p->session != t->process->session)
			return -EPERM;
		if (p->did_exec)
			return -EACCES;
	} else if (p != t->process) {
		return -ESRCH;
	}
	if (p->session && p->session->leader == p)
		return -EPERM;
	*out = p;
	return 0;
}

long session_setpgid(struct task *t, int pid, int pgid)
{
	SCOPED_LOCK(&tasklist);
	struct process *p;
	struct pgrp *g;
	int r;

	if (pid == 0)
		pid = t->process->tgid;
	if (pgid == 0)
		pgid = pid;
	if (pgid < 0)
		return -EINVAL;
	r = setpgid_target(t, pid, &p);
	if (r < 0)
		return r;
	g = pgrp_find_locked(t->container, pgid);
	if (pgid != pid && (!g || g->session != t->process->session))
		return -EPERM;
	if (!g)
		g = pgrp_new_locked(t->container, pgid, p->session);
	if (p->pgrp == g)
		return 0;
	process_leave_pgrp_locked(p);
	process_join_pgrp_locked(p, g);
	return 0;
}
