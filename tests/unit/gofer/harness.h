/*
 * Runs the real gofer on a scratch directory and mounts it as a root, so that
 * tests work on paths as system calls do.
 */
#ifndef GARRISON_TESTS_UNIT_GOFER_HARNESS_H
#define GARRISON_TESTS_UNIT_GOFER_HARNESS_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/fs/dirent.h"
#include "sentry/fs/fs_context.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"

struct fixture {
	char dir[64];
	int dirfd;
	pid_t gofer;
	struct superblock *sb;
	rlim_t gofer_fds;		  /* its RLIMIT_NOFILE; 0: as it is */
	void (*over)(struct fixture *fx); /* may put another file system over sb */
	struct mount_ns *ns;
	struct path root;
	struct cred *cred;
	struct walk_env env;
};

static inline void gofer_program(char *out)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	ck_assert_int_gt(n, 0);
	self[n] = 0;
	snprintf(out, 2 * PATH_MAX, "%s/../../../libexec/garrison/garrison-gofer", dirname(self));
}

static inline void start_gofer(struct fixture *fx, int channel, int root, const char *options)
{
	char program[2 * PATH_MAX], arg[64];

	gofer_program(program);
	snprintf(arg, sizeof(arg), "%d:%d:%s", channel, root, options);
	fx->gofer = fork();
	if (fx->gofer == 0) {
		struct rlimit lim = {fx->gofer_fds, fx->gofer_fds};

		if (fx->gofer_fds)
			setrlimit(RLIMIT_NOFILE, &lim);
		fcntl(channel, F_SETFD, 0);
		fcntl(root, F_SETFD, 0);
		execl(program, program, "--unconfined", "--export", arg, NULL);
		_exit(127);
	}
}

static inline void mount_export(struct fixture *fx, const char *path, const char *options,
				unsigned int flags)
{
	int pair[2], root;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	root = open(path, O_PATH | O_CLOEXEC);
	ck_assert_int_ge(root, 0);
	start_gofer(fx, pair[1], root, options);
	close(pair[1]);
	close(root);
	ck_assert_int_eq(gofer_mount(pair[0], "none", flags, &fx->sb), 0);
}

static inline void fixture_open(struct fixture *fx, const char *options, unsigned int flags)
{
	umask(0);
	snprintf(fx->dir, sizeof(fx->dir), "%s/garrison-gofer-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(fx->dir));
	fx->dirfd = open(fx->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mount_export(fx, fx->dir, options, flags);
	if (fx->over)
		fx->over(fx);
	fx->ns = mount_ns_new(fx->sb, 0);
	mount_ns_root(fx->ns, &fx->root);
	fx->cred = cred_new_root(CAPSET_ALL);
	fx->env = (struct walk_env){.root = &fx->root, .cwd = &fx->root, .cred = fx->cred};
}

/* Everything is let go; the gofer must then end by itself with status 0. */
static inline void fixture_close(struct fixture *fx)
{
	char cmd[128];
	int status;

	path_put(&fx->root);
	mount_ns_put(fx->ns);
	superblock_put(fx->sb);
	cred_put(fx->cred);
	ck_assert_int_eq(waitpid(fx->gofer, &status, 0), fx->gofer);
	ck_assert_int_eq(status, 0);
	close(fx->dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", fx->dir);
	ck_assert_int_eq(system(cmd), 0);
}

/* ------------------------------------------------------------ as system calls */

static inline int t_open(struct fixture *fx, const char *name, int flags, struct file **out)
{
	return vfs_open(&fx->env, NULL, name, flags, 0644, 0, out);
}

static inline int t_stat(struct fixture *fx, const char *name, struct kstat *st)
{
	struct path p;
	int err = path_walk(&fx->env, NULL, name, 0, &p);

	if (err)
		return err;
	err = vfs_getattr(&p, st);
	path_put(&p);
	return err;
}

static inline int t_make(struct fixture *fx, const char *name, uint32_t mode, const char *target)
{
	struct new_inode new = {.mode = mode, .target = target};

	return vfs_create(&fx->env, NULL, name, &new, NULL);
}

static inline int t_setattr(struct fixture *fx, const char *name, const struct iattr *attr)
{
	struct path p;
	int err = path_walk(&fx->env, NULL, name, 0, &p);

	if (err)
		return err;
	err = vfs_setattr(&p, fx->cred, attr);
	path_put(&p);
	return err;
}

static inline int t_link(struct fixture *fx, const char *from, const char *to)
{
	struct path p;
	int err = path_walk(&fx->env, NULL, from, 0, &p);

	if (err)
		return err;
	err = vfs_link(&fx->env, &p, NULL, to);
	path_put(&p);
	return err;
}

static inline int t_rename(struct fixture *fx, const char *from, const char *to, unsigned int flags)
{
	return vfs_rename(&fx->env, NULL, from, NULL, to, flags);
}

static inline int t_write(struct fixture *fx, const char *name, const char *text)
{
	struct file *f;
	ssize_t n;
	int err = t_open(fx, name, O_CREAT | O_WRONLY | O_TRUNC, &f);

	if (err)
		return err;
	n = file_write(f, text, strlen(text), NULL);
	file_put(f);
	return n == (ssize_t)strlen(text) ? 0 : n < 0 ? (int)n : -EIO;
}

/* The content, NUL-terminated; empty after an error. */
static inline int t_read(struct fixture *fx, const char *name, char *buf, size_t size)
{
	struct file *f;
	ssize_t n;
	int err = t_open(fx, name, O_RDONLY, &f);

	buf[0] = 0;
	if (err)
		return err;
	n = file_read(f, buf, size - 1, NULL);
	file_put(f);
	if (n < 0)
		return (int)n;
	buf[n] = 0;
	return 0;
}

static inline void host_write_at(struct fixture *fx, const char *name, const char *text)
{
	int fd = openat(fx->dirfd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

struct name_sink {
	struct dirent_sink sink;
	unsigned int seen, stop_after;
	void (*each)(struct name_sink *s, const char *name, size_t len, uint64_t ino,
		     unsigned char type);
	void *arg;
};

static inline bool name_emit(struct dirent_sink *sink, const char *name, size_t len, uint64_t ino,
			     unsigned char type, off_t next)
{
	struct name_sink *s = container_of(sink, struct name_sink, sink);

	if (s->seen == s->stop_after)
		return false;
	s->seen++;
	if (s->each)
		s->each(s, name, len, ino, type);
	return true;
}

static inline int t_readdir(struct file *f, struct name_sink *s)
{
	s->sink.emit = name_emit;
	SCOPED_LOCK(&f->pos_lock);
	return f->ops->readdir(f, &s->sink);
}

static inline int run_suite(Suite *s)
{
	SRunner *r = srunner_create(s);
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}

#endif
