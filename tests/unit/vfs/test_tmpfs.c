/* tmpfs through the VFS: data, limits, directories, attributes, watches, locks. */
/* link: sentry/fs/anon_inode.c sentry/fs/attr.c sentry/fs/dentry.c sentry/fs/dirent.c sentry/fs/fasync.c sentry/fs/fdinfo.c sentry/fs/fdtable.c sentry/fs/file.c sentry/fs/filelock.c sentry/fs/fs_context.c sentry/fs/inode.c sentry/fs/inotify.c sentry/fs/mount[a-z_]*.c sentry/fs/mount.c sentry/fs/namei.c sentry/fs/open.c sentry/fs/path_file.c sentry/fs/parts.c sentry/fs/path.c sentry/fs/perm.c sentry/fs/protected.c sentry/fs/rename.c sentry/fs/walk.c sentry/fs/xattr.c sentry/fs/tmpfs/[a-z]*.c sentry/core/account.c sentry/core/charged.c sentry/core/charged_fd.c sentry/core/cred.c sentry/core/user_ns.c sentry/core/waitq.c sentry/core/sleeper.c sentry/locks.c common/mem.c common/text.c common/log.c common/host.c common/host_file.c common/host_fs.c common/host_memfd.c common/host_thread.c */
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/xattr.h>

#include "sentry/fs/fdtable.h"
#include "sentry/fs/filelock.h"
#include "sentry/fs/inotify.h"
#include "tests/unit/vfs/vfs_fixture.h"

static ssize_t put_at(struct file *f, const void *data, size_t n, off_t pos)
{
	return file_write(f, data, n, &pos);
}

static ssize_t get_at(struct file *f, void *data, size_t n, off_t pos)
{
	return file_read(f, data, n, &pos);
}

static struct kstatfs statfs_of(const char *name)
{
	struct kstatfs s = {0};
	struct path p;

	ck_assert_int_eq(walk_to(name, WALK_FOLLOW, &p), 0);
	ck_assert_int_eq(vfs_statfs(&p, &s), 0);
	path_put(&p);
	return s;
}

static uint64_t used(const char *name)
{
	struct kstatfs s = statfs_of(name);

	return s.blocks - s.bfree;
}

/* A file grows from the heap into a memfd; a model array has the same bytes. */
START_TEST(data_against_model)
{
	enum { SIZE = 200000 };
	static char model[SIZE], buf[SIZE];
	struct file *f = open_ok("/f", O_CREAT | O_RDWR);
	size_t size = 0;
	unsigned int seed = 12345;

	memset(model, 0, sizeof(model));
	for (int i = 0; i < 3000; i++) {
		size_t limit = i < 500 ? 4000 : SIZE;
		size_t pos = (size_t)rand_r(&seed) % limit;
		size_t n = (size_t)rand_r(&seed) % (limit - pos) % 5000 + 1;

		switch (rand_r(&seed) % 8) {
		case 0:
			ck_assert_int_eq(vfs_ftruncate(f, root_cred, (off_t)pos), 0);
			memset(model + pos, 0, SIZE - pos);
			size = pos;
			break;
		case 1: {
			ssize_t want = pos >= size ? 0 : (ssize_t)min(n, size - pos);

			ck_assert_int_eq((int)get_at(f, buf, n, (off_t)pos), (int)want);
			ck_assert(!memcmp(buf, model + pos, (size_t)want));
			break;
		}
		default:
			for (size_t k = 0; k < n; k++)
				model[pos + k] = (char)rand_r(&seed);
			ck_assert_int_eq((int)put_at(f, model + pos, n, (off_t)pos), (int)n);
			size = max(size, pos + n);
		}
		ck_assert_uint_eq(f->inode->size, size);
	}
	ck_assert_int_eq((int)get_at(f, buf, SIZE, 0), (int)size);
	ck_assert(!memcmp(buf, model, size));
	file_put(f);
	ck_assert_int_eq(vfs_unlink(&env, NULL, "/f"), 0);
	dcache_shrink(0);
	ck_assert_uint_eq(used("/"), 0);
}
END_TEST

