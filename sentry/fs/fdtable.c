/*
 * Descriptor tables: an array of slots and two bitmaps, grown by doubling. The
 * lock guards all of them; closing (which may call anything) happens outside.
 */
#include "sentry/fs/fdtable.h"

#include <errno.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/filelock.h"

#define MAX_FDS (1U << 20) /* fs.nr_open */
#define FIRST_SIZE 64

struct fdtable {
	struct refcount ref;
	struct mutex lock; /* RANK_FDTABLE */
	/* guarded by lock */
	unsigned int size; /* a multiple of 64 */
	unsigned int next; /* no free descriptor below it */
	struct file **files;
	uint64_t *open, *cloexec;
};

static bool bit_test(const uint64_t *map, unsigned int i)
{
	return map[i / 64] >> (i % 64) & 1;
}

static void bit_set(uint64_t *map, unsigned int i, bool on)
{
	if (on)
		map[i / 64] |= 1ULL << (i % 64);
	else
		map[i / 64] &= ~(1ULL << (i % 64));
}

static int resize_locked(struct fdtable *t, unsigned int size)
{
	struct file **files = charged_calloc(size, sizeof(*files));
	uint64_t *open = charged_calloc(size / 64, 8), *cloexec = charged_calloc(size / 64, 8);

	if (!files || !open || !cloexec) {
		charged_free(files);
		charged_free(open);
		charged_free(cloexec);
		return -ENOMEM;
	}
	if (t->size) {
		memcpy(files, t->files, t->size * sizeof(*files));
		memcpy(open, t->open, t->size / 8);
		memcpy(cloexec, t->cloexec, t->size / 8);
	}
	charged_free(t->files);
	charged_free(t->open);
	charged_free(t->cloexec);
	t->files = files;
	t->open = open;
	t->cloexec = cloexec;
	t->size = size;
	return 0;
}

static int grow_locked(struct fdtable *t, unsigned int fd)
{
	unsigned int size = t->size ? t->size : FIRST_SIZE;

	if (fd < t->size)
		return 0;
	while (size <= fd)
		size *= 2;
	return resize_locked(t, size);
}

struct fdtable *fdtable_new(void)
{
	struct fdtable *t = NEW(struct fdtable);

	ref_init(&t->ref);
	mutex_init(&t->lock, RANK_FDTABLE);
	if (resize_locked(t, FIRST_SIZE) < 0)
		abort();
	return t;
}

struct fdtable *fdtable_get(struct fdtable *t)
{
	ref_get(&t->ref);
	return t;
}

bool fdtable_is_shared(struct fdtable *t)
{
	return ref_read(&t->ref) > 1;
}

/* What close(2) does beyond the table. */
static void close_file(struct fdtable *t, struct file *f)
{
	if (f->ops->flush)
		f->ops->flush(f);
	filelock_close_posix(f, t);
	file_put(f);
}

void fdtable_put(struct fdtable *t)
{
	if (!ref_put(&t->ref))
		return;
	for (unsigned int w = 0; w < t->size / 64; w++)
		for (uint64_t bits = t->open[w]; bits; bits &= bits - 1)
			close_file(t, t->files[w * 64 + (unsigned int)__builtin_ctzll(bits)]);
	charged_free(t->files);
	charged_free(t->open);
	charged_free(t->cloexec);
	mutex_destroy(&t->lock);
	free(t);
}

struct fdtable *fdtable_dup(struct fdtable *t)
{
	struct fdtable *copy = NEW(struct fdtable);

	ref_init(&copy->ref);
	mutex_init(&copy->lock, RANK_FDTABLE);
	SCOPED_LOCK(&t->lock);
	unsigned int last = t->size;

	while (last > FIRST_SIZE && !t->open[last / 64 - 1])
		last -= 64;
	if (grow_locked(copy, last - 1) < 0) {
		mutex_destroy(&copy->lock);
		free(copy);
		return NULL;
	}
	for (unsigned int w = 0; w < last / 64; w++) {
		copy->open[w] = t->open[w];
		copy->cloexec[w] = t->cloexec[w];
		for (uint64_t bits = t->open[w]; bits; bits &= bits - 1) {
			unsigned int fd = w * 64 + (unsigned int)__builtin_ctzll(bits);

			copy->files[fd] = file_get(t->files[fd]);
		}
	}
	copy->next = t->next;
	return copy;
}

static struct file *take_locked(struct fdtable *t, unsigned int fd)
{
	struct file *f = fd < t->size ? t->files[fd] : NULL;

	if (!f)
		return NULL;
	t->files[fd] = NULL;
	bit_set(t->open, fd, false);
	bit_set(t->cloexec, fd, false);
	if (fd < t->next)
		t->next = fd;
	return f;
}

void fdtable_exec(struct fdtable *t)
{
	for (unsigned int w = 0;; w++) {
		struct file *closing[64];
		unsigned int n = 0;

		mutex_lock(&t->lock);
		if (w >= t->size / 64) {
			mutex_unlock(&t->lock);
			return;
		}
		for (uint64_t bits = t->open[w] & t->cloexec[w]; bits; bits &= bits - 1)
			closing[n++] = take_locked(t, w * 64 + (unsigned int)__builtin_ctzll(bits));
		mutex_unlock(&t->lock);
		while (n > 0)
			close_file(t, closing[--n]);
	}
}

