/* Path resolution, the dentry cache, mounts. */
/* link: sentry/fs/anon_inode.c sentry/fs/attr.c sentry/fs/dentry.c sentry/fs/dirent.c sentry/fs/fasync.c sentry/fs/fdinfo.c sentry/fs/fdtable.c sentry/fs/file.c sentry/fs/filelock.c sentry/fs/fs_context.c sentry/fs/inode.c sentry/fs/inotify.c sentry/fs/mount[a-z_]*.c sentry/fs/mount.c sentry/fs/namei.c sentry/fs/open.c sentry/fs/path_file.c sentry/fs/parts.c sentry/fs/path.c sentry/fs/perm.c sentry/fs/protected.c sentry/fs/rename.c sentry/fs/walk.c sentry/fs/xattr.c sentry/fs/tmpfs/[a-z]*.c sentry/core/account.c sentry/core/charged.c sentry/core/charged_fd.c sentry/core/cred.c sentry/core/user_ns.c sentry/core/waitq.c sentry/core/sleeper.c sentry/locks.c common/mem.c common/text.c common/log.c common/host.c common/host_file.c common/host_fs.c common/host_memfd.c common/host_thread.c */
#include "tests/unit/vfs/vfs_fixture.h"

START_TEST(plain_paths)
{
	ck_assert_int_eq(mkd("/a"), 0);
	ck_assert_int_eq(mkd("/a/b"), 0);
	ck_assert_int_eq(mkf("/a/b/f"), 0);
	ck_assert_str_eq(where("/a/b/f", 0), "/a/b/f");
	ck_assert_str_eq(where("a//b/./f", 0), "/a/b/f");
	ck_assert_str_eq(where("a/b/../../a/b", 0), "/a/b");
	ck_assert_str_eq(where("/../../a", 0), "/a");
	ck_assert_str_eq(where("/", 0), "/");
	ck_assert_str_eq(where("//", 0), "/");
	ck_assert_str_eq(where(".", 0), "/");
	ck_assert_str_eq(where("/a/", 0), "/a");
	ck_assert_str_eq(where("", 0), "ENOENT");
	ck_assert_str_eq(where("/a/x", 0), "ENOENT");
	ck_assert_str_eq(where("/a/x", 0), "ENOENT"); /* now from the cache */
	ck_assert_str_eq(where("/a/x/y", 0), "ENOENT");
	ck_assert_str_eq(where("/a/b/f/", 0), "ENOTDIR");
	ck_assert_str_eq(where("/a/b/f/x", 0), "ENOTDIR");
	ck_assert_str_eq(where("/a/b/f/.", 0), "ENOTDIR");
	ck_assert_str_eq(where("/a/b/f", WALK_DIRECTORY), "ENOTDIR");
}
END_TEST

START_TEST(long_names)
{
	char name[300] = "/", path[8192];

	memset(name + 1, 'n', 255);
	name[256] = 0;
	ck_assert_int_eq(mkf(name), 0);
	ck_assert_str_eq(where(name, 0), name);
	name[256] = 'n';
	name[257] = 0;
	ck_assert_str_eq(where(name, 0), "ENAMETOOLONG");
	ck_assert_int_eq(mkf(name), -ENAMETOOLONG);
	/* A deep tree: its name does not fit any more. */
	name[200] = 0;
	path[0] = 0;
	for (int i = 0; i < 30; i++) {
		strcat(path, name);
		ck_assert_int_eq(mkd(path), 0);
	}
	struct path p;
	char buf[4096];

	ck_assert_int_eq(walk_to(path, 0, &p), 0);
	ck_assert_int_eq(path_name(&p, NULL, buf, sizeof(buf)), -ENAMETOOLONG);
	path_put(&p);
}
END_TEST

