/*
 * Zygotes: one stub per container, from which the container's processes are
 * made. It never runs guest code. Children of a zygote inherit its cgroup.
 */
#include <errno.h>

#include "common/mem.h"
#include "sentry/platform/pf.h"

struct pf_zygote {
	struct refcount ref;
	pthread_mutex_t lock; /* guards the use of thread */
	struct pf_space *space;
	struct pf_thread *thread;
};

static pthread_mutex_t template_lock = PTHREAD_MUTEX_INITIALIZER;

int pf_zygote_new(struct pf_zygote **out)
{
	struct pf_space *space;
	struct pf_thread *thread;
	struct pf_zygote *z;
	int r;

	reaper_start();
	pthread_mutex_lock(&template_lock);
	r = spawn_process(pf.template_thread, true, &space, &thread);
	pthread_mutex_unlock(&template_lock);
	if (r < 0)
		return r;
	z = NEW(struct pf_zygote);
	ref_init(&z->ref);
	pthread_mutex_init(&z->lock, NULL);
	z->space = space;
	z->thread = thread;
	*out = z;
	return 0;
}

pid_t pf_zygote_pid(const struct pf_zygote *z)
{
	return z->space->pid;
}

void pf_zygote_put(struct pf_zygote *z)
{
	if (!ref_put(&z->ref))
		return;
	pf_thread_exit(z->thread);
	pf_space_put(z->space);
	pthread_mutex_destroy(&z->lock);
	free(z);
}

int pf_space_new(struct pf_zygote *z, struct pf_space **space, struct pf_thread **thread)
{
	int r;

	pthread_mutex_lock(&z->lock);
	r = spawn_process(z->thread, true, space, thread);
	pthread_mutex_unlock(&z->lock);
	return r;
}
