/* link: sentry/fs/[a-z]*.c sentry/fs/gofer/[a-z]*.c sentry/core/[a-z]*.c sentry/locks.c common/[a-z]*.c */
/* The gofer file system against the real gofer process, by paths. */
#include "sentry/fs/dentry.h"
#include "tests/unit/gofer/harness.h"

#include <linux/fs.h>
#include <linux/xattr.h>
#include <signal.h>

static struct fixture fx;

static void open_exclusive(void)
{
	fixture_open(&fx, "rw,exclusive", 0);
}

static void open_shared(void)
{
	fixture_open(&fx, "rw,shared", GOFER_SHARED);
}

static void open_read_only(void)
{
	fixture_open(&fx, "ro,shared", GOFER_SHARED);
}

static void close_fixture(void)
{
	fixture_close(&fx);
}

/* ------------------------------------------------------------ files and names */

START_TEST(create_write_read)
{
	struct kstat st;
	struct stat host;
	char buf[32];

	ck_assert_int_eq(t_write(&fx, "file", "hello"), 0);
	ck_assert_int_eq(t_read(&fx, "file", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "hello");
	ck_assert_int_eq(t_stat(&fx, "file", &st), 0);
	ck_assert_int_eq(fstatat(fx.dirfd, "file", &host, 0), 0);
	ck_assert_uint_eq(st.size, 5);
	ck_assert_uint_eq(st.ino, host.st_ino);
	ck_assert_uint_eq(st.mode, host.st_mode);
	ck_assert_uint_eq(st.mode, S_IFREG | 0644);
	ck_assert_uint_eq(st.nlink, 1);
	ck_assert_int_eq(st.mtime.tv_sec, host.st_mtim.tv_sec);
	ck_assert_int_eq(st.mtime.tv_nsec, host.st_mtim.tv_nsec);
}
END_TEST

START_TEST(missing_names)
{
	struct kstat st;

	ck_assert_int_eq(t_stat(&fx, "none", &st), -ENOENT);
	ck_assert_int_eq(t_stat(&fx, "none/below", &st), -ENOENT);
	ck_assert_int_eq(t_write(&fx, "file", "x"), 0);
	ck_assert_int_eq(t_stat(&fx, "file/below", &st), -ENOTDIR);
	ck_assert_int_eq(t_write(&fx, "none", "now"), 0);
	ck_assert_int_eq(t_stat(&fx, "none", &st), 0);
	ck_assert_uint_eq(st.size, 3);
}
END_TEST

START_TEST(owner_and_mode_of_new_files)
{
	const struct new_inode dir = {.mode = S_IFDIR | 02775, .uid = 1000, .gid = 2000};
	const struct new_inode node = {.mode = S_IFCHR | 0600, .uid = 7, .gid = 8, .rdev = 0x103};
	struct kstat st;

	ck_assert_int_eq(vfs_create(&fx.env, NULL, "dir", &dir, NULL), 0);
	ck_assert_int_eq(t_stat(&fx, "dir", &st), 0);
	ck_assert_uint_eq(st.mode, S_IFDIR | 02775);
	ck_assert_int_eq(vfs_create(&fx.env, NULL, "null", &node, NULL), 0);
	ck_assert_int_eq(t_stat(&fx, "null", &st), 0);
	ck_assert_uint_eq(st.mode, S_IFCHR | 0600);
	ck_assert_uint_eq(st.rdev, 0x103);
	ck_assert_int_eq(t_make(&fx, "fifo", S_IFIFO | 0644, NULL), 0);
	ck_assert_int_eq(t_make(&fx, "sock", S_IFSOCK | 0755, NULL), 0);
	ck_assert_int_eq(t_stat(&fx, "sock", &st), 0);
	ck_assert_uint_eq(st.mode, S_IFSOCK | 0755);
}
END_TEST

START_TEST(symbolic_links)
{
	char target[4096], buf[8];
	struct kstat st;
	struct path p;

	memset(target, 'x', sizeof(target));
	target[4095] = 0;
	ck_assert_int_eq(t_write(&fx, "file", "via"), 0);
	ck_assert_int_eq(t_make(&fx, "link", S_IFLNK | 0777, "file"), 0);
	ck_assert_int_eq(t_make(&fx, "long", S_IFLNK | 0777, target), 0);
	ck_assert_int_eq(t_read(&fx, "link", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "via");
	ck_assert_int_eq(t_stat(&fx, "long", &st), 0);
	ck_assert_uint_eq(st.size, 4095);
	ck_assert_int_eq(path_walk(&fx.env, NULL, "long", 0, &p), 0);
	ck_assert_int_eq(vfs_readlink(&fx.env, &p, target, sizeof(target)), 4095);
	path_put(&p);
}
END_TEST

START_TEST(hard_links_are_one_inode)
{
	struct kstat a, b;
	char buf[16];

	ck_assert_int_eq(t_write(&fx, "a", "one"), 0);
	ck_assert_int_eq(t_link(&fx, "a", "b"), 0);
	ck_assert_int_eq(t_stat(&fx, "a", &a), 0);
	ck_assert_int_eq(t_stat(&fx, "b", &b), 0);
	ck_assert_uint_eq(a.ino, b.ino);
	ck_assert_uint_eq(a.nlink, 2);
	ck_assert_int_eq(t_write(&fx, "b", "three"), 0);
	ck_assert_int_eq(t_stat(&fx, "a", &a), 0);
	ck_assert_uint_eq(a.size, 5);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "a"), 0);
	ck_assert_int_eq(t_stat(&fx, "b", &b), 0);
	ck_assert_uint_eq(b.nlink, 1);
	ck_assert_int_eq(t_read(&fx, "b", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "three");
}
END_TEST

/* The link count is right without a stat in between, so the file outlives its first name. */
START_TEST(the_first_name_may_go)
{
	char buf[16];

	ck_assert_int_eq(t_write(&fx, "a", "one"), 0);
	ck_assert_int_eq(t_link(&fx, "a", "b"), 0);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "a"), 0);
	ck_assert_int_eq(t_read(&fx, "b", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "one");
	ck_assert_int_eq(t_link(&fx, "b", "c"), 0);
	ck_assert_int_eq(t_rename(&fx, "c", "d", 0), 0);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "b"), 0);
	ck_assert_int_eq(t_write(&fx, "d", "two"), 0);
	ck_assert_int_eq(t_read(&fx, "d", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "two");
}
END_TEST

