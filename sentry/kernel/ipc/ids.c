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

struct ipc_namespace *ipc_namespace_new(void)
{
	static atomic_uint_fast64_t next_ino = 0xeffffffd;
	struct ipc_namespace *ns = NEW(struct ipc_namespace);

	ref_init(&ns->ref);
	ns->ino = atomic_fetch_sub(&next_ino, 1);
	ipc_ids_init(&ns->shm, 4096);
	ipc_ids_init(&ns->sem, 32000);
	ipc_ids_init(&ns->msg, 32000);
	ns->mq = mqueue_ns_new();
	return ns;
}

void ipc_namespace_put(struct ipc_namespace *ns)
{
	if (!ref_put(&ns->ref))
		return;
	ipc_ids_fini(&ns->shm);
	ipc_ids_fini(&ns->sem);
	ipc_ids_fini(&ns->msg);
	mqueue_ns_free(ns->mq);
	free(ns);
}

void ipc_ids_init(struct ipc_ids *ids, int limit)
{
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

int ipc_permission(const struct ipc_object *o, const struct cred *c, int flag)
{
	uint32_t wanted = (uint32_t)((flag >> 6) | (flag >> 3) | flag) & 7, granted = o->mode;

	if (c->euid == o->cuid || c->euid == o->uid)
		granted >>= 6;
	else if (c->egid == o->cgid || c->egid == o->gid || cred_in_group(c, o->cgid) ||
		 cred_in_group(c, o->gid))
		granted >>= 3;
	if (wanted & ~granted & 7 && !cred_capable(c, CAP_IPC_OWNER))
		return -EACCES;
	return 0;
}

int ipc_owner(const struct ipc_object *o, const struct cred *c)
{
	if (c->euid == o->cuid || c->euid == o->uid || cred_capable(c, CAP_SYS_ADMIN))
		return 0;
	return -EPERM;
}

void ipc_perm_out(const struct ipc_object *o, struct kipc_perm *out)
{
	*out = (struct kipc_perm){.key = o->key,
				  .uid = o->uid,
				  .gid = o->gid,
				  .cuid = o->cuid,
				  .cgid = o->cgid,
				  .mode = o->mode,
				  .seq = o->seq};
}

void ipc_perm_set(struct ipc_object *o, const struct kipc_perm *in)
{
	o->uid = in->uid;
	o->gid = in->gid;
	o->mode = (o->mode & ~0777U) | (in->mode & 0777);
}

long ipc_stat(const struct cred *c, int id, const struct ipc_stat *s)
{
	struct ipc_object *o;
	int r;

	SCOPED_LOCK(&s->ids->lock);
	r = s->index ? ipc_find_index(s->ids, id, &o) : ipc_find(s->ids, id, &o);
	if (!r && !s->any)
		r = ipc_permission(o, c, 0444);
	if (r)
		return r;
	s->fill(o, s->ds);
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
		r = ipc_permission(o, t->cred, g->flags);
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
