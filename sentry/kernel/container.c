#include "sentry/kernel/container.h"

#include <errno.h>
#include <string.h>

#include "common/host.h"
#include "common/host_fs.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/lifecycle.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"

static struct list containers = LIST_INIT(containers); /* changed under tasklist */

struct container *container_find(const char *id)
{
	struct container *c;

	list_for_each (c, &containers, node)
		if (strcmp(c->id, id) == 0)
			return c;
	return NULL;
}

struct container *container_first(void)
{
	return list_empty(&containers) ? NULL : list_first(&containers, struct container, node);
}

static void set_identity(struct container *c, const struct container_config *config)
{
	c->id = xstrdup(config->id);
	c->cgroup_path = xstrdup(config->cgroup_path);
	c->cap_bound = config->cap_bound;
	c->memory_limit = config->memory_limit;
	c->pids_limit = config->pids_limit;
	c->ncpus = config->ncpus;
	c->boot_time = host_realtime_ns();
}

/* Unused names, with an inode each of half a KiB, may take a sixteenth of the sentry's memory. */
static unsigned int dcache_limit(void)
{
	return (unsigned int)min(account_memory_max() / 16 / 768, (uint64_t)12000);
}

int container_new(struct container_config *config, struct container **out, char **error)
{
	static unsigned int domains;
	struct container *c = NEW(struct container);
	int r;

	list_init(&c->node);
	set_identity(c, config);
	c->domain = ++domains;
	c->sentry_memory = account_add_container(config->memory_limit, host_total_ram());
	dcache_set_limit(dcache_limit());
	tmpfs_set_memory(config->memory_limit ? min(config->memory_limit, host_total_ram())
					      : host_total_ram());
	c->pids = pid_ns_new();
	loadavg_init(c);
	c->ns = nsproxy_new(config->hostname, config->domainname);
	r = container_build_mounts(config, c->ns->ipc, &c->mounts, error);
	if (r == 0) {
		r = pf_zygote_new(&c->zygote);
		if (r < 0)
			*error = xasprintf("cannot start the container's first stub process: %s",
					   strerror(-r));
	}
	if (r < 0) {
		container_free(c);
		return r;
	}
	mutex_lock(&tasklist);
	list_add_tail(&containers, &c->node);
	mutex_unlock(&tasklist);
	*out = c;
	return 0;
}

void container_free(struct container *c)
{
	mutex_lock(&tasklist);
	list_del(&c->node);
	mutex_unlock(&tasklist);
	init_end(c);
	loadavg_fini(c);
	if (c->zygote)
		pf_zygote_put(c->zygote);
	if (c->mounts)
		mount_ns_put(c->mounts);
	nsproxy_put(c->ns);
	pid_ns_put(c->pids);
	account_remove_container(c->sentry_memory);
	free(c->cgroup_path);
	free(c->id);
	free(c);
}

static bool lives_in(struct task *t, const struct pf_space *space)
{
	SCOPED_LOCK(&t->alloc_lock);

	return t->mm && t->mm->space == space;
}

static void kill_inhabitants(struct container *c, const struct pf_space *space)
{
	struct pid *pid;

	for (int nr = 1; (pid = pid_next(c->pids, nr)); nr = pid->nr + 1)
		if (pid->task && lives_in(pid->task, space))
			(void)signal_process_locked(pid->task->process, SIGKILL, NULL);
}

void container_stub_died(const struct pf_space *space)
{
	struct container *c;

	SCOPED_LOCK(&tasklist);
	list_for_each (c, &containers, node)
		kill_inhabitants(c, space);
}
