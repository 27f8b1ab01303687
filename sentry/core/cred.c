/* Credentials: see cred.h. Immutable once published, so no locks here. */
#include "sentry/core/cred.h"

#include <errno.h>

#include "common/mem.h"

struct cred *cred_new_root(capset caps)
{
	struct cred *c = NEW(struct cred);

	ref_init(&c->ref);
	/* Not inheritable: as container engines do, so that a file's inheritable bits
	 * cannot give a later unprivileged process what its caller gave up. */
	c->permitted = c->effective = c->bounding = caps & CAPSET_ALL;
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
	free(c->groups);
	free(c);
}

struct cred *cred_dup(const struct cred *c)
{
	struct cred *n = xmalloc(sizeof(*n));

	*n = *c;
	ref_init(&n->ref);
	n->groups = NULL;
	if (c->ngroups) {
		/* Bounded by cred_set_groups to 256 KiB. */
		n->groups = xmalloc((size_t)c->ngroups * sizeof(*c->groups));
		memcpy(n->groups, c->groups, (size_t)c->ngroups * sizeof(*c->groups));
	}
	return n;
}

static int compare_gid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

int cred_set_groups(struct cred *c, const uint32_t *groups, int n)
{
	uint32_t *copy = NULL;

	assert(n >= 0 && n <= 65536);
	if (n) {
		copy = try_calloc((size_t)n, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, groups, (size_t)n * sizeof(*copy));
		qsort(copy, (size_t)n, sizeof(*copy), compare_gid);
	}
	free(c->groups);
	c->groups = copy;
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
