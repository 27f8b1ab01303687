/*
 * System V shared memory. A segment is a file over a host memfd that guests map
 * like any other: every mapping holds the file, so its references tell how often
 * the segment is attached, also over fork and exit.
 *
 *   file.ref = 1 while the segment is in the table and not marked for removal,
 *              + one for each VMA (+ one for a moment while somebody looks)
 *
 * IPC_RMID drops the table's reference; the segment can still be found by number
 * while it is attached, and goes with the last mapping: the file's release takes
 * it out of the table.
 *
 * Locking: shm.lock of the namespace guards the table and the fields; no file
 * reference is dropped under it.
 * Limits: shm_dtime changes by shmdt(2) and the last detach, not by an exit; no huge
 * pages.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include "common/host.h"
#include "common/text.h"
#include "sentry/core/account.h"
#include "sentry/fs/inode.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/ipc/ipc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/usermem.h"

#define SHM_MAX (UINT64_MAX - (1ULL << 24)) /* kernel.shmmax and shmall */
#define SIZE_LIMIT (1ULL << 46)		    /* what a memfd can be, and more than there is */
#define MODE_DEST 01000			    /* SHM_DEST */
#define MODE_LOCKED 02000

struct shm {
	struct ipc_object obj;
	struct file file;
	struct ipc_namespace *ns; /* its memory; owned */
	bool file_gone;		  /* released */
	int fd;			  /* immutable; owned */
	uint64_t size;		  /* immutable */
	int64_t atime, dtime, ctime;
	int cpid, lpid;
};

static struct shm *shm_of(struct ipc_object *o)
{
	return container_of(o, struct shm, obj);
}

static struct shm *shm_of_file(struct file *f)
{
	return container_of(f, struct shm, file);
}

/* --- the file ------------------------------------------------------------------------------ */

static int shm_mmap(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
		    struct file_mapping *out)
{
	*out = (struct file_mapping){.fd = shm_of_file(f)->fd,
				     .offset = offset,
				     .max_prot = PROT_READ | PROT_WRITE | PROT_EXEC};
	return 0;
}

/* The last mapping of a segment that is marked for removal went. */
static void shm_release(struct file *f)
{
	struct shm *s = shm_of_file(f);
	struct ipc_namespace *ns = s->ns;

	file_fini(f);
	s->file_gone = true;
	mutex_lock(&ns->shm.lock);
	ns->shm_pages -= ROUND_UP(s->size, GUEST_PAGE) / GUEST_PAGE;
	ipc_remove(&ns->shm, &s->obj);
	mutex_unlock(&ns->shm.lock);
}

static const struct file_ops shm_file_ops = {
    .mmap = shm_mmap,
    .release = shm_release,
};

static void shm_free(struct ipc_object *o)
{
	struct shm *s = shm_of(o);

	if (!s->file_gone) /* never in the table */
		file_fini(&s->file);
	charged_close(s->fd);
	ipc_namespace_put_memory(s->ns);
	charged_free(s);
}

/* --- shmget ---------------------------------------------------------------------------------- */

static int shm_create(struct task *t, struct ipc_get *g, struct ipc_object **out)
{
	struct inode *inode;
	struct shm *s;
	char name[32];
	int fd, r;

	if (!g->size)
		return -EINVAL;
	if (g->size > SIZE_LIMIT || g->flags & SHM_HUGETLB)
		return -ENOMEM;
	snprintf(name, sizeof(name), "SYSV%08x", (unsigned int)g->key);
	fd = charged_memfd(name, 0);
	if (fd < 0)
		return -ENOMEM;
	r = host_ftruncate(fd, (off_t)ROUND_UP(g->size, GUEST_PAGE));
	if (r) {
		charged_close(fd);
		return -ENOMEM;
	}
	s = CHARGED_NEW(struct shm);
	ref_init(&s->obj.ref);
	s->obj.free = shm_free;
	s->fd = fd;
	s->size = g->size;
	s->ctime = ipc_now();
	s->cpid = t->process->tgid;
	s->ns = t->ns->ipc;
	ref_get(&s->ns->memory);
	inode = anon_inode_new(name, S_IFREG);
	file_init(&s->file, &shm_file_ops, inode, NULL, t->cred, O_RDWR);
	inode_put(inode);
	*out = &s->obj;
	return 0;
}

static int shm_check(struct ipc_get *g, struct ipc_object *o)
{
	return g->size > shm_of(o)->size ? -EINVAL : 0;
}

static int shm_added(struct task *t, struct ipc_get *g, struct ipc_object *o)
{
	t->ns->ipc->shm_pages += ROUND_UP(g->size, GUEST_PAGE) / GUEST_PAGE;
	return 0;
}

