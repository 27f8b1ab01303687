/* A tmpfs as the root of a namespace, and shorthand for the calls on it. */
#ifndef GARRISON_TESTS_UNIT_VFS_FIXTURE_H
#define GARRISON_TESTS_UNIT_VFS_FIXTURE_H

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/mem.h"
#include "sentry/fs/dentry.h"
#include "sentry/fs/dirent.h"
#include "sentry/fs/fs_context.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"
#include "sentry/fs/tmpfs/tmpfs.h"

static struct mount_ns *ns;
static struct fs_context *fs;
static struct cred *root_cred, *user_cred;
static struct path fx_root, fx_cwd;
static struct walk_env env;

static struct cred *make_user(uint32_t id)
{
	struct cred *c = cred_new_root(0);

	c->uid = c->euid = c->suid = c->fsuid = id;
	c->gid = c->egid = c->sgid = c->fsgid = id;
	return c;
}

static void fx_enter(void)
{
	path_put(&fx_root);
	path_put(&fx_cwd);
	fs_context_paths(fs, &fx_root, &fx_cwd);
}

static void fx_setup(void)
{
	struct superblock *sb;

	ck_assert_int_eq(tmpfs_mount("root", "mode=755,size=64m", NULL, &sb), 0);
	ns = mount_ns_new(sb, 0);
	superblock_put(sb);
	fs = fs_context_new(ns);
	root_cred = cred_new_root(CAPSET_ALL);
	user_cred = make_user(1000);
	fx_enter();
	env = (struct walk_env){&fx_root, &fx_cwd, root_cred, NULL};
}

static void fx_teardown(void)
{
	path_put(&fx_root);
	path_put(&fx_cwd);
	fs_context_put(fs);
	mount_ns_put(ns);
	cred_put(root_cred);
	cred_put(user_cred);
	dcache_shrink(0);
	ck_assert_uint_eq(dcache_unused(), 0);
}

UNUSED static int mk(const char *name, uint32_t mode)
{
	struct new_inode new = {.mode = mode};

	return vfs_create(&env, NULL, name, &new, NULL);
}

UNUSED static int mkd(const char *name)
{
	return mk(name, S_IFDIR | 0755);
}

UNUSED static int mkf(const char *name)
{
	return mk(name, S_IFREG | 0644);
}

UNUSED static int mkl(const char *target, const char *name)
{
	struct new_inode new = {.mode = S_IFLNK | 0777, .target = target};

	return vfs_create(&env, NULL, name, &new, NULL);
}

UNUSED static int walk_to(const char *name, unsigned int flags, struct path *out)
{
	return path_walk(&env, NULL, name, flags, out);
}

/* What a path leads to, by its name; or the error as text. */
UNUSED static const char *where(const char *name, unsigned int flags)
{
	static char buf[4096];
	struct path p;
	int err = walk_to(name, flags, &p);

	if (err < 0) {
		snprintf(buf, sizeof(buf), "%s", strerrorname_np(-err));
		return buf;
	}
	ck_assert_int_gt(path_name(&p, &fx_root, buf, sizeof(buf)), 0);
	path_put(&p);
	return buf;
}

UNUSED static struct file *open_ok(const char *name, int flags)
{
	struct file *f = NULL;

	ck_assert_int_eq(vfs_open(&env, NULL, name, flags, 0644, 0, &f), 0);
	return f;
}

UNUSED static int open_err(const char *name, int flags)
{
	struct file *f = NULL;
	int err = vfs_open(&env, NULL, name, flags, 0644, 0, &f);

	if (err == 0)
		file_put(f);
	return err;
}

UNUSED static int rename_to(const char *from, const char *to, unsigned int flags)
{
	return vfs_rename(&env, NULL, from, NULL, to, flags);
}

UNUSED static struct kstat stat_of(const char *name)
{
	struct kstat st = {0};
	struct path p;

	ck_assert_int_eq(walk_to(name, 0, &p), 0);
	ck_assert_int_eq(vfs_getattr(&p, &st), 0);
	path_put(&p);
	return st;
}

UNUSED static int mount_tmpfs(const char *at, const char *options)
{
	struct superblock *sb;
	struct path p;
	int err = tmpfs_mount("none", options, NULL, &sb);

	if (err < 0)
		return err;
	ck_assert_int_eq(walk_to(at, WALK_FOLLOW, &p), 0);
	err = mount_attach(ns, &p, sb, 0);
	superblock_put(sb);
	path_put(&p);
	return err;
}

static int fx_run(TCase *tc, const char *name)
{
	Suite *s = suite_create(name);
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, fx_setup, fx_teardown);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
