/*
 * Tables of System V IPC objects. A number is the slot plus a sequence number, so
 * that an old number does not soon mean a new object.
 */
#include <errno.h>
#include <sys/ipc.h>
#include <time.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/ipc/mqueue.h"

#define SLOT_BITS 15
#define SLOTS (1 << SLOT_BITS)

static void ipc_release(struct ns_common *ns)
{
	struct ipc_namespace *n = container_of(ns, struct ipc_namespace, ns);

	shm_remove_all(n);
	ipc_ids_fini(&n->sem);
	ipc_ids_fini(&n->msg);
	mqueue_ns_free(n->mq);
	ipc_namespace_put_memory(n);
}

void ipc_namespace_put_memory(struct ipc_namespace *n)
{
	if (!ref_put(&n->memory))
		return;
	ipc_ids_fini(&n->shm);
	ns_fini(&n->ns);
	free(n);
}

static const struct ns_kind ipc_kind = {"ipc", CLONE_NEWIPC, NS_COUNT_IPC, ipc_release};

static void init_tables(struct ipc_namespace *n)
{
	ref_init(&n->memory);
	ipc_ids_init(&n->shm, n->ns.owner, 4096);
	ipc_ids_init(&n->sem, n->ns.owner, 32000);
	ipc_ids_init(&n->msg, n->ns.owner, 32000);
	n->mq = mqueue_ns_new();
}

struct ipc_namespace *ipc_namespace_new(void)
{
	struct ipc_namespace *n = NEW(struct ipc_namespace);

	ns_init(&n->ns, &ipc_kind, &user_ns_first);
	init_tables(n);
	return n;
}

int ipc_namespace_unshare(struct user_ns *owner, struct ipc_namespace **out)
{
	struct ipc_namespace *n = NEW(struct ipc_namespace);
	int r = ns_init_counted(&n->ns, &ipc_kind, owner);

	if (r < 0) {
		free(n);
		return r;
	}
	init_tables(n);
	*out = n;
	return 0;
}

void ipc_ids_init(struct ipc_ids *ids, struct user_ns *owner, int limit)
{
	ids->owner = owner;
	mutex_init(&ids->lock, RANK_OBJECT);
	ids->limit = limit;
}

void ipc_ids_fini(struct ipc_ids *ids)
{
	for (int i = 0; i < ids->size; i++) {
		struct ipc_object *o = ids->slot[i];

		if (!o)
			continue;
		ids->slot[i] = NULL;
		o->dead = true;
		ipc_object_put(o);
	}
	free(ids->slot);
	mutex_destroy(&ids->lock);
}

struct ipc_object *ipc_object_get(struct ipc_object *o)
{
	ref_get(&o->ref);
	return o;
}

void ipc_object_put(struct ipc_object *o)
{
	if (!ref_put(&o->ref))
		return;
	if (o->creator)
		cred_put(o->creator);
	o->free(o);
}

