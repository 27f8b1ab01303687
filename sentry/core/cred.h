/*
 * Credentials of a task: immutable once published, shared by reference, copied
 * to change. All identities are those inside the container's user namespace.
 */
#ifndef GARRISON_SENTRY_CORE_CRED_H
#define GARRISON_SENTRY_CORE_CRED_H

#include <linux/capability.h>

#include "common/refcount.h"

struct account;
struct cred_groups;

typedef uint64_t capset;
#define CAPSET_ALL (BIT(CAP_LAST_CAP + 1) - 1)

struct cred {
	struct refcount ref;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	capset permitted, effective, inheritable, bounding, ambient;
	uint32_t securebits;
	bool no_new_privs;
	int ngroups;
	const uint32_t *groups;	    /* sorted; in `shared` */
	struct cred_groups *shared; /* owned; NULL: none */
	struct account *account;    /* of `uid` in its container; owned. NULL: the sentry's own */
};

/* Root with the given capability sets and no supplementary groups; never NULL. */
struct cred *cred_new_root(capset caps);
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
/* A private copy to change before publishing it; never NULL. */
struct cred *cred_dup(const struct cred *c);
/* Takes nothing; replaces the groups by a sorted copy. n <= 65536. -ENOMEM. */
int cred_set_groups(struct cred *c, const uint32_t *groups, int n) MUST_CHECK;

/* Before credentials are published: the account of their uid. */
void cred_settle_account(struct cred *c);
/* Makes their account the payer of the calling thread (core/account.h). */
void cred_pay(const struct cred *c);

static inline bool cred_capable(const struct cred *c, int cap)
{
	return c->effective & BIT(cap);
}

/* gid is the fsgid or among the supplementary groups (credentials(7)). */
bool cred_in_group(const struct cred *c, uint32_t gid);

#endif