START_TEST(links)
{
	mkd("/a");
	mkd("/a/b");
	mkf("/a/b/f");
	ck_assert_int_eq(mkl("b/f", "/a/l"), 0);
	mkl("/a/b", "/a/abs");
	mkl("../a/b/", "/a/up");
	mkl("loop2", "/loop1");
	mkl("loop1", "/loop2");
	mkl("nowhere", "/dangling");
	ck_assert_str_eq(where("/a/l", 0), "/a/l");
	ck_assert_str_eq(where("/a/l", WALK_FOLLOW), "/a/b/f");
	ck_assert_str_eq(where("/a/l", WALK_FOLLOW), "/a/b/f");
	ck_assert_str_eq(where("/a/abs/f", 0), "/a/b/f");
	ck_assert_str_eq(where("/a/abs/../l", 0), "/a/l");
	ck_assert_str_eq(where("/a/abs/", 0), "/a/b");
	ck_assert_str_eq(where("/a/abs/.", 0), "/a/b");
	ck_assert_str_eq(where("/a/up", WALK_FOLLOW), "/a/b");
	ck_assert_str_eq(where("/a/up/f", 0), "/a/b/f");
	ck_assert_str_eq(where("/a/l/", 0), "ENOTDIR");
	ck_assert_str_eq(where("/loop1", WALK_FOLLOW), "ELOOP");
	ck_assert_str_eq(where("/loop1/x", 0), "ELOOP");
	ck_assert_str_eq(where("/loop1", 0), "/loop1");
	ck_assert_str_eq(where("/dangling", WALK_FOLLOW), "ENOENT");
	ck_assert_str_eq(where("/a/l", WALK_FOLLOW | WALK_NO_SYMLINKS), "ELOOP");
	ck_assert_int_eq(mkl("", "/empty"), 0);
	ck_assert_str_eq(where("/empty", WALK_FOLLOW), "ENOENT");
}
END_TEST

START_TEST(forty_links)
{
	char name[32], target[32];

	mkd("/d");
	mkl("d", "/l0");
	for (int i = 1; i <= 40; i++) {
		snprintf(name, sizeof(name), "/l%d", i);
		snprintf(target, sizeof(target), "l%d", i - 1);
		mkl(target, name);
	}
	ck_assert_str_eq(where("/l39", WALK_FOLLOW), "/d");
	ck_assert_str_eq(where("/l40", WALK_FOLLOW), "ELOOP");
}
END_TEST

START_TEST(resolve_flags)
{
	struct path base, p;

	mkd("/a");
	mkd("/a/b");
	mkf("/f");
	mkf("/a/f");
	mkl("/f", "/a/abs");
	mkl("../f", "/a/up");
	mkl("b/../f", "/a/in");
	ck_assert_int_eq(walk_to("/a", 0, &base), 0);
	ck_assert_int_eq(path_walk(&env, &base, "../f", WALK_BENEATH, &p), -EXDEV);
	ck_assert_int_eq(path_walk(&env, &base, "/f", WALK_BENEATH, &p), -EXDEV);
	ck_assert_int_eq(path_walk(&env, &base, "abs", WALK_BENEATH | WALK_FOLLOW, &p), -EXDEV);
	ck_assert_int_eq(path_walk(&env, &base, "up", WALK_BENEATH | WALK_FOLLOW, &p), -EXDEV);
	ck_assert_int_eq(path_walk(&env, &base, "in", WALK_BENEATH | WALK_FOLLOW, &p), 0);
	path_put(&p);
	ck_assert_int_eq(path_walk(&env, &base, "abs", WALK_IN_ROOT | WALK_FOLLOW, &p), 0);
	ck_assert_uint_eq(path_inode(&p)->ino, stat_of("/a/f").ino);
	path_put(&p);
	ck_assert_int_eq(path_walk(&env, &base, "../../f", WALK_IN_ROOT, &p), 0);
	ck_assert_uint_eq(path_inode(&p)->ino, stat_of("/a/f").ino);
	path_put(&p);
	path_put(&base);
}
END_TEST

