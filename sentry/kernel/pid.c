/*
 * The numbers of a pid namespace. One number may name a task, its process, a
 * process group and a session at once, and stays taken while any of them lives:
 * so a new process never gets the id of an old leader's group. Everything is
 * under tasklist. Numbers are given out in rising order and wrap, as Linux does.
 */
#include <errno.h>

#include "common/mem.h"
#include "sentry/kernel/tasklist.h"

struct mutex tasklist = MUTEX_INIT(RANK_TASKLIST);

/* After the first round small numbers are left to daemons (Linux: RESERVED_PIDS). */
#define RESERVED_PIDS 300

struct pid_table {
	struct pid *slots[PID_MAX + 1]; /* calloc'd: untouched parts cost nothing */
	int last, highest, used;
};

struct pid_table *pid_table_new(void)
{
	return NEW(struct pid_table);
}

void pid_table_free(struct pid_table *t)
{
	assert(t->used == 0);
	free(t);
}

static int find_free(const struct pid_table *t)
{
	int nr = t->last;

	if (t->used >= PID_MAX - RESERVED_PIDS)
		return 0;
	do {
		nr = nr >= PID_MAX ? RESERVED_PIDS : nr + 1;
	} while (t->slots[nr]);
	return nr;
}

struct pid *pid_alloc(struct pid_table *t, int set_tid, int *err)
{
	struct pid *pid;
	int nr = set_tid;

	*err = -EEXIST;
	if (set_tid < 0 || set_tid > PID_MAX) {
		*err = -EINVAL;
		return NULL;
	}
	if (set_tid == 0) {
		*err = -EAGAIN;
		nr = find_free(t);
		if (!nr)
			return NULL;
		t->last = nr;
	}
	if (t->slots[nr])
		return NULL;
	pid = NEW(struct pid);
	pid->nr = nr;
	t->slots[nr] = pid;
	t->used++;
	t->highest = max(t->highest, nr);
	*err = 0;
	return pid;
}

struct pid *pid_lookup(struct pid_table *t, int nr)
{
	return nr > 0 && nr <= PID_MAX ? t->slots[nr] : NULL;
}

struct pid *pid_next(struct pid_table *t, int from)
{
	for (int nr = max(from, 1); nr <= t->highest; nr++)
		if (t->slots[nr])
			return t->slots[nr];
	return NULL;
}

void pid_release(struct pid_table *t, struct pid *pid)
{
	if (pid->task || pid->process || pid->pgrp || pid->session)
		return;
	assert(t->slots[pid->nr] == pid);
	t->slots[pid->nr] = NULL;
	t->used--;
	while (t->highest > 0 && !t->slots[t->highest])
		t->highest--;
	free(pid);
}

int pid_last(struct pid_table *t)
{
	return t->last;
}

void pid_set_last(struct pid_table *t, int nr)
{
	t->last = min(max(nr, 0), PID_MAX);
}