long shm_get(struct task *t, int key, uint64_t size, int flags)
{
	struct ipc_get g = {.ids = &t->ns->ipc->shm,
			    .key = key,
			    .flags = flags,
			    .create = shm_create,
			    .check = shm_check,
			    .added = shm_added,
			    .size = size};

	return ipc_get_id(t, &g);
}

/* --- shmat, shmdt ------------------------------------------------------------------------------ */

/* The segment with a file reference, which keeps it. */
static int shm_lookup(struct task *t, int id, int access, struct shm **out)
{
	struct ipc_ids *ids = &t->ns->ipc->shm;
	SCOPED_LOCK(&ids->lock);
	struct ipc_object *o;
	int r = ipc_find(ids, id, &o);

	if (!r)
		r = ipc_permission(ids, o, t->cred, access);
	if (r)
		return r;
	/* Its last mapping may be going at this moment. */
	if (!ref_get_unless_zero(&shm_of(o)->file.ref))
		return -EIDRM;
	*out = shm_of(o);
	return 0;
}

static long map_segment(struct task *t, struct shm *s, uaddr addr, int flags)
{
	int prot =
	    PROT_READ | (flags & SHM_RDONLY ? 0 : PROT_WRITE) | (flags & SHM_EXEC ? PROT_EXEC : 0);
	int how = MAP_SHARED;
	struct mm_limits lim;
	int64_t r;

	if (!uaddr_null(addr))
		how |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	task_mm_limits(t, &lim);
	r = mm_mmap(t->mm, t->pt, &lim, addr, ROUND_UP(s->size, GUEST_PAGE), prot, how, &s->file,
		    0);
	return r == -EEXIST ? -EINVAL : r;
}

long shm_attach(struct task *t, int id, uaddr addr, int flags)
{
	int access = flags & SHM_RDONLY ? 0444 : 0666;
	struct shm *s;
	long r;

	if (addr.va % GUEST_PAGE) {
		if (!(flags & SHM_RND))
			return -EINVAL;
		addr.va = ROUND_DOWN(addr.va, GUEST_PAGE);
		if (!addr.va && flags & SHM_REMAP)
			return -EINVAL;
	} else if (uaddr_null(addr) && flags & SHM_REMAP) {
		return -EINVAL;
	}
	if (flags & SHM_EXEC)
		access |= 0111;
	r = shm_lookup(t, id, access, &s);
	if (r)
		return r;
	r = map_segment(t, s, addr, flags);
	if (r >= 0) {
		SCOPED_LOCK(&s->ns->shm.lock);

		s->atime = ipc_now();
		s->lpid = t->process->tgid;
	}
	file_put(&s->file);
	return r;
}

static void detached(struct shm *s, int pid)
{
	SCOPED_LOCK(&s->ns->shm.lock);

	s->dtime = ipc_now();
	s->lpid = pid;
}

/* Unmaps what is left of an attachment, which mprotect or munmap may have cut up. */
static void unmap_all(struct task *t, struct shm *s, uint64_t start)
{
	uint64_t end = start + ROUND_UP(s->size, GUEST_PAGE), at = start;
	struct vma v;

	while (at < end && !mm_find_vma(t->mm, at, &v)) {
		bool ours = v.file == &s->file && v.start < end && v.start - v.offset == start;

		if (v.file)
			file_put(v.file);
		if (v.start >= end)
			break;
		if (ours)
			(void)!mm_munmap(t->mm, t->pt, UADDR(v.start), v.end - v.start);
		at = v.end;
	}
}

long shm_detach(struct task *t, uaddr addr)
{
	struct vma v;
	struct shm *s;

	if (addr.va % GUEST_PAGE || mm_find_vma(t->mm, addr.va, &v))
		return -EINVAL;
	if (!v.file)
		return -EINVAL;
	if (v.file->ops != &shm_file_ops || v.start < addr.va || v.start - addr.va != v.offset) {
		file_put(v.file);
		return -EINVAL;
	}
	s = shm_of_file(v.file);
	unmap_all(t, s, addr.va);
	detached(s, t->process->tgid);
	file_put(&s->file);
	return 0;
}

/* --- shmctl -------------------------------------------------------------------------------------- */

static void stat_locked(struct shm *s, const struct cred *c, struct kshmid_ds *out)
{
	unsigned int refs = ref_read(&s->file.ref);

	*out = (struct kshmid_ds){.segsz = s->size,
				  .atime = s->atime,
				  .dtime = s->dtime,
				  .ctime = s->ctime,
				  .cpid = s->cpid,
				  .lpid = s->lpid};
	ipc_perm_out(&s->obj, c, &out->perm);
	out->nattch = refs - (s->obj.mode & MODE_DEST || !refs ? 0 : 1);
}

static void shm_stat_fill(struct ipc_object *o, const struct cred *c, void *ds)
{
	stat_locked(shm_of(o), c, ds);
}

