/* Sets of namespaces, and those that are too small for a file of their own. See nsproxy.h. */
#include "sentry/kernel/nsproxy.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/net/netns.h"

/* --- UTS -------------------------------------------------------------------------------------- */

static void uts_release(struct ns_common *ns)
{
	struct uts_ns *u = container_of(ns, struct uts_ns, ns);

	mutex_destroy(&u->lock);
	ns_fini(ns);
	free(u);
}

static const struct ns_kind uts_kind = {"uts", CLONE_NEWUTS, NS_COUNT_UTS, uts_release};

static struct uts_ns *uts_first(const char *hostname, const char *domainname)
{
	struct uts_ns *u = NEW(struct uts_ns);

	ns_init(&u->ns, &uts_kind, &user_ns_first);
	mutex_init(&u->lock, RANK_LEAF);
	snprintf(u->hostname, sizeof(u->hostname), "%s", hostname);
	snprintf(u->domainname, sizeof(u->domainname), "%s", domainname);
	return u;
}

static int uts_copy(struct uts_ns *old, struct user_ns *owner, struct uts_ns **out)
{
	struct uts_ns *u = NEW(struct uts_ns);
	int r = ns_init_counted(&u->ns, &uts_kind, owner);

	if (r < 0) {
		free(u);
		return r;
	}
	mutex_init(&u->lock, RANK_LEAF);
	mutex_lock(&old->lock);
	memcpy(u->hostname, old->hostname, sizeof(u->hostname));
	memcpy(u->domainname, old->domainname, sizeof(u->domainname));
	mutex_unlock(&old->lock);
	*out = u;
	return 0;
}

/* --- cgroup ------------------------------------------------------------------------------------- */

static void cgroup_release(struct ns_common *ns)
{
	ns_fini(ns);
	free(container_of(ns, struct cgroup_ns, ns));
}

static const struct ns_kind cgroup_kind = {"cgroup", CLONE_NEWCGROUP, NS_COUNT_CGROUP,
					   cgroup_release};

static int cgroup_copy(struct user_ns *owner, struct cgroup_ns **out)
{
	struct cgroup_ns *c = NEW(struct cgroup_ns);
	int r = ns_init_counted(&c->ns, &cgroup_kind, owner);

	if (r < 0) {
		free(c);
		return r;
	}
	*out = c;
	return 0;
}

/* --- time ----------------------------------------------------------------------------------------- */

static void time_release(struct ns_common *ns)
{
	struct time_ns *n = container_of(ns, struct time_ns, ns);

	mutex_destroy(&n->lock);
	ns_fini(ns);
	free(n);
}

static const struct ns_kind time_kind = {"time", CLONE_NEWTIME, NS_COUNT_TIME, time_release};

static int time_copy(struct time_ns *old, struct user_ns *owner, struct time_ns **out)
{
	struct time_ns *n = NEW(struct time_ns);
	int r = ns_init_counted(&n->ns, &time_kind, owner);

	if (r < 0) {
		free(n);
		return r;
	}
	mutex_init(&n->lock, RANK_LEAF);
	mutex_lock(&old->lock);
	n->monotonic = old->monotonic;
	n->boottime = old->boottime;
	mutex_unlock(&old->lock);
	*out = n;
	return 0;
}

/* --- sets ------------------------------------------------------------------------------------------- */

struct nsproxy *nsproxy_new(const char *hostname, const char *domainname)
{
	struct nsproxy *p = NEW(struct nsproxy);

	ref_init(&p->ref);
	p->uts = uts_first(hostname, domainname);
	p->ipc = ipc_namespace_new();
	p->net = net_namespace_new();
	p->cgroup = NEW(struct cgroup_ns);
	ns_init(&p->cgroup->ns, &cgroup_kind, &user_ns_first);
	p->time = NEW(struct time_ns);
	ns_init(&p->time->ns, &time_kind, &user_ns_first);
	mutex_init(&p->time->lock, RANK_LEAF);
	p->time->entered = true;
	p->time_for_children = p->time;
	ns_get(&p->time->ns);
	return p;
}

struct nsproxy *nsproxy_get(struct nsproxy *p)
{
	ref_get(&p->ref);
	return p;
}

