/* Credentials: see cred.h. Immutable once published, so no locks here. */
#include "sentry/core/cred.h"

#include <stddef.h>
#include <errno.h>

#include "common/mem.h"
#include "sentry/core/account.h"

/* Supplementary groups, up to 256 KiB of them, are shared by the copies of credentials. */
struct cred_groups {
	struct refcount ref;
	uint32_t gid[];
};

static void groups_put(struct cred_groups *g)
{
	if (g && ref_put(&g->ref))
		charged_free(g);
}

struct cred *cred_new_root(capset caps)
{
	struct cred *c = NEW(struct cred);

	ref_init(&c->ref);
	/* Not inheritable: as container engines do, so that a file's inheritable bits
	 * cannot give a later unprivileged process what its caller gave up. */
	c->permitted = c->effective = c->bounding = caps & CAPSET_ALL;
	c->user_ns = user_ns_get(&user_ns_first);
	return c;
}

struct cred *cred_get(struct cred *c)
{
	ref_get(&c->ref);
	return c;
}

void cred_put(struct cred *c)
{
	if (!c || !ref_put(&c->ref))
		return;
	groups_put(c->shared);
	account_put(c->account);
	user_ns_put(c->user_ns);
	free(c);
}

struct cred *cred_dup(const struct cred *c)
{
	struct cred *n = xmalloc(sizeof(*n));

	/* All but the reference count, which others may be changing. */
	memcpy(&n->uid, &c->uid, sizeof(*n) - offsetof(struct cred, uid));
	ref_init(&n->ref);
	if (n->shared)
		ref_get(&n->shared->ref);
	account_get(n->account);
	user_ns_get(n->user_ns);
	return n;
}

static int compare_gid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int cred_set_groups(struct cred *c, const uint32_t *groups, int n)
{
	struct cred_groups *new = NULL;

	assert(n >= 0 && n <= 65536);
	if (n) {
		new = charged_alloc(sizeof(*new) + (size_t)n * sizeof(new->gid[0]));
		if (!new)
			return -ENOMEM;
		ref_init(&new->ref);
		memcpy(new->gid, groups, (size_t)n * sizeof(new->gid[0]));
		qsort(new->gid, (size_t)n, sizeof(new->gid[0]), compare_gid);
	}
	groups_put(c->shared);
	c->shared = new;
	c->groups = new ? new->gid : NULL;
	c->ngroups = n;
	return 0;
}

bool cred_in_group(const struct cred *c, uint32_t gid)
{
	int low = 0, high = c->ngroups;

	if (gid == c->fsgid)
		return true;
	while (low < high) {
		int mid = low + (high - low) / 2;

		if (c->groups[mid] == gid)
			return true;
		if (c->groups[mid] < gid)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

void cred_settle_account(struct cred *c)
{
	struct account *a = account_sibling(c->account, c->uid);

	account_put(c->account);
	c->account = a;
}

void cred_pay(const struct cred *c)
{
	/* What a user namespace grants is no claim on what all share. */
	account_set_payer(c->account,
			  cred_capable(c, CAP_SYS_ADMIN) || cred_capable(c, CAP_SYS_RESOURCE));
}

bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap)
{
	for (; ns; ns = user_ns_parent(ns)) {
		if (ns == c->user_ns)
			return c->effective & BIT(cap);
		if (ns->level <= c->user_ns->level)
			return false;
		if (user_ns_parent(ns) == c->user_ns && ns->owner_uid == c->euid)
			return true;
	}
	return false;
}

void cred_enter_user_ns(struct cred *c, struct user_ns *ns)
{
	user_ns_put(c->user_ns);
	c->user_ns = ns;
	c->securebits = 0;
	c->inheritable = c->ambient = 0;
	c->permitted = c->effective = c->bounding = CAPSET_ALL;
}
