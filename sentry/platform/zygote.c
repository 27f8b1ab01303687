/*
 * Zygotes: one stub per container, from which the container's processes are
 * made. It never runs guest code. Children of a zygote inherit its cgroup.
 *
 * Each zygote has a few spare children ready, so that an exec finds one at
 * once; a helper thread makes up for those that were taken. Spares are made only
 * after the first space was asked for: by then the zygote is in its cgroup.
 */
#include <errno.h>

#include "common/host_thread.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/platform/pf.h"

#define SPARES 2

struct pf_zygote {
	struct refcount ref;
	pthread_mutex_t lock; /* guards the use of thread */
	struct pf_space *space;
	struct pf_thread *thread;

	/* guarded by zygotes.lock */
	struct list node;
	bool in_use;	/* a space was asked for */
	bool exhausted; /* the last spare could not be made; the next request tries again */
	unsigned int nspares;
	struct pf_thread *spare[SPARES]; /* with the owned reference on their space */
};

static struct {
	pthread_mutex_t lock;
	struct list list;
	bool started;
	atomic_uint taken; /* wakes the helper */
} zygotes = {.lock = PTHREAD_MUTEX_INITIALIZER, .list = LIST_INIT(zygotes.list)};

static pthread_mutex_t template_lock = PTHREAD_MUTEX_INITIALIZER;

/* --- spares ------------------------------------------------------------------------------ */

static int spawn(struct pf_zygote *z, struct pf_space **space, struct pf_thread **thread)
{
	int r;

	pthread_mutex_lock(&z->lock);
	r = spawn_process(z->thread, true, space, thread);
	pthread_mutex_unlock(&z->lock);
	return r;
}

static void discard(struct pf_thread *t)
{
	struct pf_space *s = t->space;

	pf_thread_exit(t);
	pf_space_put(s);
}

/* A zygote that lacks spares, referenced, or NULL. */
static struct pf_zygote *find_lacking(void)
{
	struct pf_zygote *z, *found = NULL;

	pthread_mutex_lock(&zygotes.lock);
	list_for_each (z, &zygotes.list, node) {
		if (z->in_use && !z->exhausted && z->nspares < SPARES &&
		    ref_get_unless_zero(&z->ref)) {
			found = z;
			break;
		}
	}
	pthread_mutex_unlock(&zygotes.lock);
	return found;
}

static void make_spare(struct pf_zygote *z)
{
	struct pf_space *space;
	struct pf_thread *thread = NULL;
	int r = spawn(z, &space, &thread);

	pthread_mutex_lock(&zygotes.lock);
	if (r < 0)
		z->exhausted = true;
	else if (z->nspares < SPARES) {
		z->spare[z->nspares++] = thread;
		thread = NULL;
	}
	pthread_mutex_unlock(&zygotes.lock);
	if (r == 0 && thread)
		discard(thread);
}

static void *helper(void *arg)
{
	for (;;) {
		unsigned int taken = atomic_load(&zygotes.taken);
		struct pf_zygote *z = find_lacking();

		if (z) {
			make_spare(z);
			pf_zygote_put(z);
		} else {
			host_futex_wait(&zygotes.taken, taken, UINT64_MAX);
		}
	}
	return NULL;
}

/* The oldest living spare, or NULL. */
static struct pf_thread *take_spare(struct pf_zygote *z)
{
	struct pf_thread *t = NULL;

	pthread_mutex_lock(&zygotes.lock);
	z->in_use = true;
	z->exhausted = false;
	if (z->nspares) {
		t = z->spare[0];
		for (unsigned int i = 1; i < z->nspares; i++)
			z->spare[i - 1] = z->spare[i];
		z->nspares--;
	}
	pthread_mutex_unlock(&zygotes.lock);
	atomic_fetch_add(&zygotes.taken, 1);
	host_futex_wake(&zygotes.taken, 1);
	return t;
}

int pf_space_new(struct pf_zygote *z, struct pf_space **space, struct pf_thread **thread)
{
	struct pf_thread *t;

	while ((t = take_spare(z))) {
		/* The host may have killed it meanwhile, for want of memory. */
		if (!atomic_load(&t->space->dead)) {
			*thread = t;
			*space = t->space;
			return 0;
		}
		discard(t);
	}
	return spawn(z, space, thread);
}

/* --- zygotes ---------------------------------------------------------------------------------- */

static void enlist(struct pf_zygote *z)
{
	pthread_mutex_lock(&zygotes.lock);
	list_add_tail(&zygotes.list, &z->node);
	if (!zygotes.started && host_thread_start("spares", helper, NULL) < 0)
		log_warn("no helper thread: processes are made on demand");
	zygotes.started = true;
	pthread_mutex_unlock(&zygotes.lock);
}

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
	enlist(z);
	*out = z;
	return 0;
}

void pf_zygote_put(struct pf_zygote *z)
{
	if (!ref_put(&z->ref))
		return;
	pthread_mutex_lock(&zygotes.lock);
	list_del(&z->node);
	pthread_mutex_unlock(&zygotes.lock);
	for (unsigned int i = 0; i < z->nspares; i++)
		discard(z->spare[i]);
	discard(z->thread);
	pthread_mutex_destroy(&z->lock);
	free(z);
}