START_TEST(space_limit)
{
	static char block[65536];
	struct file *f;
	off_t pos = 0;
	ssize_t r;

	mkd("/m");
	ck_assert_int_eq(mount_tmpfs("/m", "size=256k,nr_inodes=4"), 0);
	ck_assert_uint_eq(statfs_of("/m").blocks, 64);
	f = open_ok("/m/f", O_CREAT | O_RDWR);
	memset(block, 'x', sizeof(block));
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq((int)file_write(f, block, sizeof(block), &pos), 65536);
	ck_assert_int_eq((int)file_write(f, block, 1, &pos), -ENOSPC);
	ck_assert_uint_eq(used("/m"), 64);
	/* overwriting needs no room; a part fits after some was freed */
	ck_assert_int_eq((int)put_at(f, block, 65536, 1000), 65536);
	ck_assert_int_eq(vfs_ftruncate(f, root_cred, 250000), 0);
	pos = 250000;
	r = file_write(f, block, sizeof(block), &pos);
	ck_assert_int_eq((int)r, 262144 - 250000);
	/* holes cost nothing until they are filled */
	ck_assert_int_eq(vfs_ftruncate(f, root_cred, 0), 0);
	ck_assert_int_eq(vfs_ftruncate(f, root_cred, 1 << 30), 0);
	ck_assert_uint_eq(used("/m"), 0);
	ck_assert_int_eq((int)put_at(f, "x", 1, 500000000), 1);
	ck_assert_uint_eq(used("/m"), 1);
	ck_assert_int_eq(f->ops->fallocate(f, 0, 0, 128 << 10), 0);
	ck_assert_uint_eq(used("/m"), 33);
	ck_assert_int_eq(f->ops->fallocate(f, 0, 0, 1 << 20), -ENOSPC);
	ck_assert_int_eq(
	    f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 64 << 10), 0);
	ck_assert_uint_eq(used("/m"), 17);
	file_put(f);
	/* inodes: the root, f, and two more */
	ck_assert_int_eq(mkf("/m/a"), 0);
	ck_assert_int_eq(mkd("/m/b"), 0);
	ck_assert_int_eq(mkf("/m/c"), -ENOSPC);
	ck_assert_int_eq(vfs_unlink(&env, NULL, "/m/a"), 0);
	ck_assert_int_eq(mkf("/m/c"), 0);
}
END_TEST

START_TEST(options)
{
	static const char *const bad[] = {"size=x", "mode=9", "uid=-1x",
					  "what=1", "size=",  "nonsense"};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(mount_tmpfs("/", bad[i]), -EINVAL);
	mkd("/m");
	ck_assert_int_eq(mount_tmpfs("/m", "mode=1770,uid=5,gid=6,size=1m"), 0);
	struct kstat st = stat_of("/m");

	ck_assert_uint_eq(st.mode, S_IFDIR | 01770);
	ck_assert_uint_eq(st.uid, 5);
	ck_assert_uint_eq(st.gid, 6);
	char *text = mount_ns_format(ns, &fx_root, MOUNT_FORMAT_MOUNTS);

	ck_assert_ptr_nonnull(strstr(
	    text, "none /m tmpfs rw,relatime,size=1024k,mode=1770,uid=5,gid=6,inode64 0 0\n"));
	free(text);
}
END_TEST

START_TEST(mapping)
{
	struct file *f = open_ok("/f", O_CREAT | O_RDWR);
	struct file_mapping m;
	char *p;

	ck_assert_int_eq((int)put_at(f, "small", 5, 0), 5);
	ck_assert_int_eq(f->ops->mmap(f, 0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, &m), 0);
	ck_assert_int_eq(m.max_prot, PROT_READ | PROT_WRITE | PROT_EXEC);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, m.fd, (off_t)m.offset);
	ck_assert(!memcmp(p, "small", 5));
	p[0] = 'S';
	char buf[5];

	ck_assert_int_eq((int)get_at(f, buf, 5, 0), 5);
	ck_assert(!memcmp(buf, "Small", 5));
	ck_assert_int_eq((int)put_at(f, "LARGE", 5, 0), 5);
	ck_assert(!memcmp(p, "LARGE", 5));
	munmap(p, 4096);
	file_put(f);
}
END_TEST