/* Also when its host fd was closed in between: the gofer keeps the inode. */
START_TEST(unlinked_but_open)
{
	struct file *f;
	struct kstat st;
	struct iattr attr = {.valid = IATTR_MODE, .mode = 0600};
	char buf[8] = {0};

	gofer_set_idle_fds(0);
	ck_assert_int_eq(t_write(&fx, "file", "data"), 0);
	ck_assert_int_eq(t_open(&fx, "file", O_RDONLY, &f), 0);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "file"), 0);
	ck_assert_int_eq(t_stat(&fx, "file", &st), -ENOENT);
	ck_assert_int_eq(file_read(f, buf, sizeof(buf), NULL), 4);
	ck_assert_str_eq(buf, "data");
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.nlink, 0);
	ck_assert_int_eq(vfs_setattr(&f->path, fx.cred, &attr), 0);
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.mode, S_IFREG | 0600);
	ck_assert_int_eq(t_write(&fx, "file", "new file"), 0);
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.size, 4);
	file_put(f);
	gofer_set_idle_fds(1024);
}
END_TEST

START_TEST(renames)
{
	struct kstat st;
	char buf[16];

	ck_assert_int_eq(t_make(&fx, "d1", S_IFDIR | 0755, NULL), 0);
	ck_assert_int_eq(t_make(&fx, "d2", S_IFDIR | 0755, NULL), 0);
	ck_assert_int_eq(t_write(&fx, "d1/f", "one"), 0);
	ck_assert_int_eq(t_write(&fx, "d2/g", "two"), 0);
	ck_assert_int_eq(t_rename(&fx, "d1/f", "d2/g", RENAME_NOREPLACE), -EEXIST);
	ck_assert_int_eq(t_rename(&fx, "d1/f", "d2/g", RENAME_EXCHANGE), 0);
	ck_assert_int_eq(t_read(&fx, "d2/g", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "one");
	ck_assert_int_eq(t_rename(&fx, "d1/f", "d2/g", 0), 0);
	ck_assert_int_eq(t_read(&fx, "d2/g", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "two");
	ck_assert_int_eq(t_stat(&fx, "d1/f", &st), -ENOENT);
	ck_assert_int_eq(t_rename(&fx, "d2", "d1/sub", 0), 0);
	ck_assert_int_eq(t_read(&fx, "d1/sub/g", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "two");
	ck_assert_int_eq(vfs_rmdir(&fx.env, NULL, "d1"), -ENOTEMPTY);
	ck_assert_int_eq(t_rename(&fx, "d1", "d1/sub/x", 0), -EINVAL);
	ck_assert_int_eq(t_stat(&fx, "d1", &st), 0);
	ck_assert_uint_eq(st.nlink, 3);
}
END_TEST

START_TEST(attributes)
{
	struct iattr attr = {
	    .valid = IATTR_MODE | IATTR_UID | IATTR_GID | IATTR_ATIME | IATTR_MTIME,
	    .mode = 04750,
	    .uid = 1234,
	    .gid = 4321,
	    .atime = {100, 7},
	    .mtime = {-5, 9},
	};
	struct iattr size = {.valid = IATTR_SIZE, .size = 3};
	struct kstat st;
	char buf[16];

	ck_assert_int_eq(t_write(&fx, "f", "0123456789"), 0);
	ck_assert_int_eq(t_setattr(&fx, "f", &size), 0);
	ck_assert_int_eq(t_setattr(&fx, "f", &attr), 0);
	ck_assert_int_eq(t_stat(&fx, "f", &st), 0);
	ck_assert_uint_eq(st.mode, S_IFREG | 04750);
	ck_assert_uint_eq(st.uid, 1234);
	ck_assert_uint_eq(st.gid, 4321);
	ck_assert_int_eq(st.atime.tv_sec, 100);
	ck_assert_int_eq(st.mtime.tv_sec, -5);
	ck_assert_int_eq(st.mtime.tv_nsec, 9);
	ck_assert_uint_eq(st.size, 3);
	ck_assert_int_eq(t_read(&fx, "f", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "012");
}
END_TEST

START_TEST(appends_and_holes)
{
	off_t far = 5LL << 30, pos;
	struct file *f, *g;
	struct kstat st;
	char c = 0;

	ck_assert_int_eq(t_open(&fx, "big", O_CREAT | O_RDWR | KO_LARGEFILE, &f), 0);
	pos = far;
	ck_assert_int_eq(file_write(f, "x", 1, &pos), 1);
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.size, (uint64_t)far + 1);
	ck_assert_uint_lt(st.blocks, 1024);
	ck_assert_int_eq(file_seek(f, 0, SEEK_DATA), far);
	ck_assert_int_eq(file_seek(f, 0, SEEK_HOLE), 0);
	ck_assert_int_eq(file_seek(f, -1, SEEK_END), far);
	ck_assert_int_eq(file_read(f, &c, 1, NULL), 1);
	ck_assert_int_eq(c, 'x');
	ck_assert_int_eq(t_open(&fx, "big", O_WRONLY | O_APPEND, &g), 0);
	ck_assert_int_eq(file_write(g, "yz", 2, NULL), 2);
	ck_assert_int_eq(file_seek(g, 0, SEEK_CUR), far + 3);
	ck_assert_int_eq(f->ops->fallocate(f, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, far, 1),
			 0);
	pos = far;
	ck_assert_int_eq(file_read(f, &c, 1, &pos), 1);
	ck_assert_int_eq(c, 0);
	ck_assert_int_eq(f->ops->fsync(f, false), 0);
	file_put(g);
	file_put(f);
}
END_TEST

START_TEST(reopening_costs_no_request)
{
	uint64_t before;
	struct kstat st;
	char buf[8];

	ck_assert_int_eq(t_write(&fx, "file", "abc"), 0);
	ck_assert_int_eq(t_read(&fx, "file", buf, sizeof(buf)), 0);
	before = gofer_request_count();
	for (int i = 0; i < 10; i++) {
		ck_assert_int_eq(t_read(&fx, "file", buf, sizeof(buf)), 0);
		ck_assert_int_eq(t_stat(&fx, "file", &st), 0);
		ck_assert_int_eq(t_stat(&fx, "none", &st), -ENOENT);
	}
	ck_assert_uint_le(gofer_request_count() - before, 1); /* the first look for "none" */
}
END_TEST

START_TEST(absent_names_of_new_directories_cost_no_request)
{
	struct kstat st;
	uint64_t before;
	char name[32];

	ck_assert_int_eq(t_make(&fx, "d", S_IFDIR | 0755, NULL), 0);
	ck_assert_int_eq(t_write(&fx, "other", ""), 0);
	ck_assert_int_eq(t_stat(&fx, "d", &st), 0);
	before = gofer_request_count();
	ck_assert_int_eq(t_stat(&fx, "d/a", &st), -ENOENT);
	ck_assert_int_eq(t_make(&fx, "d/a", S_IFREG | 0644, NULL), 0);
	ck_assert_int_eq(t_stat(&fx, "d/b", &st), -ENOENT);
	ck_assert_uint_eq(gofer_request_count() - before, 1);

	/* however a name came there: it is found when the cache has forgotten it */
	ck_assert_int_eq(t_link(&fx, "d/a", "d/hard"), 0);
	ck_assert_int_eq(t_rename(&fx, "other", "d/moved", 0), 0);
	ck_assert_int_eq(t_make(&fx, "d/soft", S_IFLNK | 0777, "a"), 0);
	ck_assert_int_eq(t_make(&fx, "d/sub", S_IFDIR | 0755, NULL), 0);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "d/a"), 0);
	ck_assert_int_eq(t_make(&fx, "d/a", S_IFREG | 0600, NULL), 0);
	dcache_shrink(0);
	ck_assert_int_eq(t_stat(&fx, "d/a", &st), 0);
	ck_assert_int_eq(t_stat(&fx, "d/hard", &st), 0);
	ck_assert_int_eq(t_stat(&fx, "d/moved", &st), 0);
	ck_assert_int_eq(t_stat(&fx, "d/sub", &st), 0);
	ck_assert_int_eq(t_stat(&fx, "d/soft", &st), 0);

	/* more names than are remembered */
	for (int i = 0; i < 1100; i++) {
		snprintf(name, sizeof(name), "d/sub/%d", i);
		ck_assert_int_eq(t_make(&fx, name, S_IFREG | 0600, NULL), 0);
	}
	dcache_shrink(0);
	for (int i = 0; i < 1100; i++) {
		snprintf(name, sizeof(name), "d/sub/%d", i);
		ck_assert_int_eq(t_stat(&fx, name, &st), 0);
	}
	ck_assert_int_eq(t_stat(&fx, "d/sub/none", &st), -ENOENT);
}
END_TEST

START_TEST(a_deep_walk_is_one_request)
{
	uint64_t before;
	struct kstat st;

	ck_assert_int_eq(mkdirat(fx.dirfd, "a", 0755), 0);
	ck_assert_int_eq(mkdirat(fx.dirfd, "a/b", 0755), 0);
	ck_assert_int_eq(mkdirat(fx.dirfd, "a/b/c", 0755), 0);
	host_write_at(&fx, "a/b/c/d", "deep");
	before = gofer_request_count();
	ck_assert_int_eq(t_stat(&fx, "a//b/./c/d", &st), 0);
	ck_assert_uint_eq(st.size, 4);
	ck_assert_uint_eq(gofer_request_count() - before, 1);
	before = gofer_request_count();
	ck_assert_int_eq(t_stat(&fx, "a/b/x/y", &st), -ENOENT);
	ck_assert_uint_eq(gofer_request_count() - before, 1);
	ck_assert_int_eq(t_make(&fx, "a/b/x", S_IFDIR | 0755, NULL), 0);
	ck_assert_int_eq(t_stat(&fx, "a/b/x", &st), 0);
}
END_TEST

START_TEST(names_are_bytes)
{
	char name[257];
	struct kstat st;

	memset(name, 0xff, sizeof(name));
	name[255] = 0;
	ck_assert_int_eq(t_write(&fx, name, "long"), 0);
	ck_assert_int_eq(t_stat(&fx, name, &st), 0);
	name[255] = 'x';
	name[256] = 0;
	ck_assert_int_eq(t_stat(&fx, name, &st), -ENAMETOOLONG);
	ck_assert_int_eq(t_write(&fx, "a\nb\xc0\x80 ", "odd"), 0);
	ck_assert_int_eq(faccessat(fx.dirfd, "a\nb\xc0\x80 ", F_OK, 0), 0);
}
END_TEST

START_TEST(extended_attributes)
{
	const struct xattr_ops *x;
	struct path p;
	struct inode *i;
	char buf[64];

	ck_assert_int_eq(t_write(&fx, "f", ""), 0);
	ck_assert_int_eq(path_walk(&fx.env, NULL, "f", 0, &p), 0);
	i = path_inode(&p);
	x = i->ops->xattr;
	ck_assert_int_eq(x->get(i, "user.none", buf, sizeof(buf)), -ENODATA);
	ck_assert_int_eq(x->set(i, "user.key", "value", 5, 0), 0);
	ck_assert_int_eq(x->set(i, "user.key", "value", 5, XATTR_CREATE), -EEXIST);
	ck_assert_int_eq(x->get(i, "user.key", NULL, 0), 5);
	ck_assert_int_eq(x->get(i, "user.key", buf, 3), -ERANGE);
	ck_assert_int_eq(x->get(i, "user.key", buf, sizeof(buf)), 5);
	ck_assert_mem_eq(buf, "value", 5);
	ck_assert_int_eq(x->list(i, buf, sizeof(buf)), 9);
	ck_assert_str_eq(buf, "user.key");
	ck_assert_int_eq(x->set(i, "trusted.key", "value", 5, 0), -EPERM);
	ck_assert_int_eq(x->remove(i, "user.key"), 0);
	ck_assert_int_eq(x->list(i, buf, sizeof(buf)), 0);
	path_put(&p);
}
END_TEST

START_TEST(nameless_files_can_be_linked)
{
	struct file *f;
	struct kstat st;
	char buf[8];

	ck_assert_int_eq(t_open(&fx, "/", KO_TMPFILE | O_RDWR, &f), 0);
	ck_assert_int_eq(file_write(f, "tmp", 3, NULL), 3);
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.nlink, 0);
	ck_assert_int_eq(vfs_link(&fx.env, &f->path, NULL, "named"), 0);
	ck_assert_int_eq(t_read(&fx, "named", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "tmp");
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.nlink, 1);
	file_put(f);
}
END_TEST