static long shm_stat(struct task *t, int id, int cmd, uaddr buf)
{
	struct kshmid_ds ds;
	struct ipc_stat s = {.ids = &t->ns->ipc->shm,
			     .index = cmd != IPC_STAT,
			     .any = cmd == K_SHM_STAT_ANY,
			     .fill = shm_stat_fill,
			     .ds = &ds};
	long r = ipc_stat(t->cred, id, &s);

	return r < 0 ? r : copyout(t, buf, &ds, sizeof(ds)) ?: r;
}

/* The key is gone at once; the memory when nobody has it mapped. */
static bool remove_locked(struct shm *s)
{
	bool first = !(s->obj.mode & MODE_DEST);

	s->obj.mode |= MODE_DEST;
	s->obj.key = IPC_PRIVATE;
	return first;
}

static long shm_change(struct task *t, int id, int cmd, const struct kshmid_ds *ds)
{
	struct ipc_ids *ids = &t->ns->ipc->shm;
	struct ipc_object *o;
	bool drop = false;
	int r;

	mutex_lock(&ids->lock);
	r = ipc_find(ids, id, &o);
	if (!r)
		r = ipc_owner(ids, o, t->cred);
	if (!r) {
		if (cmd == IPC_RMID) {
			drop = remove_locked(shm_of(o));
		} else if (cmd == IPC_SET) {
			r = ipc_perm_set(o, t->cred, &ds->perm);
			shm_of(o)->ctime = ipc_now();
		} else if (cmd == SHM_LOCK) {
			o->mode |= MODE_LOCKED;
		} else {
			o->mode &= ~(uint32_t)MODE_LOCKED;
		}
	}
	mutex_unlock(&ids->lock);
	if (drop)
		file_put(&shm_of(o)->file);
	return r;
}

void shm_remove_all(struct ipc_namespace *ns)
{
	for (int i = 0; i < ns->shm.size; i++) {
		struct shm *s = NULL;

		mutex_lock(&ns->shm.lock);
		if (ns->shm.slot[i])
			s = shm_of(ns->shm.slot[i]);
		if (s && !remove_locked(s))
			s = NULL;
		mutex_unlock(&ns->shm.lock);
		if (s)
			file_put(&s->file);
	}
}

static long shm_limits(struct task *t, uaddr buf)
{
	struct kshminfo info = {
	    .shmmax = SHM_MAX, .shmmin = 1, .shmmni = 4096, .shmseg = 4096, .shmall = SHM_MAX};
	struct ipc_ids *ids = &t->ns->ipc->shm;
	int highest;

	mutex_lock(&ids->lock);
	highest = ipc_highest_index(ids);
	mutex_unlock(&ids->lock);
	return copyout(t, buf, &info, sizeof(info)) ?: highest;
}

static long shm_usage(struct task *t, uaddr buf)
{
	struct ipc_namespace *ns = t->ns->ipc;
	struct kshm_info info = {0};
	int highest;

	mutex_lock(&ns->shm.lock);
	info.used_ids = ns->shm.in_use;
	info.shm_tot = info.shm_rss = ns->shm_pages;
	highest = ipc_highest_index(&ns->shm);
	mutex_unlock(&ns->shm.lock);
	return copyout(t, buf, &info, sizeof(info)) ?: highest;
}

long shm_control(struct task *t, int id, int cmd, uaddr buf)
{
	struct kshmid_ds ds;
	int r;

	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
		return shm_limits(t, buf);
	case K_SHM_INFO:
		return shm_usage(t, buf);
	case IPC_STAT:
	case K_SHM_STAT:
	case K_SHM_STAT_ANY:
		return shm_stat(t, id, cmd, buf);
	case IPC_SET:
		r = copyin(t, &ds, buf, sizeof(ds));
		return r ? r : shm_change(t, id, cmd, &ds);
	case IPC_RMID:
	case SHM_LOCK:
	case SHM_UNLOCK:
		return shm_change(t, id, cmd, NULL);
	}
	return -EINVAL;
}

void ipc_proc_show_shm(struct ipc_namespace *ns, struct text *t)
{
	struct kshmid_ds d;

	text_puts(t,
		  "       key      shmid perms                  size  cpid  lpid nattch   uid   gid"
		  "  cuid  cgid      atime      dtime      ctime                   rss"
		  "                  swap\n");
	SCOPED_LOCK(&ns->shm.lock);
	for (int i = 0; i < ns->shm.size; i++) {
		struct ipc_object *o = ns->shm.slot[i];

		if (!o)
			continue;
		stat_locked(shm_of(o), o->creator, &d);
		text_printf(t,
			    "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u %10ld %10ld %10ld "
			    "%21lu %21lu\n",
			    o->key, o->id, o->mode, d.segsz, d.cpid, d.lpid, d.nattch, o->uid,
			    o->gid, o->cuid, o->cgid, d.atime, d.dtime, d.ctime, d.segsz, 0UL);
	}
}
