/*
 * The numbers of pid namespaces. One number may name a task, its process, a
 * process group and a session at once, and stays taken while any of them lives:
 * so a new process never gets the id of an old leader's group. An entry stands
 * in the table of each namespace that sees it. Everything is under tasklist.
 * Numbers are given out in rising order and wrap, as Linux does.
 */
#include <errno.h>

#include "common/mem.h"
#include "sentry/kernel/tasklist.h"

struct mutex tasklist = MUTEX_INIT(RANK_TASKLIST);

/* After the first round small numbers are left to daemons (Linux: RESERVED_PIDS). */
#define RESERVED_PIDS 300

/* --- namespaces ------------------------------------------------------------------------------ */

static void ns_release(struct ns_common *base)
{
	struct pid_ns *ns = container_of(base, struct pid_ns, ns);

	assert(ns->used == 0);
	ns_fini(base);
	pid_ns_put(ns->parent);
	free(ns);
}

static const struct ns_kind pid_kind = {"pid", CLONE_NEWPID, NS_COUNT_PID, ns_release};

struct pid_ns *pid_ns_new(void)
{
	struct pid_ns *ns = NEW(struct pid_ns);

	ns_init(&ns->ns, &pid_kind, &user_ns_first);
	return ns;
}

int pid_ns_unshare(struct pid_ns *parent, struct user_ns *owner, struct pid_ns **out)
{
	struct pid_ns *ns;
	int r;

	if (parent->level >= PID_NS_MAX_LEVEL)
		return -ENOSPC;
	if (!user_ns_is_below(owner, parent->ns.owner))
		return -EINVAL;
	ns = NEW(struct pid_ns);
	r = ns_init_counted(&ns->ns, &pid_kind, owner);
	if (r < 0) {
		free(ns);
		return r;
	}
	ns->parent = pid_ns_get(parent);
	ns->level = parent->level + 1;
	*out = ns;
	return 0;
}

struct pid_ns *pid_ns_from(struct ns_common *ns)
{
	return ns->kind == &pid_kind ? container_of(ns, struct pid_ns, ns) : NULL;
}

bool pid_ns_is_below(const struct pid_ns *ns, const struct pid_ns *top)
{
	while (ns && ns->level > top->level)
		ns = ns->parent;
	return ns == top;
}

/* --- giving out -------------------------------------------------------------------------------- */

static int find_free(const struct pid_ns *ns)
{
	int nr = ns->last;

	if (ns->used >= PID_MAX - RESERVED_PIDS)
		return 0;
	do {
		nr = nr >= PID_MAX ? RESERVED_PIDS : nr + 1;
	} while (ns->slots[nr]);
	return nr;
}

static int choose(const struct pid_ns *ns, int wanted)
{
	int nr;

	if (wanted < 0 || wanted > PID_MAX)
		return -EINVAL;
	if (!wanted) {
		nr = find_free(ns);
		return nr ? nr : -EAGAIN;
	}
	if (wanted != 1 && !ns->init && ns->parent)
		return -EINVAL;
	return ns->slots[wanted] ? -EEXIST : wanted;
}

static int *number_at(struct pid *pid, int level)
{
	return level ? &pid->inner[level - 1] : &pid->nr;
}

static void take(struct pid_ns *ns, struct pid *pid, int nr)
{
	*number_at(pid, ns->level) = nr;
	ns->slots[nr] = pid;
	ns->used++;
	ns->highest = max(ns->highest, nr);
}

static void give_back(struct pid_ns *ns, struct pid *pid)
{
	int nr = *number_at(pid, ns->level);

	assert(ns->slots[nr] == pid);
	ns->slots[nr] = NULL;
	ns->used--;
	while (ns->highest > 0 && !ns->slots[ns->highest])
		ns->highest--;
	/* Its first process never was: the next try is number 1 again. */
	if (!ns->used && ns->parent && !ns->over)
		ns->last = 0;
}

struct pid *pid_alloc(struct pid_ns *ns, const int *set_tid, size_t n, int *err)
{
	struct pid *pid;
	struct pid_ns *at;
	size_t i = 0;

	*err = -ENOMEM;
	if (ns->over)
		return NULL;
	pid = xzalloc(sizeof(*pid) + (size_t)ns->level * sizeof(pid->inner[0]));
	for (at = ns; at; at = at->parent, i++) {
		int nr = choose(at, i < n ? set_tid[i] : 0);

		if (nr < 0) {
			*err = nr;
			break;
		}
		if (i >= n)
			at->last = nr;
		take(at, pid, nr);
	}
	if (at) {
		for (struct pid_ns *done = ns; done != at; done = done->parent)
			give_back(done, pid);
		free(pid);
		return NULL;
	}
	pid->ns = pid_ns_get(ns);
	*err = 0;
	return pid;
}

void pid_release(struct pid *pid)
{
	struct pid_ns *ns = pid->ns;

	if (pid->task || pid->process || pid->pgrp || pid->session)
		return;
	for (struct pid_ns *at = ns; at; at = at->parent)
		give_back(at, pid);
	free(pid);
	pid_ns_put(ns);
}

int pid_last(struct pid_ns *ns)
{
	return ns->last;
}

void pid_set_last(struct pid_ns *ns, int nr)
{
	ns->last = min(max(nr, 0), PID_MAX);
}

/* --- looking up ---------------------------------------------------------------------------------- */

struct pid *pid_lookup(struct pid_ns *ns, int nr)
{
	return nr > 0 && nr <= PID_MAX ? ns->slots[nr] : NULL;
}

struct pid *pid_next(struct pid_ns *ns, int from)
{
	for (int nr = max(from, 1); nr <= ns->highest; nr++)
		if (ns->slots[nr])
			return ns->slots[nr];
	return NULL;
}

int pid_nr_in(const struct pid *pid, const struct pid_ns *ns)
{
	if (!ns->level)
		return pid->nr;
	return pid_ns_is_below(pid->ns, ns) ? pid->inner[ns->level - 1] : 0;
}

int pid_show_locked(struct pid_ns *ns, int nr)
{
	struct pid_ns *top = ns;
	struct pid *pid;

	if (!ns->level)
		return nr;
	while (top->parent)
		top = top->parent;
	pid = pid_lookup(top, nr);
	return pid ? pid_nr_in(pid, ns) : 0;
}

int pid_show(struct pid_ns *ns, int nr)
{
	if (!ns->level)
		return nr;
	SCOPED_LOCK(&tasklist);
	return pid_show_locked(ns, nr);
}

int pid_take(struct pid_ns *ns, int nr)
{
	struct pid *pid;

	if (!ns->level)
		return nr;
	SCOPED_LOCK(&tasklist);
	pid = pid_lookup(ns, nr);
	return pid ? pid->nr : PID_NOBODY;
}