/* ------------------------------------------------------------ directories */

static void count_each(struct name_sink *s, const char *name, size_t len, uint64_t ino,
		       unsigned char type)
{
	char copy[256];
	int n = 0;

	memcpy(copy, name, len);
	copy[len] = 0;
	if (sscanf(copy, "f%d", &n) == 1)
		((unsigned char *)s->arg)[n]++;
}

START_TEST(directories_survive_deletion)
{
	enum { N = 2000 };
	unsigned char seen[N] = {0};
	struct name_sink s = {.each = count_each, .arg = seen, .stop_after = 100};
	struct file *f;
	char name[16];

	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		host_write_at(&fx, name, "");
	}
	ck_assert_int_eq(t_open(&fx, "/", O_RDONLY | O_DIRECTORY, &f), 0);
	ck_assert_int_eq(t_readdir(f, &s), 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		if (seen[i])
			ck_assert_int_eq(vfs_unlink(&fx.env, NULL, name), 0);
	}
	while (s.seen == s.stop_after) {
		s.seen = 0;
		ck_assert_int_eq(t_readdir(f, &s), 0);
	}
	for (int i = 0; i < N; i++)
		ck_assert_uint_eq(seen[i], 1);
	memset(seen, 0, sizeof(seen));
	ck_assert_int_eq(file_seek(f, 0, SEEK_SET), 0);
	s.seen = 0;
	s.stop_after = UINT_MAX;
	ck_assert_int_eq(t_readdir(f, &s), 0);
	ck_assert_uint_eq(s.seen, N - 98 + 2); /* "." and ".." were among the first 100 */
	file_put(f);
}
END_TEST

