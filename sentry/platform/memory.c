/*
 * Guest memory: layout calls, which the stopped stub thread carries out, and
 * copies, by the host's process_vm calls or through the mailbox's window.
 */
#include "sentry/platform/pf.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common/host.h"
#include "common/host_stub.h"

/* --- commands ------------------------------------------------------------------------------- */

/* Calls that were left for the way back are made now: something else wants the stub first. */
static void settle(struct pf_thread *t)
{
	unsigned int n = t->nlate_calls;
	int64_t r;

	if (n == 0)
		return;
	t->nlate_calls = 0;
	r = call_run(t, n);
	if (r < 0 && r >= -4095) {
		pf_set_result(t, (uint64_t)r);
		t->late_failed = true;
	}
}

struct stub_call *call_prepare(struct pf_thread *t, unsigned int i, uint64_t nr)
{
	struct stub_call *c = &t->mbox->calls[i];

	assert(i < STUB_CALLS);
	if (i == 0)
		settle(t);
	*c = (struct stub_call){.nr = nr};
	return c;
}

static int64_t call_result(struct pf_thread *t, unsigned int n)
{
	int64_t r = 0;

	for (unsigned int i = 0; i < n; i++) {
		r = __atomic_load_n(&t->mbox->calls[i].result, __ATOMIC_RELAXED);
		if (r < 0 && r >= -4095)
			break;
	}
	return r;
}

/* The first failure of n prepared calls, or the last one's result, as the stub says. */
int64_t call_run(struct pf_thread *t, unsigned int n)
{
	int r;

	t->mbox->ncalls = n;
	r = pf.ops->post(t, CMD_CALLS);
	if (r == 0)
		r = pf.ops->finish(t);
	return r < 0 ? r : call_result(t, n);
}

/* A stub's result as an error; a hostile stub may say anything. */
static int as_error(int64_t r)
{
	return r < 0 && r >= -4095 ? (int)r : 0;
}

/* One prepared call, now or (pf_late) on the way back to the guest. */
static int call_one(struct pf_thread *t)
{
	bool late = t->late_next;

	t->late_next = false;
	if (!late)
		return as_error(call_run(t, 1));
	t->nlate_calls = 1;
	return 0;
}

void pf_late(struct pf_thread *t)
{
	t->late_next = pf.ops->late_calls;
}

bool pf_late_failed(struct pf_thread *t)
{
	bool failed = t->late_failed;

	t->late_failed = false;
	return failed;
}

/*
 * The same for calls with asks in them, answered with the fds. If a call fails, the close of the
 * last fd is made up for.
 */
int call_run_fds(struct pf_thread *t, unsigned int n, const int *fds, unsigned int nfds)
{
	int64_t r;

	t->mbox->ncalls = n;
	pthread_mutex_lock(&t->space->fd_lock);
	r = ask_command(t, fds, nfds);
	if (r == 0)
		r = call_result(t, n);
	if (r < 0 && r != -ESRCH) {
		call_prepare(t, 0, __NR_close)->arg[0] = STUB_FD;
		(void)!call_run(t, 1);
	}
	pthread_mutex_unlock(&t->space->fd_lock);
	return r < 0 ? (int)r : 0;
}

/* --- layout --------------------------------------------------------------------------------- */

static bool in_guest_range(uaddr addr, uint64_t len)
{
	return addr.va < pf_max_addr() && len <= pf_max_addr() - addr.va &&
	       addr.va % GUEST_PAGE == 0;
}

static struct stub_call *range_call(struct pf_thread *t, unsigned int i, uint64_t nr, uaddr addr,
				    uint64_t len)
{
	struct stub_call *c = call_prepare(t, i, nr);

	c->arg[0] = addr.va;
	c->arg[1] = len;
	return c;
}

#define MMAP_FLAGS                                                                                 \
	(MAP_SHARED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | MAP_GROWSDOWN | \
	 MAP_STACK)

/* Calls being collected for one hand-over. */
struct batch {
	struct pf_thread *t;
	unsigned int ncalls, nfds;
	int fds[STUB_CALLS];
};

