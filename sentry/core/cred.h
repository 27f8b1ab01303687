/*
 * Credentials of a task: immutable once published, shared by reference, copied
 * to change. All identities are those of the first user namespace, whatever
 * namespace the task is in; the capability sets are those in its own.
 */
#ifndef GARRISON_SENTRY_CORE_CRED_H
#define GARRISON_SENTRY_CORE_CRED_H

#include <linux/capability.h>

#include "sentry/core/user_ns.h"

struct account;
struct cred_groups;

typedef uint64_t capset;
#define CAPSET_ALL (BIT(CAP_LAST_CAP + 1) - 1)

struct cred {
	struct refcount ref;
	uint32_t uid, euid, suid, fsuid;
	uint32_t gid, egid, sgid, fsgid;
	capset permitted, effective, inheritable, bounding, ambient;
	struct user_ns *user_ns; /* owned */
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

/*
 * Has it the capability over what belongs to `ns`? In its own namespace by its effective set; in
 * those below: all, for the owner of the one just below its own; never above or beside.
 */
bool cred_ns_capable(const struct cred *c, const struct user_ns *ns, int cap);

/* Over the sandbox as a whole: objects that belong to no namespace, or to the first. */
static inline bool cred_capable(const struct cred *c, int cap)
{
	return c->user_ns == &user_ns_first && (c->effective & BIT(cap));
}

/* Over an inode of this owner and group, which its own namespace must know. */
static inline bool cred_capable_over(const struct cred *c, uint32_t uid, uint32_t gid, int cap)
{
	return (c->effective & BIT(cap)) && user_ns_has(c->user_ns, ID_UID, uid) &&
	       user_ns_has(c->user_ns, ID_GID, gid);
}

/* Makes c's the first credentials in a new user namespace (takes it): every capability there. */
void cred_enter_user_ns(struct cred *c, struct user_ns *ns);

/* gid is the fsgid or among the supplementary groups (credentials(7)). */
bool cred_in_group(const struct cred *c, uint32_t gid);

#endif