/* --- directories ------------------------------------------------------------------- */

struct names {
	struct dirent_sink sink;
	int n, stop;
	off_t cookies[64];
	char last[64];
};

static bool take_name(struct dirent_sink *sink, const char *name, size_t len, uint64_t ino,
		      unsigned char type, off_t next)
{
	struct names *list = container_of(sink, struct names, sink);

	if (list->n == list->stop)
		return false;
	if (list->n < 64)
		list->cookies[list->n] = next;
	snprintf(list->last, sizeof(list->last), "%.*s", (int)len, name);
	list->n++;
	return true;
}

static int read_dir(struct file *f, int stop, struct names *out)
{
	*out = (struct names){.sink = {take_name}, .stop = stop};
	return f->ops->readdir(f, &out->sink);
}

START_TEST(big_directory)
{
	enum { N = 100000 };
	struct names list;
	char name[32];
	struct file *d;

	mkd("/d");
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "/d/name%d", i);
		ck_assert_int_eq(mkf(name), 0);
	}
	d = open_ok("/d", O_RDONLY);
	ck_assert_int_eq(read_dir(d, 1 << 30, &list), 0);
	ck_assert_int_eq(list.n, N + 2);
	ck_assert_int_eq((int)file_seek(d, 0, SEEK_SET), 0);
	/* in pieces, with removals behind and before the position */
	int seen = 0;

	while (read_dir(d, 1000, &list) == 0 && list.n) {
		seen += list.n;
		for (int i = 0; i < 10; i++) {
			snprintf(name, sizeof(name), "/d/name%d", (seen * 7 + i) % 1000);
			(void)!vfs_unlink(&env, NULL, name);
		}
	}
	ck_assert_int_ge(seen, N + 2 - 1000);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "/d/name%d", i);
		(void)!vfs_unlink(&env, NULL, name);
	}
	file_put(d);
	ck_assert_int_eq(vfs_rmdir(&env, NULL, "/d"), 0);
}
END_TEST

/* Every cookie leads to the same next name before and after other names went. */
START_TEST(stable_cookies)
{
	struct names all, one;
	char name[32], next[64][64];
	struct file *d;

	mkd("/d");
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "/d/%d", i);
		mkf(name);
	}
	d = open_ok("/d", O_RDONLY);
	read_dir(d, 60, &all);
	ck_assert_int_eq(all.n, 42);
	for (int i = 2; i < 41; i++) {
		ck_assert_int_eq((int)file_seek(d, all.cookies[i], SEEK_SET), (int)all.cookies[i]);
		read_dir(d, 1, &one);
		strcpy(next[i], one.last);
	}
	/* remove all but those that follow cookie 10 and 30, and add others */
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (!strcmp(name, next[10]) || !strcmp(name, next[30]))
			continue;
		snprintf(name, sizeof(name), "/d/%d", i);
		ck_assert_int_eq(vfs_unlink(&env, NULL, name), 0);
	}
	for (int i = 100; i < 140; i++) {
		snprintf(name, sizeof(name), "/d/%d", i);
		mkf(name);
	}
	for (int i = 10; i <= 30; i += 20) {
		(void)!file_seek(d, all.cookies[i], SEEK_SET);
		read_dir(d, 1, &one);
		ck_assert_str_eq(one.last, next[i]);
	}
	file_put(d);
}
END_TEST