START_TEST(parents)
{
	struct last_component last;
	struct path dir;

	mkd("/a");
	ck_assert_int_eq(path_walk_parent(&env, NULL, "/a/new//", 0, &dir, &last), 0);
	ck_assert_int_eq((int)last.len, 3);
	ck_assert(last.trailing_slash);
	ck_assert(!memcmp(last.name, "new", 3));
	path_put(&dir);
	ck_assert_int_eq(path_walk_parent(&env, NULL, "/a/..", 0, &dir, &last), 0);
	ck_assert_int_eq((int)last.len, 2);
	ck_assert(!last.trailing_slash);
	path_put(&dir);
	ck_assert_int_eq(path_walk_parent(&env, NULL, "///", 0, &dir, &last), 0);
	ck_assert_int_eq((int)last.len, 0);
	path_put(&dir);
	ck_assert_int_eq(path_walk_parent(&env, NULL, "/x/y", 0, &dir, &last), -ENOENT);
}
END_TEST

START_TEST(permissions)
{
	ck_assert_int_eq(mk("/shut", S_IFDIR | 0700), 0);
	mkf("/shut/f");
	mk("/readonly", S_IFREG | 0444);
	mk("/x", S_IFREG | 0111);
	env.cred = user_cred;
	ck_assert_str_eq(where("/shut/f", 0), "EACCES");
	ck_assert_str_eq(where("/shut", 0), "/shut");
	ck_assert_int_eq(open_err("/readonly", O_RDONLY), 0);
	ck_assert_int_eq(open_err("/readonly", O_WRONLY), -EACCES);
	ck_assert_int_eq(open_err("/readonly", O_RDONLY | O_TRUNC), -EACCES);
	ck_assert_int_eq(open_err("/x", O_RDONLY), -EACCES);
	ck_assert_int_eq(mkf("/new"), -EACCES);
	env.cred = root_cred;
	ck_assert_int_eq(open_err("/readonly", O_RDWR), 0);
	struct path p;

	ck_assert_int_eq(walk_to("/readonly", 0, &p), 0);
	ck_assert_int_eq(vfs_access(&p, root_cred, 1), -EACCES);
	ck_assert_int_eq(vfs_access(&p, root_cred, 6), 0);
	path_put(&p);
}
END_TEST

START_TEST(deleted_names)
{
	struct path p, cwd;
	char buf[64];

	mkd("/a");
	mkf("/a/f");
	ck_assert_int_eq(walk_to("/a/f", 0, &p), 0);
	ck_assert_int_eq(walk_to("/a", 0, &cwd), 0);
	ck_assert_int_eq(vfs_unlink(&env, NULL, "/a/f"), 0);
	ck_assert_int_gt(path_name(&p, &fx_root, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "/a/f (deleted)");
	ck_assert_int_eq(mkf("/a/f"), 0);
	ck_assert_uint_ne(stat_of("/a/f").ino, path_inode(&p)->ino);
	path_put(&p);
	ck_assert_int_eq(vfs_unlink(&env, NULL, "/a/f"), 0);
	ck_assert_int_eq(vfs_rmdir(&env, NULL, "/a"), 0);
	ck_assert_int_gt(path_name(&cwd, &fx_root, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "/a (deleted)");
	struct new_inode new = {.mode = S_IFREG | 0644};

	ck_assert_int_eq(vfs_create(&env, &cwd, "x", &new, NULL), -ENOENT);
	path_put(&cwd);
}
END_TEST

START_TEST(bounded_cache)
{
	char name[32];
	struct path p;

	mkd("/d");
	dcache_set_limit(500);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "/d/%d", i);
		ck_assert_int_eq(mkf(name), 0);
		ck_assert_uint_le(dcache_unused(), 600);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "/d/%d", i);
		ck_assert_int_eq(walk_to(name, 0, &p), 0);
		path_put(&p);
		snprintf(name, sizeof(name), "/d/no%d", i);
		ck_assert_int_eq(walk_to(name, 0, &p), -ENOENT);
		ck_assert_uint_le(dcache_unused(), 600);
	}
	dcache_set_limit(12000);
}
END_TEST

