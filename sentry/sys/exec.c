/* execve(2) and execveat(2): the strings come in, the file is opened, the kernel does it. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/fs/fdtable.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"

#define MAX_STRING (32 * GUEST_PAGE)
#define MAX_STRINGS_BYTES (8ULL << 20)
#define BLOCK (16 * GUEST_PAGE)
#define STRING_WEIGHT 32 /* what a string takes beyond its bytes */

/*
 * Strings of argv and envp mostly lie side by side: guest memory is read in blocks, and a
 * string that lies in the block last read costs nothing.
 */
struct string_reader {
	struct task *t;
	char *block;
	uint64_t start; /* guest address of block */
	size_t have;
	uint64_t total; /* bytes of all strings so far */
	size_t charged; /* to the payer, for as long as the exec takes */
};

static bool strings_charge(struct string_reader *s, size_t n)
{
	struct account *payer;

	if (account_charge(n, &payer) < 0)
		return false;
	s->charged += n;
	return true;
}

/* Makes the byte at addr, and what follows in its block, available. */
static int fill(struct string_reader *s, uint64_t addr)
{
	uint64_t end = ROUND_DOWN(addr, GUEST_PAGE) + 4 * GUEST_PAGE;
	ssize_t n;

	if (addr >= s->start && addr < s->start + s->have)
		return 0;
	s->start = addr;
	n = pf_space_read(s->t->mm->space, UADDR(addr), s->block, end - addr);
	if (n <= 0) {
		s->have = 0;
		return -EFAULT;
	}
	s->have = (size_t)n;
	return 0;
}

/* One string, owned. */
static int read_string(struct string_reader *s, uint64_t addr, char **out)
{
	char *str = NULL;
	size_t len = 0;

	for (;;) {
		size_t avail, n;
		const char *at, *nul;
		char *bigger;

		if (fill(s, addr + len) < 0) {
			free(str);
			return -EFAULT;
		}
		at = s->block + (addr + len - s->start);
		avail = s->have - (size_t)(at - s->block);
		nul = memchr(at, '\0', avail);
		n = nul ? (size_t)(nul - at) + 1 : avail;
		if (len + n > MAX_STRING || s->total + n > MAX_STRINGS_BYTES) {
			free(str);
			return -E2BIG;
		}
		bigger = try_realloc(str, len + n);
		if (!bigger || !strings_charge(s, len ? n : n + STRING_WEIGHT)) {
			free(bigger ? bigger : str);
			return -ENOMEM;
		}
		str = bigger;
		memcpy(str + len, at, n);
		len += n;
		s->total += n;
		if (nul) {
			*out = str;
			return 0;
		}
	}
}

static void free_strings(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

static int push_pointer(struct string_reader *s, char ***v, size_t *n, size_t *room, uint64_t ptr)
{
	int r;

	if (*n + 1 >= *room) {
		char **bigger = try_realloc(*v, max(2 * *room, (size_t)64) * sizeof(char *));

		if (!bigger || !strings_charge(s, *room * sizeof(char *)))
			return -ENOMEM;
		*room = max(2 * *room, (size_t)64);
		*v = bigger;
	}
	s->total += 8;
	(*v)[*n] = NULL;
	r = read_string(s, ptr, &(*v)[*n]);
	if (r == 0)
		(*v)[++*n] = NULL;
	return r;
}

/* A vector of strings; a NULL vector is an empty one, as on Linux. */
static int read_vector(struct string_reader *s, uint64_t addr, char ***out, int *count)
{
	uint64_t ptrs[128], from = addr;
	size_t n = 0, room = 2;
	int r = 0;

	*out = try_calloc(room, sizeof(char *));
	*count = 0;
	if (!*out)
		return -ENOMEM;
	if (!addr)
		return 0;
	for (;;) {
		/* Never past a page that the vector need not reach into. */
		size_t bytes = min(sizeof(ptrs), (size_t)(GUEST_PAGE - from % GUEST_PAGE));
		ssize_t got;

		bytes = bytes < 8 ? 8 : bytes / 8 * 8;
		got = pf_space_read(s->t->mm->space, UADDR(from), ptrs, bytes);
		if (got < 8)
			return -EFAULT;
		for (size_t i = 0; i < (size_t)got / 8 && r == 0; i++) {
			if (!ptrs[i]) {
				*count = (int)n;
				return 0;
			}
			r = push_pointer(s, out, &n, &room, ptrs[i]);
		}
		if (r < 0)
			return r;
		from += (size_t)got / 8 * 8;
	}
}

static int read_args(struct task *t, uint64_t argv, uint64_t envp, struct exec_args *args,
		     size_t *charged)
{
	struct string_reader s = {.t = t, .block = xmalloc(BLOCK)};
	int r = read_vector(&s, argv, &args->argv, &args->argc);

	if (r == 0)
		r = read_vector(&s, envp, &args->envp, &args->envc);
	free(s.block);
	*charged = s.charged;
	return r;
}

/* What AT_EXECFN says of a file opened relative to a descriptor. */
static void exec_name(char *out, size_t size, int dirfd, const char *path)
{
	if (dirfd == AT_FDCWD || path[0] == '/')
		snprintf(out, size, "%s", path);
	else if (path[0] == '\0')
		snprintf(out, size, "/dev/fd/%d", dirfd);
	else
		snprintf(out, size, "/dev/fd/%d/%s", dirfd, path);
}

static int open_program(struct task *t, int dirfd, const char *path, int flags, struct file **out)
{
	unsigned int walk_flags = flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW;
	struct path base = {0};
	struct task_walk walk;
	struct walk_env env;
	int r = 0;

	if (flags & AT_EMPTY_PATH)
		walk_flags |= WALK_EMPTY_PATH;
	if (dirfd != AT_FDCWD && path[0] != '/')
		r = dirfd_path(t, dirfd, &base);
	if (r < 0)
		return r;
	task_walk_begin(t, &walk, &env);
	r = vfs_open_exec(&env, base.dentry ? &base : NULL, path, walk_flags, out);
	task_walk_end(&walk);
	path_put(&base);
	return r;
}

static long exec(struct task *t, int dirfd, uint64_t path_addr, uint64_t argv, uint64_t envp,
		 int flags)
{
	char path[PATH_MAX], name[PATH_MAX + 32];
	struct exec_args args = {.path = name};
	struct account *payer = account_payer();
	size_t charged = 0;
	struct file *f;
	int r;

	r = copyin_path(t, path, UADDR(path_addr), flags & AT_EMPTY_PATH);
	if (r < 0)
		return r;
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	r = open_program(t, dirfd, path, flags, &f);
	if (r < 0)
		return r;
	exec_name(name, sizeof(name), dirfd, path);
	args.file = f;
	args.by_descriptor = path[0] == '\0';
	args.path_inaccessible =
	    dirfd != AT_FDCWD && path[0] != '/' && fd_get_cloexec(t->files, dirfd) > 0;
	r = read_args(t, argv, envp, &args, &charged);
	if (r == 0)
		r = task_exec(t, &args);
	free_strings(args.argv);
	free_strings(args.envp);
	account_uncharge(payer, charged);
	file_put(f);
	return r;
}

long sys_execve(struct task *t, const struct sysargs *a)
{
	return exec(t, AT_FDCWD, a->v[0], a->v[1], a->v[2], 0);
}

long sys_execveat(struct task *t, const struct sysargs *a)
{
	return exec(t, (int)a->v[0], a->v[1], a->v[2], a->v[3], (int)a->v[4]);
}