void nsproxy_put(struct nsproxy *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	ns_put(&p->uts->ns);
	ns_put(&p->ipc->ns);
	ns_put(&p->net->ns);
	ns_put(&p->cgroup->ns);
	ns_put(&p->time->ns);
	ns_put(&p->time_for_children->ns);
	free(p);
}

static struct nsproxy *copy(const struct nsproxy *old)
{
	struct nsproxy *p = NEW(struct nsproxy);

	*p = *old;
	ref_init(&p->ref);
	ns_get(&p->uts->ns);
	ns_get(&p->ipc->ns);
	ns_get(&p->net->ns);
	ns_get(&p->cgroup->ns);
	ns_get(&p->time->ns);
	ns_get(&p->time_for_children->ns);
	return p;
}

struct nsproxy *task_get_namespaces(struct task *t)
{
	SCOPED_LOCK(&t->alloc_lock);
	return t->ns ? nsproxy_get(t->ns) : NULL;
}

void task_set_namespaces(struct task *t, struct nsproxy *p)
{
	struct nsproxy *old;

	mutex_lock(&t->alloc_lock);
	old = t->ns;
	t->ns = p;
	mutex_unlock(&t->alloc_lock);
	nsproxy_put(old);
}

/* p is a private copy: `new` (taken) comes into the field that holds `*slot`. */
#define REPLACE(slot, new)                                                                         \
	do {                                                                                       \
		ns_put(&(slot)->ns);                                                               \
		(slot) = (new);                                                                    \
	} while (0)

static int unshare_into(struct nsproxy *p, uint64_t flags, struct user_ns *owner)
{
	struct ipc_namespace *ipc;
	struct net_namespace *net;
	struct cgroup_ns *cgroup;
	struct time_ns *time;
	struct uts_ns *uts;
	int r = 0;

	if (flags & CLONE_NEWUTS && (r = uts_copy(p->uts, owner, &uts)) == 0)
		REPLACE(p->uts, uts);
	if (r == 0 && flags & CLONE_NEWIPC && (r = ipc_namespace_unshare(owner, &ipc)) == 0)
		REPLACE(p->ipc, ipc);
	if (r == 0 && flags & CLONE_NEWNET && (r = net_namespace_unshare(owner, &net)) == 0)
		REPLACE(p->net, net);
	if (r == 0 && flags & CLONE_NEWCGROUP && (r = cgroup_copy(owner, &cgroup)) == 0)
		REPLACE(p->cgroup, cgroup);
	if (r == 0 && flags & CLONE_NEWTIME &&
	    (r = time_copy(p->time_for_children, owner, &time)) == 0)
		REPLACE(p->time_for_children, time);
	return r;
}

int nsproxy_unshare(struct nsproxy *old, uint64_t flags, struct user_ns *owner,
		    struct nsproxy **out)
{
	struct nsproxy *p = copy(old);
	int r = unshare_into(p, flags, owner);

	if (r < 0)
		nsproxy_put(p);
	else
		*out = p;
	return r;
}

struct nsproxy *nsproxy_for_child(struct nsproxy *old)
{
	struct time_ns *time = old->time_for_children;
	struct nsproxy *p;

	if (time == old->time)
		return nsproxy_get(old);
	mutex_lock(&time->lock);
	time->entered = true;
	mutex_unlock(&time->lock);
	p = copy(old);
	ns_get(&time->ns);
	REPLACE(p->time, time);
	return p;
}

struct nsproxy *nsproxy_with(struct nsproxy *old, struct ns_common *ns)
{
	struct nsproxy *p = copy(old);

	ns_get(ns);
	switch (ns->kind->flag) {
	case CLONE_NEWUTS:
		REPLACE(p->uts, container_of(ns, struct uts_ns, ns));
		break;
	case CLONE_NEWIPC:
		REPLACE(p->ipc, container_of(ns, struct ipc_namespace, ns));
		break;
	case CLONE_NEWNET:
		REPLACE(p->net, container_of(ns, struct net_namespace, ns));
		break;
	case CLONE_NEWCGROUP:
		REPLACE(p->cgroup, container_of(ns, struct cgroup_ns, ns));
		break;
	case CLONE_NEWTIME:
		ns_get(ns);
		REPLACE(p->time_for_children, container_of(ns, struct time_ns, ns));
		REPLACE(p->time, container_of(ns, struct time_ns, ns));
		break;
	default:
		panic("no namespace of a set: %s", ns->kind->name);
	}
	return p;
}
