/*
 * The sentry lies in its container's cgroup. When that runs out of memory the host
 * kills the process with the highest score: what it has in memory, and for each
 * point of oom_score_adj a thousandth of the limit. A stub is GAP points above the
 * sentry, so half of the limit: more than the sentry ever takes (core/account.h
 * lets guests have a quarter of it). Scores below the inherited one would need a
 * capability, so the sentry keeps its own and the stubs' is raised.
 *
 * A process inherits its score at birth. So the sentry raises its own while it
 * starts the stub from which all others descend, and then lowers it again: down to
 * what it was that needs no privilege.
 */
#include "sentry/control/oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/host.h"
#include "common/log.h"

#define GAP 500
#define HIGHEST 1000

static void set_score(const struct oom *o, int adj)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", adj);

	if (o->fd >= 0 && host_pwrite(o->fd, text, (size_t)n, 0) < 0)
		log_debug("cannot set oom_score_adj to %d", adj);
}

void oom_begin(struct oom *o, int wanted)
{
	char text[16] = "";

	o->own = 0;
	o->fd = host_openat(AT_FDCWD, "/proc/self/oom_score_adj", O_RDWR, 0);
	if (wanted != OOM_AS_IT_IS)
		set_score(o, min(wanted, HIGHEST - GAP));
	if (o->fd >= 0 && host_pread(o->fd, text, sizeof(text) - 1, 0) > 0)
		o->own = atoi(text);
}

void oom_raise(const struct oom *o)
{
	set_score(o, min(o->own + GAP, HIGHEST));
}

void oom_end(struct oom *o)
{
	set_score(o, o->own);
	if (o->fd >= 0)
		host_close(o->fd);
	o->fd = -1;
}