START_TEST(deep_tree)
{
	char path[4096] = "";
	struct path at, child;

	/* Deeper than any recursion would bear; then the file system goes at once. */
	mkd("/m");
	ck_assert_int_eq(mount_tmpfs("/m", ""), 0);
	ck_assert_int_eq(walk_to("/m", 0, &at), 0);
	for (int i = 0; i < 50000; i++) {
		struct new_inode new = {.mode = S_IFDIR | 0755};

		ck_assert_int_eq(vfs_create(&env, &at, "d", &new, &child), 0);
		path_put(&at);
		at = child;
	}
	path_put(&at);
	(void)path;
	ck_assert_int_eq(walk_to("/m", 0, &at), 0);
	ck_assert_int_eq(mount_umount(ns, &at, 0), 0);
	path_put(&at);
}
END_TEST

START_TEST(renames)
{
	mkd("/a");
	mkd("/b");
	mkf("/a/f");
	mkf("/b/g");
	ck_assert_uint_eq(stat_of("/").nlink, 4);
	ck_assert_int_eq(rename_to("/a/f", "/b/g", RENAME_NOREPLACE), -EEXIST);
	uint64_t f = stat_of("/a/f").ino, g = stat_of("/b/g").ino;

	ck_assert_int_eq(rename_to("/a/f", "/b/g", RENAME_EXCHANGE), 0);
	ck_assert_uint_eq(stat_of("/a/f").ino, g);
	ck_assert_uint_eq(stat_of("/b/g").ino, f);
	ck_assert_int_eq(rename_to("/a/f", "/b/g", 0), 0);
	ck_assert_uint_eq(stat_of("/b/g").ino, g);
	ck_assert_int_eq(rename_to("/a", "/b/in", 0), 0);
	ck_assert_uint_eq(stat_of("/").nlink, 3);
	ck_assert_uint_eq(stat_of("/b").nlink, 3);
	ck_assert_int_eq(rename_to("/b", "/b/in/x", 0), -EINVAL);
	ck_assert_int_eq(rename_to("/b/in", "/b", 0), -ENOTEMPTY);
	ck_assert_int_eq(rename_to("/b/g", "/w", RENAME_WHITEOUT), 0);
	ck_assert_uint_eq(stat_of("/b/g").mode, S_IFCHR);
	ck_assert_uint_eq(stat_of("/w").ino, g);
}
END_TEST

START_TEST(attributes)
{
	struct path p;
	char buf[16];

	mkf("/f");
	ck_assert_int_eq(walk_to("/f", 0, &p), 0);
	struct inode *inode = path_inode(&p);

	ck_assert_int_eq(vfs_setxattr(&p, inode, root_cred, "user.a", "value", 5, 0), 0);
	ck_assert_int_eq(vfs_setxattr(&p, inode, root_cred, "user.a", "v", 1, XATTR_CREATE),
			 -EEXIST);
	ck_assert_int_eq(vfs_setxattr(&p, inode, root_cred, "user.b", "v", 1, XATTR_REPLACE),
			 -ENODATA);
	ck_assert_int_eq(vfs_setxattr(&p, inode, root_cred, "trusted.t", "", 0, 0), 0);
	ck_assert_int_eq(vfs_setxattr(&p, inode, user_cred, "trusted.t", "", 0, 0), -EPERM);
	ck_assert_int_eq(vfs_setxattr(&p, inode, user_cred, "user.a", "", 0, 0), -EACCES);
	ck_assert_int_eq(vfs_setxattr(&p, inode, root_cred, "system.posix_acl_access", "", 0, 0),
			 -EOPNOTSUPP);
	ck_assert_int_eq(vfs_setxattr(&p, inode, root_cred, "user.", "", 0, 0), -EINVAL);
	ck_assert_int_eq((int)vfs_getxattr(inode, root_cred, "user.a", buf, 16), 5);
	ck_assert_int_eq((int)vfs_getxattr(inode, root_cred, "user.a", buf, 3), -ERANGE);
	ck_assert_int_eq((int)vfs_getxattr(inode, root_cred, "user.a", NULL, 0), 5);
	ck_assert_int_eq((int)vfs_listxattr(inode, root_cred, NULL, 0), 17);
	ck_assert_int_eq((int)vfs_listxattr(inode, user_cred, NULL, 0), 7);
	ck_assert_int_eq((int)vfs_listxattr(inode, user_cred, buf, 3), -ERANGE);
	ck_assert_int_eq(vfs_removexattr(&p, inode, root_cred, "user.a"), 0);
	ck_assert_int_eq(vfs_removexattr(&p, inode, root_cred, "user.a"), -ENODATA);
	path_put(&p);
}
END_TEST

