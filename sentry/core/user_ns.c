/*
 * Namespaces in general, and user namespaces. Maps are written once and read
 * without a lock. See ns.h and user_ns.h.
 */
#include "sentry/core/user_ns.h"

#include <errno.h>

#include "common/mem.h"

/* The numbers of Linux's own first namespaces lie below. */
static atomic_uint_fast64_t next_ino = 4026532000ULL;

static void user_ns_release(struct ns_common *ns);
static const struct ns_kind user_kind = {"user", CLONE_NEWUSER, NS_COUNT_USER, user_ns_release};

struct user_ns user_ns_first = {
    .ns = {.ref = {1}, .kind = &user_kind, .ino = 4026531837ULL},
    .lock = MUTEX_INIT(RANK_LEAF),
    .limit = {NS_LIMIT_FIRST, NS_LIMIT_FIRST, NS_LIMIT_FIRST, NS_LIMIT_FIRST, NS_LIMIT_FIRST,
	      NS_LIMIT_FIRST, NS_LIMIT_FIRST, NS_LIMIT_FIRST},
};

/* --- namespaces in general ------------------------------------------------------------------- */

void ns_init(struct ns_common *ns, const struct ns_kind *kind, struct user_ns *owner)
{
	ref_init(&ns->ref);
	ns->kind = kind;
	ns->ino = atomic_fetch_add(&next_ino, 1);
	ns->owner = user_ns_get(owner);
	ns->counted = false;
}

static void uncount(struct user_ns *from, const struct user_ns *end, enum ns_count what)
{
	for (struct user_ns *u = from; u != end; u = u->ns.owner)
		atomic_fetch_sub(&u->count[what], 1);
}

int ns_init_counted(struct ns_common *ns, const struct ns_kind *kind, struct user_ns *owner)
{
	for (struct user_ns *u = owner; u; u = u->ns.owner) {
		if (atomic_fetch_add(&u->count[kind->count], 1) <
		    atomic_load(&u->limit[kind->count]))
			continue;
		uncount(owner, u->ns.owner, kind->count);
		return -ENOSPC;
	}
	ns_init(ns, kind, owner);
	ns->counted = true;
	return 0;
}

void ns_fini(struct ns_common *ns)
{
	if (ns->counted)
		uncount(ns->owner, NULL, ns->kind->count);
	user_ns_put(ns->owner);
}

/* --- user namespaces ---------------------------------------------------------------------------- */

static void user_ns_release(struct ns_common *ns)
{
	struct user_ns *u = container_of(ns, struct user_ns, ns);

	for (int i = 0; i < ID_KINDS; i++)
		free(atomic_load(&u->map[i]));
	mutex_destroy(&u->lock);
	ns_fini(ns);
	free(u);
}

int user_ns_new(struct user_ns *parent, uint32_t owner_uid, uint32_t owner_gid, bool setfcap,
		struct user_ns **out)
{
	struct user_ns *u;
	int r;

	if (parent->level > USER_NS_MAX_LEVEL)
		return -ENOSPC;
	u = NEW(struct user_ns);
	r = ns_init_counted(&u->ns, &user_kind, parent);
	if (r < 0) {
		free(u);
		return r;
	}
	u->level = parent->level + 1;
	u->owner_uid = owner_uid;
	u->owner_gid = owner_gid;
	u->creator_setfcap = setfcap;
	mutex_init(&u->lock, RANK_LEAF);
	mutex_lock(&parent->lock);
	u->setgroups_denied = parent->setgroups_denied;
	mutex_unlock(&parent->lock);
	for (int i = 0; i < NS_COUNTS; i++)
		atomic_init(&u->limit[i], INT32_MAX);
	*out = u;
	return 0;
}

bool user_ns_is_below(const struct user_ns *ns, const struct user_ns *top)
{
	while (ns && ns->level > top->level)
		ns = ns->ns.owner;
	return ns == top;
}

struct user_ns *user_ns_from(struct ns_common *ns)
{
	return ns->kind == &user_kind ? container_of(ns, struct user_ns, ns) : NULL;
}

/* --- maps ------------------------------------------------------------------------------------------ */

uint32_t user_ns_in(const struct user_ns *ns, enum id_kind kind, uint32_t id)
{
	const struct id_map *m = atomic_load(&ns->map[kind]);

	if (ns == &user_ns_first || id == INVALID_ID)
		return id;
	for (unsigned int i = 0; m && i < m->n; i++)
		if (id - m->extent[i].first < m->extent[i].count)
			return m->extent[i].lower + (id - m->extent[i].first);
	return INVALID_ID;
}

uint32_t user_ns_out(const struct user_ns *ns, enum id_kind kind, uint32_t id)
{
	const struct id_map *m = atomic_load(&ns->map[kind]);

	if (ns == &user_ns_first || id == INVALID_ID)
		return id;
	for (unsigned int i = 0; m && i < m->n; i++)
		if (id - m->extent[i].lower < m->extent[i].count)
			return m->extent[i].first + (id - m->extent[i].lower);
	return INVALID_ID;
}

static bool wraps(uint32_t first, uint32_t count)
{
	/* The last number, -1, is nobody's. */
	return count == 0 || first == INVALID_ID || first + count <= first;
}

static bool meet(uint32_t a, uint32_t na, uint32_t b, uint32_t nb)
{
	return a - b < nb || b - a < na;
}

int user_ns_check_map(const struct id_map *map)
{
	for (unsigned int i = 0; i < map->n; i++) {
		const struct id_extent *e = &map->extent[i];

		if (wraps(e->first, e->count) || wraps(e->lower, e->count))
			return -EINVAL;
		for (unsigned int j = 0; j < i; j++) {
			const struct id_extent *o = &map->extent[j];

			if (meet(e->first, e->count, o->first, o->count) ||
			    meet(e->lower, e->count, o->lower, o->count))
				return -EINVAL;
		}
	}
	return map->n ? 0 : -EINVAL;
}

/* A whole range of the parent's numbers must lie in one of its extents. */
static int to_first(const struct user_ns *parent, enum id_kind kind, struct id_extent *e)
{
	const struct id_map *m = atomic_load(&parent->map[kind]);

	if (parent == &user_ns_first)
		return 0;
	for (unsigned int i = 0; m && i < m->n; i++) {
		uint32_t at = e->lower - m->extent[i].first;

		if (at < m->extent[i].count && m->extent[i].count - at >= e->count) {
			e->lower = m->extent[i].lower + at;
			return 0;
		}
	}
	return -EPERM;
}

int user_ns_set_map(struct user_ns *ns, enum id_kind kind, struct id_map *map)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < map->n; i++)
		r = to_first(ns->ns.owner, kind, &map->extent[i]);
	if (r < 0)
		return r;
	SCOPED_LOCK(&ns->lock);
	if (atomic_load(&ns->map[kind]))
		return -EPERM;
	atomic_store(&ns->map[kind], map);
	return 0;
}

int user_ns_set_setgroups(struct user_ns *ns, bool allow)
{
	SCOPED_LOCK(&ns->lock);

	if (allow)
		return ns->setgroups_denied ? -EPERM : 0;
	if (ns == &user_ns_first || atomic_load(&ns->map[ID_GID]))
		return -EPERM;
	ns->setgroups_denied = true;
	return 0;
}

bool user_ns_may_setgroups(struct user_ns *ns)
{
	SCOPED_LOCK(&ns->lock);
	return !ns->setgroups_denied && (ns == &user_ns_first || atomic_load(&ns->map[ID_GID]));
}