static struct stub_call *batch_call(struct batch *b, uint64_t nr)
{
	return call_prepare(b->t, b->ncalls++, nr);
}

static void batch_close(struct batch *b)
{
	if (b->nfds)
		batch_call(b, __NR_close)->arg[0] = STUB_FD;
}

static int batch_flush(struct batch *b)
{
	unsigned int n = b->ncalls, nfds = b->nfds;

	b->ncalls = b->nfds = 0;
	if (n == 0)
		return 0;
	if (nfds)
		return call_run_fds(b->t, n, b->fds, nfds);
	return n == 1 ? call_one(b->t) : as_error(call_run(b->t, n));
}

/* An ask replaces the fd of the one before, so only the last is closed. */
static void batch_map(struct batch *b, const struct pf_map *map)
{
	int flags = (map->flags & MMAP_FLAGS) | MAP_FIXED;
	struct stub_call *c;

	if (map->fd >= 0 && (b->nfds == 0 || b->fds[b->nfds - 1] != map->fd)) {
		batch_call(b, STUB_ASK)->arg[0] = ASK_FD;
		b->fds[b->nfds++] = map->fd;
	}
	c = batch_call(b, __NR_mmap);
	c->arg[0] = map->addr;
	c->arg[1] = map->len;
	c->arg[2] = (uint64_t)map->prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
	c->arg[3] = (uint64_t)(map->fd < 0 ? flags | MAP_ANONYMOUS : flags & ~MAP_ANONYMOUS);
	c->arg[4] = map->fd < 0 ? (uint64_t)-1 : STUB_FD;
	c->arg[5] = map->fd < 0 ? 0 : map->offset;
}

int pf_mmap_batch(struct pf_thread *t, const struct pf_map *maps, unsigned int n)
{
	struct batch b = {.t = t};
	int r = 0;

	for (unsigned int i = 0; i < n; i++)
		if (!in_guest_range(UADDR(maps[i].addr), maps[i].len) || maps[i].len == 0)
			return -EINVAL;
	for (unsigned int i = 0; i < n && r == 0; i++) {
		batch_map(&b, &maps[i]);
		/* room for an ask, a map and a close? */
		if (i + 1 == n || b.ncalls + 3 > STUB_CALLS) {
			batch_close(&b);
			r = batch_flush(&b);
		}
	}
	return r;
}

int pf_mmap(struct pf_thread *t, uaddr addr, uint64_t len, int prot, int flags, int fd,
	    uint64_t offset)
{
	struct pf_map map = {addr.va, len, prot, flags, fd, offset};

	return pf_mmap_batch(t, &map, 1);
}

int pf_munmap(struct pf_thread *t, uaddr addr, uint64_t len)
{
	if (!in_guest_range(addr, len))
		return -EINVAL;
	range_call(t, 0, __NR_munmap, addr, len);
	return call_one(t);
}

int pf_mprotect(struct pf_thread *t, uaddr addr, uint64_t len, int prot)
{
	if (!in_guest_range(addr, len))
		return -EINVAL;
	range_call(t, 0, __NR_mprotect, addr, len)->arg[2] =
	    (uint64_t)prot & (PROT_READ | PROT_WRITE | PROT_EXEC);
	return call_one(t);
}

int pf_mremap(struct pf_thread *t, uaddr from, uint64_t old_len, uint64_t new_len, uaddr to,
	      bool dontunmap)
{
	struct stub_call *c;

	if (!in_guest_range(from, old_len) || !in_guest_range(to, new_len))
		return -EINVAL;
	c = range_call(t, 0, __NR_mremap, from, old_len);
	c->arg[2] = new_len;
	if (to.va != from.va)
		c->arg[3] = MREMAP_MAYMOVE | MREMAP_FIXED | (dontunmap ? MREMAP_DONTUNMAP : 0);
	c->arg[4] = to.va;
	return as_error(call_run(t, 1));
}

/* Advice that the filter passes, and whose effect the guest can see. */
static bool advice_passes(int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return true;
	}
	return false;
}