START_TEST(record_locks)
{
	struct file *f = open_ok("/f", O_CREAT | O_RDWR);
	int a, b, c;
	struct filelock_req req = {.owner = &a, .pid = 1, .type = F_WRLCK, .start = 10, .end = 19};
	struct filelock_req other = {.owner = &b, .pid = 2, .type = F_RDLCK, .start = 0, .end = 10};

	ck_assert_int_eq(filelock_set(f, &req, NULL), 0);
	ck_assert_int_eq(filelock_set(f, &other, NULL), -EAGAIN);
	other.end = 9;
	ck_assert_int_eq(filelock_set(f, &other, NULL), 0);
	other = (struct filelock_req){.owner = &c, .pid = 3, .type = F_WRLCK, .end = INT64_MAX};
	filelock_get(f, &other);
	ck_assert_int_eq(other.pid, 2);
	/* a circle of three */
	struct filelock_blocked ba = {0}, bb = {0}, bc = {0};
	struct filelock_req want = {.owner = &c, .pid = 3, .type = F_WRLCK, .start = 30, .end = 30};

	list_init(&ba.node);
	list_init(&bb.node);
	list_init(&bc.node);
	ck_assert_int_eq(filelock_set(f, &want, NULL), 0);
	want.owner = &a, want.pid = 1;
	ck_assert_int_eq(filelock_set(f, &want, &ba), -EAGAIN); /* a waits for c */
	want =
	    (struct filelock_req){.owner = &b, .pid = 2, .type = F_WRLCK, .start = 15, .end = 15};
	ck_assert_int_eq(filelock_set(f, &want, &bb), -EAGAIN); /* b waits for a */
	want = (struct filelock_req){.owner = &c, .pid = 3, .type = F_WRLCK, .start = 5, .end = 5};
	ck_assert_int_eq(filelock_set(f, &want, &bc), -EDEADLK); /* c would wait for b */
	filelock_unblock(&bb);
	ck_assert_int_eq(filelock_set(f, &want, &bc), -EAGAIN);
	filelock_unblock(&ba);
	filelock_unblock(&bc);
	filelock_close_posix(f, &a);
	filelock_close_posix(f, &b);
	ck_assert_int_eq(filelock_set(f, &want, NULL), 0);
	ck_assert_int_eq(filelock_flock(f, LOCK_EX, 1), 0);
	struct file *g = open_ok("/f", O_RDONLY);

	ck_assert_int_eq(filelock_flock(g, LOCK_SH, 1), -EAGAIN);
	file_put(f);
	ck_assert_int_eq(filelock_flock(g, LOCK_SH, 1), 0);
	file_put(g);
}
END_TEST

START_TEST(text_busy)
{
	struct file *f;

	mk("/x", S_IFREG | 0755);
	f = open_ok("/x", O_RDWR);
	ck_assert_int_eq(inode_deny_write(f->inode), -ETXTBSY);
	file_put(f);
	f = open_ok("/x", O_RDONLY);
	ck_assert_int_eq(inode_deny_write(f->inode), 0);
	ck_assert_int_eq(open_err("/x", O_WRONLY), -ETXTBSY);
	ck_assert_int_eq(open_err("/x", O_RDONLY | O_TRUNC), -ETXTBSY);
	inode_allow_write(f->inode);
	ck_assert_int_eq(open_err("/x", O_WRONLY), 0);
	file_put(f);
}
END_TEST

