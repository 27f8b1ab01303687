/*
 * An init without a program: pid 1 of a container whose command shall run as any
 * program does, as a child. (As pid 1 it would not be ended by signals that it
 * does not handle, and would have to reap what others leave.)
 *
 * It is a process with a leader, but no thread, no memory and no files, like one
 * of Linux's kernel threads. What init must do needs none: it leads the session
 * that has the terminal; orphans come to it and are reaped at once, since it
 * ignores SIGCHLD; it takes no signals. It ends with the container.
 */
#include <string.h>

#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/session.h"

static struct task *make(struct container *c, const struct rlimit64 *limits)
{
	struct process *p = process_new(c, sighand_new());
	struct task *t = task_new(p);

	p->tgid = t->tid = p->own_tgid = t->own_tid = 1;
	p->pids = pid_ns_get(c->pids);
	p->unkillable = p->passive = true;
	p->sighand->action[SIGCHLD - 1].handler = KSIG_IGN;
	memcpy(p->limits, limits, sizeof(p->limits));
	t->cred = cred_new_root(c->cap_bound);
	task_set_comm(t, "garrison-init");
	t->ns = nsproxy_get(c->ns);
	t->pids_for_children = pid_ns_get(c->pids);
	container_cpu_mask(c, t->affinity);
	atomic_store(&t->state, 'S');
	process_put(p);
	return t;
}

int init_start(struct container *c, const struct rlimit64 *limits)
{
	struct session *s;
	struct pid *pid;
	struct task *t;
	const int first = 1;
	int err;

	pid = pid_reserve(c->pids, &first, 1, &err);
	if (!pid)
		return err;
	t = make(c, limits);
	mutex_lock(&tasklist);
	pid_set_last(c->pids, 1);
	mutex_lock(&t->sighand->lock);
	process_add_thread_locked(t->process, t, pid);
	mutex_unlock(&t->sighand->lock);
	s = session_new_locked(t->process);
	process_join_pgrp_locked(t->process, pgrp_new_locked(c, 1, s));
	c->pids->init = t->process;
	mutex_unlock(&tasklist);
	session_put(s);
	task_put(t);
	return 0;
}

void init_end(struct container *c)
{
	struct process *p;

	SCOPED_LOCK(&tasklist);
	p = c->pids->init;
	if (!p || !p->passive)
		return;
	p->leader->exited = true;
	task_set_namespaces(p->leader, NULL);
	pid_ns_put(p->leader->pids_for_children);
	p->leader->pids_for_children = NULL;
	p->live_threads = 0;
	p->exiting = p->zombie = true;
	process_reap_locked(p);
	pid_set_last(c->pids, 0);
}