int pf_madvise(struct pf_thread *t, uaddr addr, uint64_t len, int advice)
{
	if (!in_guest_range(addr, len))
		return -EINVAL;
	if (!advice_passes(advice))
		return 0;
	range_call(t, 0, __NR_madvise, addr, len)->arg[2] = (uint64_t)advice;
	return call_one(t);
}

int pf_mincore(struct pf_thread *t, uaddr addr, uint64_t len, unsigned char *vec)
{
	size_t room;
	char *window = pf_thread_window(t, &room);
	uint64_t pages = ROUND_UP(len, GUEST_PAGE) / GUEST_PAGE;

	if (!in_guest_range(addr, len))
		return -EINVAL;
	for (uint64_t done = 0; done < pages;) {
		uint64_t n = min(pages - done, (uint64_t)room);
		int r;

		range_call(t, 0, __NR_mincore, uaddr_add(addr, done * GUEST_PAGE), n * GUEST_PAGE)
		    ->arg[2] = t->stub_mbox + (uint64_t)(window - (char *)t->mbox);
		r = as_error(call_run(t, 1));
		if (r < 0)
			return r;
		memcpy(vec + done, window, n);
		done += n;
	}
	return 0;
}

/* --- contents --------------------------------------------------------------------------------- */

ssize_t pf_space_read(struct pf_space *s, uaddr from, void *to, size_t n)
{
	ssize_t r;

	if (n == 0)
		return 0;
	if (from.va >= PF_HI || n > PF_HI - from.va || !space_use(s))
		return -EFAULT;
	r = host_process_read(s->pid, from.va, to, n);
	space_unuse(s);
	return r > 0 ? r : -EFAULT;
}

ssize_t pf_space_write(struct pf_space *s, uaddr to, const void *from, size_t n)
{
	ssize_t r;

	if (n == 0)
		return 0;
	if (to.va >= pf_max_addr() || n > pf_max_addr() - to.va || !space_use(s))
		return -EFAULT;
	r = host_process_write(s->pid, to.va, from, n);
	space_unuse(s);
	return r > 0 ? r : -EFAULT;
}

/* A copy of at least n bytes from `from` on; *rest: so many. */
static const void *find_copy(struct pf_thread *t, uaddr from, size_t n, size_t *rest)
{
	for (unsigned int i = 0; i < t->ncopies; i++) {
		const struct stub_copy *c = &t->copies[i];
		uint64_t skip = from.va - c->addr;

		if (from.va < c->addr || skip > c->len || n > c->len - skip)
			continue;
		*rest = c->len - skip;
		return MBOX_AT(t->mbox, c->off + skip);
	}
	return NULL;
}

const void *pf_thread_peek(struct pf_thread *t, uaddr from, size_t n)
{
	size_t rest;

	return find_copy(t, from, n, &rest);
}

size_t pf_thread_brought(struct pf_thread *t, uaddr from, void *to, size_t n)
{
	size_t rest;
	const void *p = find_copy(t, from, 1, &rest);

	if (!p)
		return 0;
	n = min(n, rest);
	memcpy(to, p, n);
	return n;
}

ssize_t pf_thread_read(struct pf_thread *t, uaddr from, void *to, size_t n)
{
	const void *p = pf_thread_peek(t, from, n);

	settle(t);
	if (!p)
		return pf_space_read(t->space, from, to, n);
	memcpy(to, p, n);
	return (ssize_t)n;
}

ssize_t pf_thread_write(struct pf_thread *t, uaddr to, const void *from, size_t n)
{
	settle(t);
	return pf_space_write(t->space, to, from, n);
}

/*
 * Results that wait to be copied by the stub lie in the window, behind the arguments that it
 * brought. A caller that wants the window gets what is left, at least 64 KiB.
 */
#define WINDOW_PROMISED 0x10000U