START_TEST(listing_primes_stats)
{
	struct name_sink s = {.stop_after = UINT_MAX};
	struct file *f;
	uint64_t before;
	struct kstat st;
	char name[16];

	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		host_write_at(&fx, name, "12");
	}
	before = gofer_request_count();
	ck_assert_int_eq(t_open(&fx, "/", O_RDONLY | O_DIRECTORY, &f), 0);
	ck_assert_int_eq(t_readdir(f, &s), 0);
	ck_assert_uint_eq(s.seen, 102);
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		ck_assert_int_eq(t_stat(&fx, name, &st), 0);
		ck_assert_uint_eq(st.size, 2);
	}
	ck_assert_uint_eq(gofer_request_count() - before, 1);
	file_put(f);
}
END_TEST

/* ------------------------------------------------------------ shared and read-only */

START_TEST(shared_exports_see_the_host)
{
	struct kstat st;
	char buf[16];

	ck_assert_int_eq(t_stat(&fx, "f", &st), -ENOENT);
	host_write_at(&fx, "f", "one");
	ck_assert_int_eq(t_read(&fx, "f", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "one");
	host_write_at(&fx, "g", "other");
	ck_assert_int_eq(renameat(fx.dirfd, "g", fx.dirfd, "f"), 0);
	usleep(5000);
	ck_assert_int_eq(t_read(&fx, "f", buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, "other");
	ck_assert_int_eq(fchmodat(fx.dirfd, "f", 0600, 0), 0);
	usleep(5000);
	ck_assert_int_eq(t_stat(&fx, "f", &st), 0);
	ck_assert_uint_eq(st.mode, S_IFREG | 0600);
	ck_assert_int_eq(unlinkat(fx.dirfd, "f", 0), 0);
	usleep(5000);
	ck_assert_int_eq(t_stat(&fx, "f", &st), -ENOENT);
}
END_TEST

START_TEST(read_only_exports)
{
	struct inode *i, *root = path_inode(&fx.root);
	struct kstat st;
	struct file *f;
	struct path p;
	char buf[8];

	host_write_at(&fx, "f", "abc");
	ck_assert_int_eq(t_read(&fx, "f", buf, sizeof(buf)), 0);
	ck_assert_int_eq(t_open(&fx, "f", O_RDWR, &f), -EROFS);
	ck_assert_int_eq(t_make(&fx, "d", S_IFDIR | 0755, NULL), -EROFS);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "f"), -EROFS);
	ck_assert_int_eq(t_stat(&fx, "f", &st), 0);

	/* The gofer refuses by itself too. */
	ck_assert_int_eq(path_walk(&fx.env, NULL, "f", 0, &p), 0);
	i = path_inode(&p);
	ck_assert_int_eq(i->ops->open(i, &p, fx.cred, O_WRONLY, &f), -EROFS);
	ck_assert_int_eq(i->ops->unlink(root, "f", 1, i), -EROFS);
	ck_assert_int_eq(i->ops->xattr->set(i, "user.x", "", 0, 0), -EROFS);
	path_put(&p);
}
END_TEST