START_TEST(descriptors)
{
	struct fdtable *t = fdtable_new(), *copy;
	struct file *f = open_ok("/f", O_CREAT | O_RDWR);

	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(fd_install(t, file_get(f), 0, 1024, i % 3 == 0), i);
	ck_assert_int_eq(fd_close(t, 500), 0);
	ck_assert_int_eq(fd_close(t, 500), -EBADF);
	ck_assert_int_eq(fd_close(t, 7), 0);
	ck_assert_int_eq(fd_install(t, file_get(f), 100, 1024, false), 500);
	ck_assert_int_eq(fd_install(t, file_get(f), 0, 1024, false), 7);
	for (int i = 1000; i < 1024; i++)
		ck_assert_int_eq(fd_install(t, file_get(f), 0, 1024, false), i);
	ck_assert_int_eq(fd_install(t, f, 0, 1024, false), -EMFILE);
	ck_assert_int_eq(fd_install_at(t, f, 1024, 1024, false), -EBADF);
	ck_assert_int_eq(fd_install_at(t, file_get(f), 5000, 8192, true), 5000);
	copy = fdtable_dup(t);
	ck_assert_int_eq(fdtable_count(copy), 1025);
	fdtable_exec(copy);
	ck_assert_int_eq(fd_get_cloexec(copy, 0), -EBADF);
	ck_assert_int_eq(fd_get_cloexec(copy, 1), 0);
	ck_assert_int_eq(fd_next(copy, 0), 1);
	ck_assert_int_eq(fd_close_range(copy, 2, ~0U, false), 0);
	ck_assert_int_eq(fdtable_count(copy), 1);
	ck_assert_int_eq(fd_close_range(t, 10, 20, true), 0);
	ck_assert_int_eq(fd_get_cloexec(t, 11), 1);
	fdtable_put(copy);
	fdtable_put(t);
	ck_assert_uint_eq(ref_read(&f->ref), 1);
	file_put(f);
}
END_TEST

START_TEST(watches)
{
	struct inotify_event *e;
	struct file *in;
	struct path p;
	char buf[512];

	mkd("/d");
	ck_assert_int_eq(inotify_new(root_cred, O_NONBLOCK, &in), 0);
	ck_assert_int_eq(walk_to("/d", 0, &p), 0);
	ck_assert_int_eq(inotify_add(in, path_inode(&p), IN_CREATE | IN_DELETE_SELF), 1);
	path_put(&p);
	mkf("/d/f");
	ck_assert_int_eq((int)file_read(in, buf, 10, NULL), -EINVAL);
	ck_assert_int_eq((int)file_read(in, buf, sizeof(buf), NULL), 32);
	e = (void *)buf;
	ck_assert_uint_eq(e->mask, IN_CREATE);
	ck_assert_str_eq(e->name, "f");
	ck_assert_int_eq((int)file_read(in, buf, sizeof(buf), NULL), -EAGAIN);
	(void)!vfs_unlink(&env, NULL, "/d/f");
	(void)!vfs_rmdir(&env, NULL, "/d");
	ck_assert_int_eq((int)file_read(in, buf, sizeof(buf), NULL), 32);
	ck_assert_uint_eq(e->mask, IN_DELETE_SELF);
	ck_assert_uint_eq(e[1].mask, IN_IGNORED);
	file_put(in);
	ck_assert_int_eq(atomic_load(&inotify_watches), 0);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("tmpfs");

	tcase_add_test(tc, data_against_model);
	tcase_add_test(tc, space_limit);
	tcase_add_test(tc, options);
	tcase_add_test(tc, mapping);
	tcase_add_test(tc, big_directory);
	tcase_add_test(tc, stable_cookies);
	tcase_add_test(tc, deep_tree);
	tcase_add_test(tc, renames);
	tcase_add_test(tc, attributes);
	tcase_add_test(tc, record_locks);
	tcase_add_test(tc, text_busy);
	tcase_add_test(tc, descriptors);
	tcase_add_test(tc, watches);
	return fx_run(tc, "tmpfs");
}