int flush_late(struct pf_thread *t)
{
	int r = 0;

	for (unsigned int i = 0; i < t->nlate; i++) {
		struct stub_copy c = t->late[i];

		if (pf_space_write(t->space, UADDR(c.addr), MBOX_AT(t->mbox, c.off), c.len) !=
		    (ssize_t)c.len)
			r = -EFAULT;
	}
	t->nlate = 0;
	return r;
}

void *pf_thread_window(struct pf_thread *t, size_t *size)
{
	uint32_t used = 0;

	t->ncopies = 0;
	for (unsigned int i = 0; i < t->nlate; i++)
		used = max(used, t->late[i].off + t->late[i].len - SLOT_WINDOW);
	used = ROUND_UP(used, 64U);
	if (SLOT_WINDOW_SIZE - used < WINDOW_PROMISED) {
		/* A fault shows when the data is gone: as with the stub, it ends the call. */
		if (flush_late(t) < 0)
			pf_set_result(t, (uint64_t)-EFAULT);
		used = 0;
	}
	t->window_used = SLOT_WINDOW_SIZE;
	*size = SLOT_WINDOW_SIZE - used;
	return MBOX_AT(t->mbox, SLOT_WINDOW + used);
}

static int write_now(struct pf_thread *t, uaddr to, const void *from, size_t n)
{
	ssize_t r = pf_thread_write(t, to, from, n);

	return r < 0 ? (int)r : (size_t)r == n ? 0 : -EFAULT;
}

static bool nothing_late;

void pf_write_at_once(void)
{
	nothing_late = true;
}

int pf_thread_write_late(struct pf_thread *t, uaddr to, const void *from, size_t n)
{
	uint64_t off = (uint64_t)((const char *)from - (char *)t->mbox);

	if (to.va >= pf_max_addr() || n > pf_max_addr() - to.va)
		return -EFAULT;
	if (t->nlate == STUB_LATE || nothing_late)
		return write_now(t, to, from, n);
	if (off < SLOT_WINDOW || off >= SLOT_STACK) {
		off = ROUND_UP(t->window_used, 16U) + SLOT_WINDOW;
		if (off > SLOT_STACK || n > SLOT_STACK - off)
			return write_now(t, to, from, n);
		memcpy(MBOX_AT(t->mbox, off), from, n);
		t->window_used = (uint32_t)(off + n - SLOT_WINDOW);
	}
	t->late[t->nlate++] = (struct stub_copy){to.va, (uint32_t)off, (uint32_t)n};
	return 0;
}

int pf_space_load32(struct pf_space *s, uaddr addr, uint32_t *value)
{
	ssize_t r = pf_space_read(s, addr, value, sizeof(*value));

	return r == sizeof(*value) ? 0 : -EFAULT;
}

int pf_thread_cmpxchg32(struct pf_thread *t, uaddr addr, uint32_t expect, uint32_t new_value,
			uint32_t *old)
{
	struct stub_call *c = call_prepare(t, 0, 0);
	int r;

	if (addr.va >= pf_max_addr() || addr.va % sizeof(uint32_t))
		return -EFAULT;
	c->arg[0] = addr.va;
	c->arg[1] = expect;
	c->arg[2] = new_value;
	r = pf.ops->post(t, CMD_CMPXCHG);
	if (r == 0)
		r = pf.ops->finish(t);
	if (r < 0)
		return -EFAULT;
	*old = (uint32_t)c->arg[3];
	return c->result == 0 ? 0 : -EFAULT;
}

/* --- residency ------------------------------------------------------------------------- */

#define RESIDENT_CHUNK 1024

int pf_space_resident(struct pf_space *s, const uint64_t *addrs, size_t n, bool *out)
{
	int status[RESIDENT_CHUNK];
	int r = 0;

	if (!space_use(s))
		return -ESRCH;
	for (size_t done = 0; done < n && r == 0; done += RESIDENT_CHUNK) {
		size_t m = n - done < RESIDENT_CHUNK ? n - done : RESIDENT_CHUNK;

		r = host_pages_status(s->pid, addrs + done, m, status);
		for (size_t i = 0; i < m && r == 0; i++)
			out[done + i] = status[i] >= 0;
	}
	space_unuse(s);
	return r;
}