static int free_slot(struct ipc_ids *ids)
{
	int i, size;
	struct ipc_object **bigger;

	if (ids->in_use >= ids->limit)
		return -ENOSPC;
	for (i = 0; i < ids->size; i++)
		if (!ids->slot[i])
			return i;
	size = ids->size ? ids->size * 2 : 16;
	bigger = try_calloc((size_t)size, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	if (ids->size)
		memcpy(bigger, ids->slot, (size_t)ids->size * sizeof(*bigger));
	free(ids->slot);
	ids->slot = bigger;
	ids->size = size;
	return i;
}

int ipc_add(struct ipc_ids *ids, struct ipc_object *o, int key, uint32_t mode, struct task *t)
{
	int i = free_slot(ids);

	if (i < 0)
		return i;
	o->key = key;
	o->mode = mode & 0777;
	o->uid = o->cuid = t->cred->euid;
	o->gid = o->cgid = t->cred->egid;
	o->creator = cred_get(t->cred);
	o->seq = ids->seq & 0x7fff;
	o->id = o->seq << SLOT_BITS | i;
	ids->slot[i] = o;
	ids->in_use++;
	return 0;
}

void ipc_remove(struct ipc_ids *ids, struct ipc_object *o)
{
	ids->slot[o->id & (SLOTS - 1)] = NULL;
	ids->in_use--;
	ids->seq++;
	o->dead = true;
	ipc_object_put(o);
}

int ipc_find(struct ipc_ids *ids, int id, struct ipc_object **out)
{
	int i = id & (SLOTS - 1);

	if (id < 0 || i >= ids->size || !ids->slot[i] || ids->slot[i]->id != id)
		return -EINVAL;
	*out = ids->slot[i];
	return 0;
}

int ipc_find_index(struct ipc_ids *ids, int index, struct ipc_object **out)
{
	if (index < 0 || index >= ids->size || !ids->slot[index])
		return -EINVAL;
	*out = ids->slot[index];
	return 0;
}

int ipc_highest_index(const struct ipc_ids *ids)
{
	int i = ids->size - 1;

	while (i >= 0 && !ids->slot[i])
		i--;
	return max(i, 0);
}

struct ipc_object *ipc_find_key(struct ipc_ids *ids, int key)
{
	for (int i = 0; i < ids->size; i++)
		if (ids->slot[i] && ids->slot[i]->key == key)
			return ids->slot[i];
	return NULL;
}

int ipc_permission(const struct ipc_ids *ids, const struct ipc_object *o, const struct cred *c,
		   int flag)
{
	uint32_t wanted = (uint32_t)((flag >> 6) | (flag >> 3) | flag) & 7, granted = o->mode;

	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (c->egid == o->cgid || c->egid == o->gid || cred_in_group(c, o->cgid) ||
		 cred_in_group(c, o->gid))
		granted >>= 3;
	if (wanted & ~granted & 7 && !cred_ns_capable(c, ids->owner, CAP_IPC_OWNER))
		return -EACCES;
	return 0;
}

int ipc_owner(const struct ipc_ids *ids, const struct ipc_object *o, const struct cred *c)
{
	if (c->euid == o->cuid || c->euid == o->uid ||
	    cred_ns_capable(c, ids->owner, CAP_SYS_ADMIN))
		return 0;
	return -EPERM;
}

void ipc_perm_out(const struct ipc_object *o, const struct cred *c, struct kipc_perm *out)
{
	const struct user_ns *u = c->user_ns;

	*out = (struct kipc_perm){.key = o->key,
				  .uid = user_ns_show(u, ID_UID, o->uid),
				  .gid = user_ns_show(u, ID_GID, o->gid),
				  .cuid = user_ns_show(u, ID_UID, o->cuid),
				  .cgid = user_ns_show(u, ID_GID, o->cgid),
				  .mode = o->mode,
				  .seq = o->seq};
}

int ipc_perm_set(struct ipc_object *o, const struct cred *c, const struct kipc_perm *in)
{
	uint32_t uid = user_ns_in(c->user_ns, ID_UID, in->uid);
	uint32_t gid = user_ns_in(c->user_ns, ID_GID, in->gid);

	if (uid == INVALID_ID || gid == INVALID_ID)
		return -EINVAL;
	o->uid = uid;
	o->gid = gid;
	o->mode = (o->mode & ~0777U) | (in->mode & 0777);
	return 0;
}

long ipc_stat(const struct cred *c, int id, const struct ipc_stat *s)
{
	struct ipc_object *o;
	int r;

	SCOPED_LOCK(&s->ids->lock);
	r = s->index ? ipc_find_index(s->ids, id, &o) : ipc_find(s->ids, id, &o);
	if (!r && !s->any)
		r = ipc_permission(s->ids, o, c, 0444);
	if (r)
		return r;
	s->fill(o, c, s->ds);
	return s->index ? o->id : 0;
}

int64_t ipc_now(void)
{
	return (int64_t)(host_realtime_ns() / NSEC_PER_SEC);
}

/* The id of an existing object, if the caller may have it. */
static long existing(struct task *t, struct ipc_get *g, struct ipc_object *o)
{
	int r;

	if ((g->flags & (IPC_CREAT | IPC_EXCL)) == (IPC_CREAT | IPC_EXCL))
		return -EEXIST;
	r = g->check ? g->check(g, o) : 0;
	if (!r)
		r = ipc_permission(g->ids, o, t->cred, g->flags);
	return r ? r : o->id;
}

static long add_new(struct task *t, struct ipc_get *g, struct ipc_object *o)
{
	int r = ipc_add(g->ids, o, g->key, (uint32_t)g->flags, t);

	if (r)
		return r;
	r = g->added ? g->added(t, g, o) : 0;
	if (!r)
		return o->id;
	ipc_object_get(o); /* the caller drops it */
	ipc_remove(g->ids, o);
	return r;
}

long ipc_get_id(struct task *t, struct ipc_get *g)
{
	struct ipc_object *o = NULL, *new = NULL;
	long r;

	/* Creating may call the host, so it is done before the lock is taken (again). */
	for (;;) {
		mutex_lock(&g->ids->lock);
		o = g->key == IPC_PRIVATE ? NULL : ipc_find_key(g->ids, g->key);
		if (o)
			r = existing(t, g, o);
		else if (g->key != IPC_PRIVATE && !(g->flags & IPC_CREAT))
			r = -ENOENT;
		else if (new)
			r = add_new(t, g, new);
		else
			r = -EAGAIN;
		mutex_unlock(&g->ids->lock);
		if (r != -EAGAIN)
			break;
		r = g->create(t, g, &new);
		if (r)
			return r;
	}
	if (new && (r < 0 || o))
		ipc_object_put(new);
	return r;
}