struct file *fd_get(struct fdtable *t, int fd)
{
	SCOPED_LOCK(&t->lock);
	struct file *f = fd >= 0 && (unsigned int)fd < t->size ? t->files[fd] : NULL;

	return f ? file_get(f) : NULL;
}

struct file *fd_get_io(struct fdtable *t, int fd)
{
	SCOPED_LOCK(&t->lock);
	struct file *f = fd >= 0 && (unsigned int)fd < t->size ? t->files[fd] : NULL;

	return f && !(f->caps & FILE_IS_PATH) ? file_get(f) : NULL;
}

static unsigned int find_free_locked(const struct fdtable *t, unsigned int from)
{
	unsigned int w = from / 64;
	uint64_t mask = ~0ULL << (from % 64);

	for (; w < t->size / 64; w++, mask = ~0ULL)
		if (~t->open[w] & mask)
			return w * 64 + (unsigned int)__builtin_ctzll(~t->open[w] & mask);
	return max(t->size, from);
}

static void put_in_locked(struct fdtable *t, unsigned int fd, struct file *f, bool cloexec)
{
	t->files[fd] = f;
	bit_set(t->open, fd, true);
	bit_set(t->cloexec, fd, cloexec);
}

int fd_install(struct fdtable *t, struct file *f, int from, uint64_t limit, bool cloexec)
{
	SCOPED_LOCK(&t->lock);
	unsigned int start = max((unsigned int)max(from, 0), t->next);
	unsigned int fd = find_free_locked(t, start);
	int err;

	if (fd >= limit || fd >= MAX_FDS)
		return -EMFILE;
	err = grow_locked(t, fd);
	if (err < 0)
		return err;
	if (start == t->next)
		t->next = fd + 1;
	put_in_locked(t, fd, f, cloexec);
	return (int)fd;
}

int fd_install_at(struct fdtable *t, struct file *f, int fd, uint64_t limit, bool cloexec)
{
	struct file *old;
	int err;

	if (fd < 0 || (uint64_t)fd >= limit || (unsigned int)fd >= MAX_FDS)
		return -EBADF;
	mutex_lock(&t->lock);
	err = grow_locked(t, (unsigned int)fd);
	if (err < 0) {
		mutex_unlock(&t->lock);
		return err;
	}
	old = t->files[fd];
	put_in_locked(t, (unsigned int)fd, f, cloexec);
	mutex_unlock(&t->lock);
	if (old)
		close_file(t, old);
	return fd;
}

int fd_close(struct fdtable *t, int fd)
{
	struct file *f = NULL;

	mutex_lock(&t->lock);
	if (fd >= 0)
		f = take_locked(t, (unsigned int)fd);
	mutex_unlock(&t->lock);
	if (!f)
		return -EBADF;
	close_file(t, f);
	return 0;
}

int fd_close_range(struct fdtable *t, unsigned int first, unsigned int last, bool only_cloexec)
{
	if (first > last)
		return -EINVAL;
	for (;;) {
		struct file *f = NULL;
		int fd;

		if (first > INT32_MAX || (fd = fd_next(t, (int)first)) < 0 ||
		    (unsigned int)fd > last)
			return 0;
		mutex_lock(&t->lock);
		if (only_cloexec && t->files[fd])
			bit_set(t->cloexec, (unsigned int)fd, true);
		else if (!only_cloexec)
			f = take_locked(t, (unsigned int)fd);
		mutex_unlock(&t->lock);
		if (f)
			close_file(t, f);
		first = (unsigned int)fd + 1;
	}
}

int fd_get_cloexec(struct fdtable *t, int fd)
{
	SCOPED_LOCK(&t->lock);
	if (fd < 0 || (unsigned int)fd >= t->size || !t->files[fd])
		return -EBADF;
	return bit_test(t->cloexec, (unsigned int)fd);
}

int fd_set_cloexec(struct fdtable *t, int fd, bool on)
{
	SCOPED_LOCK(&t->lock);
	if (fd < 0 || (unsigned int)fd >= t->size || !t->files[fd])
		return -EBADF;
	bit_set(t->cloexec, (unsigned int)fd, on);
	return 0;
}

int fd_next(struct fdtable *t, int from)
{
	SCOPED_LOCK(&t->lock);
	unsigned int w = (unsigned int)max(from, 0) / 64;
	uint64_t mask = ~0ULL << ((unsigned int)max(from, 0) % 64);

	for (; w < t->size / 64; w++, mask = ~0ULL)
		if (t->open[w] & mask)
			return (int)(w * 64 + (unsigned int)__builtin_ctzll(t->open[w] & mask));
	return -1;
}

int fdtable_count(struct fdtable *t)
{
	SCOPED_LOCK(&t->lock);
	int n = 0;

	for (unsigned int w = 0; w < t->size / 64; w++)
		n += __builtin_popcountll(t->open[w]);
	return n;
}