START_TEST(a_dead_gofer_is_an_io_error)
{
	struct kstat st;
	struct file *f;
	char buf[8] = {0}, cmd[128];

	open_exclusive();
	ck_assert_int_eq(t_write(&fx, "f", "kept"), 0);
	ck_assert_int_eq(t_open(&fx, "f", O_RDONLY, &f), 0);
	kill(fx.gofer, SIGKILL);
	ck_assert_int_eq(waitpid(fx.gofer, NULL, 0), fx.gofer);
	ck_assert_int_eq(t_stat(&fx, "other", &st), -EIO);
	ck_assert_int_eq(t_stat(&fx, "other", &st), -EIO);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "f"), -EIO);
	ck_assert_int_eq(file_read(f, buf, sizeof(buf), NULL), 4);
	ck_assert_str_eq(buf, "kept");
	file_put(f);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", fx.dir);
	ck_assert_int_eq(system(cmd), 0);
}
END_TEST

static void add_exclusive(TCase *c)
{
	tcase_add_test(c, create_write_read);
	tcase_add_test(c, missing_names);
	tcase_add_test(c, owner_and_mode_of_new_files);
	tcase_add_test(c, symbolic_links);
	tcase_add_test(c, hard_links_are_one_inode);
	tcase_add_test(c, the_first_name_may_go);
	tcase_add_test(c, unlinked_but_open);
	tcase_add_test(c, renames);
	tcase_add_test(c, attributes);
	tcase_add_test(c, appends_and_holes);
	tcase_add_test(c, reopening_costs_no_request);
	tcase_add_test(c, absent_names_of_new_directories_cost_no_request);
	tcase_add_test(c, a_deep_walk_is_one_request);
	tcase_add_test(c, names_are_bytes);
	tcase_add_test(c, extended_attributes);
	tcase_add_test(c, nameless_files_can_be_linked);
	tcase_add_test(c, directories_survive_deletion);
	tcase_add_test(c, listing_primes_stats);
}