START_TEST(mounts)
{
	struct path p, other;
	char buf[64];

	mkd("/m");
	mkd("/n");
	mkf("/m/under");
	ck_assert_int_eq(mount_tmpfs("/m", "mode=700"), 0);
	ck_assert_str_eq(where("/m/under", 0), "ENOENT");
	ck_assert_int_eq(mkd("/m/sub"), 0);
	ck_assert_str_eq(where("/m/sub/../..", 0), "/");
	ck_assert_str_eq(where("/m/sub", WALK_NO_XDEV), "EXDEV");
	ck_assert_uint_eq(stat_of("/m").mode, S_IFDIR | 0700);
	/* bind */
	ck_assert_int_eq(walk_to("/m/sub", 0, &p), 0);
	ck_assert_int_eq(walk_to("/n", 0, &other), 0);
	ck_assert_int_eq(mount_bind(ns, &p, &other, false), 0);
	path_put(&p);
	path_put(&other);
	ck_assert_int_eq(mkf("/n/seen"), 0);
	ck_assert_str_eq(where("/m/sub/seen", 0), "/m/sub/seen");
	ck_assert_int_eq(rename_to("/n/seen", "/m/seen", 0), -EXDEV);
	ck_assert_int_eq(vfs_rmdir(&env, NULL, "/m"), -EBUSY);
	ck_assert_int_eq(vfs_rmdir(&env, NULL, "/n"), -EBUSY);
	ck_assert_int_eq(rename_to("/n", "/k", 0), -EBUSY);
	/* busy, lazy */
	struct file *f = open_ok("/n/seen", O_RDWR);

	ck_assert_int_eq(walk_to("/n", 0, &p), 0);
	ck_assert_int_eq(mount_umount(ns, &p, 0), -EBUSY);
	ck_assert_int_eq(mount_remount(ns, &p, MS_RDONLY), -EBUSY);
	ck_assert_int_eq(mount_umount(ns, &p, MNT_DETACH), 0);
	path_put(&p);
	ck_assert_int_eq((int)file_write(f, "x", 1, NULL), 1);
	ck_assert_int_gt(path_name(&f->path, &fx_root, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "(unreachable)/seen");
	file_put(f);
	ck_assert_int_eq(walk_to("/m", 0, &p), 0);
	ck_assert_int_eq(mount_remount(ns, &p, MS_RDONLY), 0);
	ck_assert_int_eq(mkf("/m/no"), -EROFS);
	ck_assert_int_eq(open_err("/m/sub/seen", O_RDWR), -EROFS);
	ck_assert_int_eq(open_err("/m/sub/seen", O_RDONLY), 0);
	ck_assert_int_eq(mount_umount(ns, &p, 0), 0);
	path_put(&p);
	ck_assert_str_eq(where("/m/under", 0), "/m/under");
}
END_TEST

START_TEST(stacked_mounts)
{
	struct path p;

	mkd("/m");
	ck_assert_int_eq(mount_tmpfs("/m", ""), 0);
	ck_assert_int_eq(mkf("/m/one"), 0);
	ck_assert_int_eq(mount_tmpfs("/m", ""), 0);
	ck_assert_str_eq(where("/m/one", 0), "ENOENT");
	ck_assert_str_eq(where("/m/..", 0), "/");
	ck_assert_int_eq(walk_to("/m", 0, &p), 0);
	ck_assert_int_eq(mount_umount(ns, &p, 0), 0);
	path_put(&p);
	ck_assert_str_eq(where("/m/one", 0), "/m/one");
}
END_TEST

static int count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

START_TEST(propagation)
{
	struct path p, q;
	char *text;

	mkd("/a");
	mkd("/b");
	ck_assert_int_eq(mount_tmpfs("/a", ""), 0);
	ck_assert_int_eq(walk_to("/a", 0, &p), 0);
	ck_assert_int_eq(mount_propagation(ns, &p, MS_SHARED, false), 0);
	ck_assert_int_eq(mount_propagation(ns, &p, MS_SHARED | MS_PRIVATE, false), -EINVAL);
	ck_assert_int_eq(walk_to("/b", 0, &q), 0);
	ck_assert_int_eq(mount_bind(ns, &p, &q, false), 0);
	path_put(&q);
	path_put(&p);
	mkd("/a/m");
	ck_assert_int_eq(mount_tmpfs("/a/m", ""), 0);
	ck_assert_int_eq(mkf("/b/m/f"), 0);
	ck_assert_str_eq(where("/a/m/f", 0), "/a/m/f");
	text = mount_ns_format(ns, &fx_root, MOUNT_FORMAT_INFO);
	ck_assert_int_eq(count(text, "shared:"), 4);
	ck_assert_int_eq(count(text, "\n"), 5);
	free(text);
	/* and away again on both sides */
	ck_assert_int_eq(walk_to("/b/m", 0, &p), 0);
	ck_assert_int_eq(mount_umount(ns, &p, 0), 0);
	path_put(&p);
	ck_assert_str_eq(where("/a/m/f", 0), "ENOENT");
	/* a slave receives and does not send */
	ck_assert_int_eq(walk_to("/b", 0, &p), 0);
	ck_assert_int_eq(mount_propagation(ns, &p, MS_SLAVE, false), 0);
	path_put(&p);
	ck_assert_int_eq(mount_tmpfs("/a/m", ""), 0);
	mkf("/a/m/g");
	ck_assert_str_eq(where("/b/m/g", 0), "/b/m/g");
	mkd("/b/own");
	ck_assert_int_eq(mount_tmpfs("/b/own", ""), 0);
	mkf("/b/own/h");
	ck_assert_str_eq(where("/a/own/h", 0), "ENOENT");
	text = mount_ns_format(ns, &fx_root, MOUNT_FORMAT_INFO);
	ck_assert_int_eq(count(text, "master:"), 2);
	free(text);
}
END_TEST

START_TEST(namespaces)
{
	struct mount_ns *old;
	struct path p;

	mkd("/m");
	mkd("/m/in");
	old = mount_ns_get(fs->mounts);
	ck_assert_int_eq(mount_ns_unshare(fs, &user_ns_first), 0);
	fx_enter();
	ck_assert_ptr_ne(fs->mounts, old);
	ns = fs->mounts;
	ck_assert_int_eq(mount_tmpfs("/m", ""), 0);
	ck_assert_str_eq(where("/m/in", 0), "ENOENT");
	ns = old;
	mount_ns_root(old, &p);
	struct path from_old, child;

	from_old = p;
	struct walk_env old_env = {&from_old, &from_old, root_cred, NULL};

	ck_assert_int_eq(path_walk(&old_env, NULL, "/m/in", 0, &child), 0);
	path_put(&child);
	path_put(&p);
	mount_ns_put(old);
}
END_TEST

START_TEST(pivot)
{
	struct path new_root, put_old, root;

	mkd("/new");
	ck_assert_int_eq(mount_tmpfs("/new", ""), 0);
	mkd("/new/old");
	mkf("/new/here");
	mkf("/there");
	ck_assert_int_eq(walk_to("/new", 0, &new_root), 0);
	ck_assert_int_eq(walk_to("/new/old", 0, &put_old), 0);
	root = fx_root;
	path_get(&root);
	ck_assert_int_eq(mount_pivot_root(ns, &root, &new_root, &put_old), 0);
	fs_context_set_root(fs, &new_root);
	fs_context_set_cwd(fs, &new_root);
	fx_enter();
	path_put(&root);
	path_put(&new_root);
	path_put(&put_old);
	ck_assert_str_eq(where("/here", 0), "/here");
	ck_assert_str_eq(where("/old/there", 0), "/old/there");
	ck_assert_str_eq(where("/old/..", 0), "/");
	ck_assert_int_eq(walk_to("/old", 0, &root), 0);
	ck_assert_int_eq(mount_umount(ns, &root, MNT_DETACH), 0);
	path_put(&root);
	ck_assert_str_eq(where("/old/there", 0), "ENOENT");
}
END_TEST

static const char *move_from, *move_to;

/* The file system is asked for a name: meanwhile somebody moves a directory. */
static int move_meanwhile(struct inode *dir, const char *name, size_t len, struct inode *cached)
{
	const char *from = move_from;
	struct lock_layer layer;

	move_from = NULL;
	if (!from || strncmp(name, "x", len) != 0) {
		move_from = from;
		return 1;
	}
	lock_layer_enter(&layer);
	ck_assert_int_eq(rename_to(from, move_to, 0), 0);
	lock_layer_leave(&layer);
	return 1;
}

static const char *where_below(const char *base, const char *name, unsigned int flags)
{
	static char buf[4096];
	struct path from, p;
	int err;

	ck_assert_int_eq(walk_to(base, 0, &from), 0);
	err = path_walk(&env, &from, name, flags, &p);
	path_put(&from);
	if (err < 0)
		return strerrorname_np(-err);
	ck_assert_int_gt(path_name(&p, &fx_root, buf, sizeof(buf)), 0);
	path_put(&p);
	return buf;
}

START_TEST(moved_under_a_walk)
{
	struct superblock *sb = fx_root.mnt->sb;
	const struct sb_ops *own = sb->ops;
	struct sb_ops asked = *own;

	asked.revalidate = move_meanwhile;
	mkd("/top");
	mkd("/top/root");
	mkd("/top/root/c");
	mkd("/top/root/c/x");
	sb->ops = &asked;
	ck_assert_str_eq(where_below("/top/root", "c/x/../..", WALK_IN_ROOT), "/top/root");
	ck_assert_str_eq(where_below("/top/root", "c/x/../../..", WALK_IN_ROOT), "/top/root");
	move_from = "/top/root/c";
	move_to = "/top/c";
	ck_assert_str_eq(where_below("/top/root", "c/x/../..", WALK_IN_ROOT), "EAGAIN");
	move_from = "/top/c";
	move_to = "/top/root/c";
	ck_assert_str_eq(where_below("/top/root", "../c/x/../..", 0), "/top/root");
	/* Without "..": what is found must lie below the root in the end. */
	move_from = "/top/root/c";
	move_to = "/top/c";
	ck_assert_str_eq(where_below("/top/root", "c/x", WALK_BENEATH), "EXDEV");
	/* A move inside of one directory cannot lead out. */
	ck_assert_int_eq(rename_to("/top/c", "/top/root/c", 0), 0);
	move_from = "/top/root/c";
	move_to = "/top/root/d";
	ck_assert_str_eq(where_below("/top/root", "c/x/../..", WALK_BENEATH), "/top/root");
	sb->ops = own;
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("walk");

	tcase_add_test(tc, plain_paths);
	tcase_add_test(tc, long_names);
	tcase_add_test(tc, links);
	tcase_add_test(tc, forty_links);
	tcase_add_test(tc, resolve_flags);
	tcase_add_test(tc, parents);
	tcase_add_test(tc, permissions);
	tcase_add_test(tc, deleted_names);
	tcase_add_test(tc, bounded_cache);
	tcase_add_test(tc, moved_under_a_walk);
	tcase_add_test(tc, mounts);
	tcase_add_test(tc, stacked_mounts);
	tcase_add_test(tc, propagation);
	tcase_add_test(tc, namespaces);
	tcase_add_test(tc, pivot);
	return fx_run(tc, "walk");
}
