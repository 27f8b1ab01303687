/*
 * User namespaces (user_namespaces(7)). Every identity inside the sentry is one
 * of the first namespace (which is that of the containers), so that identities
 * compare as numbers. They are translated at the border: what a guest gives or
 * sees goes through the map of its own namespace. An identity that has no place
 * in a map is seen as 65534.
 */
#ifndef GARRISON_SENTRY_CORE_USER_NS_H
#define GARRISON_SENTRY_CORE_USER_NS_H

#include <stdatomic.h>

#include "sentry/core/ns.h"
#include "sentry/locks.h"

#define INVALID_ID UINT32_MAX
#define OVERFLOW_ID 65534U
#define USER_NS_MAX_LEVEL 32 /* of one that may have another below it */
#define ID_MAP_EXTENTS 340

enum id_kind { ID_UID, ID_GID, ID_PROJECT, ID_KINDS };

/* `count` ids from `first` in the namespace are those from `lower` in the first one. */
struct id_extent {
	uint32_t first, lower, count;
};

struct id_map {
	unsigned int n;
	struct id_extent extent[];
};

struct user_ns {
	struct ns_common ns; /* ns.owner is the parent */
	int level;	     /* immutable; 0: the first */
	/* immutable: who made it, as identities of the first namespace; and could that one set
	 * file capabilities there (user_namespaces(7), mapping of user 0) */
	uint32_t owner_uid, owner_gid;
	bool creator_setfcap;
	struct id_map *_Atomic map[ID_KINDS]; /* written once; NULL: nothing is mapped */
	struct mutex lock;		      /* RANK_LEAF: setgroups against gid_map */
	bool setgroups_denied;		      /* lock */
	/* /proc/sys/user: namespaces that it and those below it may hold, and do. */
	atomic_int limit[NS_COUNTS], count[NS_COUNTS];
};

/* Of each kind, in the whole sandbox: bounds what guests make the sentry keep. */
#define NS_LIMIT_FIRST 1024

extern struct user_ns user_ns_first;

static inline struct user_ns *user_ns_get(struct user_ns *ns)
{
	ns_get(&ns->ns);
	return ns;
}

static inline void user_ns_put(struct user_ns *ns)
{
	if (ns)
		ns_put(&ns->ns);
}

static inline struct user_ns *user_ns_parent(const struct user_ns *ns)
{
	return ns->ns.owner;
}

/* A child of `parent`, whose maps are empty. -ENOSPC: too deep, or too many. */
int user_ns_new(struct user_ns *parent, uint32_t owner_uid, uint32_t owner_gid, bool setfcap,
		struct user_ns **out) MUST_CHECK;
/* Is `ns` the same as `top` or below it? */
bool user_ns_is_below(const struct user_ns *ns, const struct user_ns *top);
/* Is ns a user namespace? Then it, else NULL. */
struct user_ns *user_ns_from(struct ns_common *ns);

/* Into the first namespace's numbers: INVALID_ID if it is not mapped. */
uint32_t user_ns_in(const struct user_ns *ns, enum id_kind kind, uint32_t id);
/* Out of them: INVALID_ID if it is not mapped. */
uint32_t user_ns_out(const struct user_ns *ns, enum id_kind kind, uint32_t id);

/* As guests see it: OVERFLOW_ID if it is not mapped. */
static inline uint32_t user_ns_show(const struct user_ns *ns, enum id_kind kind, uint32_t id)
{
	uint32_t out;

	if (ns == &user_ns_first)
		return id;
	out = user_ns_out(ns, kind, id);
	return out == INVALID_ID ? OVERFLOW_ID : out;
}

static inline bool user_ns_has(const struct user_ns *ns, enum id_kind kind, uint32_t id)
{
	return ns == &user_ns_first || user_ns_out(ns, kind, id) != INVALID_ID;
}

/* -EINVAL: it is empty, or extents overlap or wrap. */
int user_ns_check_map(const struct id_map *map) MUST_CHECK;
/*
 * Installs a checked map given in numbers of the parent (extents with .lower there); takes it on
 * success. -EPERM: it is written already, or names what the parent lacks.
 */
int user_ns_set_map(struct user_ns *ns, enum id_kind kind, struct id_map *map) MUST_CHECK;
/* "deny" after a gid map is written: -EPERM; "allow" after a denial too. */
int user_ns_set_setgroups(struct user_ns *ns, bool allow) MUST_CHECK;
/* setgroups(2) needs a gid map that was written and no denial. */
bool user_ns_may_setgroups(struct user_ns *ns);

#endif