static void add_shared(TCase *c)
{
	tcase_add_test(c, shared_exports_see_the_host);
	tcase_add_test(c, create_write_read);
	tcase_add_test(c, hard_links_are_one_inode);
	tcase_add_test(c, the_first_name_may_go);
	tcase_add_test(c, unlinked_but_open);
	tcase_add_test(c, renames);
	tcase_add_test(c, attributes);
	tcase_add_test(c, directories_survive_deletion);
}

int main(void)
{
	Suite *s = suite_create("gofer_fs");
	TCase *rw = tcase_create("exclusive"), *shared = tcase_create("shared");
	TCase *ro = tcase_create("read-only"), *dead = tcase_create("dead");

	tcase_add_checked_fixture(rw, open_exclusive, close_fixture);
	add_exclusive(rw);
	suite_add_tcase(s, rw);
	tcase_add_checked_fixture(shared, open_shared, close_fixture);
	add_shared(shared);
	suite_add_tcase(s, shared);
	tcase_add_checked_fixture(ro, open_read_only, close_fixture);
	tcase_add_test(ro, read_only_exports);
	suite_add_tcase(s, ro);
	tcase_add_test(dead, a_dead_gofer_is_an_io_error);
	suite_add_tcase(s, dead);
	return run_suite(s);
}
