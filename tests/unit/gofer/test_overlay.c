/* link: sentry/fs/[a-z]*.c sentry/fs/gofer/[a-z]*.c sentry/fs/overlay/[a-z]*.c sentry/fs/tmpfs/[a-z]*.c sentry/core/[a-z]*.c sentry/locks.c common/[a-z]*.c */
/* The overlay: a read-only gofer export below, tmpfs above. The host's tree must stay as it is. */
#include "tests/unit/gofer/harness.h"

#include <dirent.h>
#include <linux/fs.h>

#include "sentry/fs/dentry.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/fs/tmpfs/tmpfs.h"

static struct fixture fx;

static void put_overlay(struct fixture *f)
{
	struct superblock *lower = f->sb, *upper;

	ck_assert_int_eq(tmpfs_mount("upper", "", NULL, &upper), 0);
	ck_assert_int_eq(overlay_mount(lower, upper, &f->sb), 0);
	superblock_put(lower);
	superblock_put(upper);
}

static void setup(void)
{
	fx.over = put_overlay;
	fixture_open(&fx, "ro,exclusive", GOFER_RO);
	host_write_at(&fx, "file", "lower");
	host_write_at(&fx, "other", "second");
	ck_assert_int_eq(mkdirat(fx.dirfd, "dir", 0755), 0);
	host_write_at(&fx, "dir/a", "A");
	host_write_at(&fx, "dir/b", "B");
	ck_assert_int_eq(mkdirat(fx.dirfd, "dir/sub", 0755), 0);
	host_write_at(&fx, "dir/sub/deep", "deep");
	ck_assert_int_eq(linkat(fx.dirfd, "file", fx.dirfd, "dir/hard", 0), 0);
	ck_assert_int_eq(symlinkat("file", fx.dirfd, "link"), 0);
}

/* Whatever a test did, the lower tree has its files and their content. */
static void teardown(void)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd),
		 "cd %s && test \"$(cat file other dir/a dir/b dir/sub/deep)\" = lowersecondABdeep"
		 " && test $(find . | wc -l) = 10 && test $(stat -c %%a file) = 644",
		 fx.dir);
	ck_assert_int_eq(system(cmd), 0);
	fixture_close(&fx);
}

static void append_name(struct name_sink *s, const char *name, size_t len, uint64_t ino,
			unsigned char type)
{
	char *out = s->arg;

	if (name[0] != '.')
		snprintf(out + strlen(out), 256 - strlen(out), "%.*s ", (int)len, name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Sorted names of a directory in one string. */
static const char *list(const char *name)
{
	static char sorted[256];
	char names[256] = "", *words[64], *save;
	struct name_sink s = {.stop_after = UINT_MAX, .each = append_name, .arg = names};
	struct file *f;
	size_t n = 0;

	ck_assert_int_eq(t_open(&fx, name, O_RDONLY | O_DIRECTORY, &f), 0);
	ck_assert_int_eq(t_readdir(f, &s), 0);
	file_put(f);
	for (char *w = strtok_r(names, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[n++] = w;
	qsort(words, n, sizeof(*words), by_text);
	sorted[0] = 0;
	for (size_t i = 0; i < n; i++)
		snprintf(sorted + strlen(sorted), sizeof(sorted) - strlen(sorted), "%s%s",
			 i ? " " : "", words[i]);
	return sorted;
}

static void check_content(const char *name, const char *want)
{
	char buf[64];

	ck_assert_int_eq(t_read(&fx, name, buf, sizeof(buf)), 0);
	ck_assert_str_eq(buf, want);
}

START_TEST(reading_shows_the_lower_tree)
{
	struct kstat st;

	check_content("file", "lower");
	check_content("link", "lower");
	check_content("dir/sub/deep", "deep");
	ck_assert_str_eq(list("/"), "dir file link other");
	ck_assert_str_eq(list("dir"), "a b hard sub");
	ck_assert_int_eq(t_stat(&fx, "file", &st), 0);
	ck_assert_uint_eq(st.nlink, 2);
	ck_assert_uint_eq(st.size, 5);
	ck_assert_int_eq(t_stat(&fx, "none", &st), -ENOENT);
}
END_TEST

START_TEST(writing_copies_up)
{
	struct kstat before, after;
	struct file *f;
	off_t pos = 1;

	ck_assert_int_eq(t_stat(&fx, "dir/sub/deep", &before), 0);
	ck_assert_int_eq(t_open(&fx, "dir/sub/deep", O_RDWR, &f), 0);
	ck_assert_int_eq(file_write(f, "XY", 2, &pos), 2);
	file_put(f);
	check_content("dir/sub/deep", "dXYp");
	ck_assert_int_eq(t_stat(&fx, "dir/sub/deep", &after), 0);
	ck_assert_uint_eq(before.ino, after.ino);
	ck_assert_uint_eq(before.dev, after.dev);
	ck_assert_uint_eq(after.mode, S_IFREG | 0644);
	ck_assert_str_eq(list("dir/sub"), "deep");
	dcache_shrink(0);
	check_content("dir/sub/deep", "dXYp");
	ck_assert_int_eq(t_stat(&fx, "dir/sub/deep", &after), 0);
	ck_assert_uint_eq(before.ino, after.ino);
}
END_TEST

START_TEST(an_older_open_sees_the_copy)
{
	struct file *f;
	char buf[8] = {0};
	off_t pos = 0;

	ck_assert_int_eq(t_open(&fx, "file", O_RDONLY, &f), 0);
	ck_assert_int_eq(file_read(f, buf, 5, &pos), 5);
	ck_assert_int_eq(t_write(&fx, "file", "upper!"), 0);
	pos = 0;
	ck_assert_int_eq(file_read(f, buf, 6, &pos), 6);
	ck_assert_str_eq(buf, "upper!");
	ck_assert_int_eq(file_seek(f, 0, SEEK_END), 6);
	file_put(f);
}
END_TEST

START_TEST(hard_links_stay_one_file)
{
	struct kstat a, b;

	ck_assert_int_eq(t_write(&fx, "dir/hard", "changed"), 0);
	check_content("file", "changed");
	dcache_shrink(0);
	check_content("file", "changed");
	ck_assert_int_eq(t_stat(&fx, "file", &a), 0);
	ck_assert_int_eq(t_stat(&fx, "dir/hard", &b), 0);
	ck_assert_uint_eq(a.ino, b.ino);
	ck_assert_uint_eq(a.nlink, 2);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "dir/hard"), 0);
	ck_assert_int_eq(t_stat(&fx, "file", &a), 0);
	ck_assert_uint_eq(a.nlink, 1);
	check_content("file", "changed");
	ck_assert_int_eq(t_rename(&fx, "file", "dir/moved", 0), 0);
	check_content("dir/moved", "changed");
	ck_assert_str_eq(list("/"), "dir link other");
	ck_assert_int_eq(t_link(&fx, "dir/moved", "again"), 0);
	ck_assert_int_eq(t_stat(&fx, "again", &a), 0);
	ck_assert_uint_eq(a.nlink, 2);
}
END_TEST

START_TEST(removing_leaves_nothing_to_see)
{
	struct kstat st;

	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "dir/a"), 0);
	ck_assert_int_eq(t_stat(&fx, "dir/a", &st), -ENOENT);
	ck_assert_str_eq(list("dir"), "b hard sub");
	dcache_shrink(0);
	ck_assert_int_eq(t_stat(&fx, "dir/a", &st), -ENOENT);
	ck_assert_int_eq(t_write(&fx, "dir/a", "new"), 0);
	check_content("dir/a", "new");
	ck_assert_str_eq(list("dir"), "a b hard sub");
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "dir/a"), 0);
	ck_assert_int_eq(t_stat(&fx, "dir/a", &st), -ENOENT);
	ck_assert_int_eq(vfs_rmdir(&fx.env, NULL, "dir"), -ENOTEMPTY);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "dir/b"), 0);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "dir/hard"), 0);
	ck_assert_int_eq(vfs_rmdir(&fx.env, NULL, "dir/sub"), -ENOTEMPTY);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "dir/sub/deep"), 0);
	ck_assert_int_eq(vfs_rmdir(&fx.env, NULL, "dir/sub"), 0);
	ck_assert_str_eq(list("dir"), "");
	ck_assert_int_eq(vfs_rmdir(&fx.env, NULL, "dir"), 0);
	ck_assert_str_eq(list("/"), "file link other");
	ck_assert_int_eq(t_make(&fx, "dir", S_IFDIR | 0700, NULL), 0);
	dcache_shrink(0);
	ck_assert_str_eq(list("dir"), "");
	ck_assert_int_eq(t_stat(&fx, "dir/b", &st), -ENOENT);
	ck_assert_int_eq(t_stat(&fx, "dir", &st), 0);
	ck_assert_uint_eq(st.mode, S_IFDIR | 0700);
}
END_TEST

START_TEST(directories_can_be_renamed)
{
	struct kstat st;

	ck_assert_int_eq(t_rename(&fx, "dir", "moved", 0), 0);
	ck_assert_int_eq(t_stat(&fx, "dir", &st), -ENOENT);
	ck_assert_str_eq(list("moved"), "a b hard sub");
	check_content("moved/sub/deep", "deep");
	dcache_shrink(0);
	check_content("moved/sub/deep", "deep");
	ck_assert_int_eq(t_write(&fx, "moved/sub/deep", "changed"), 0);
	check_content("moved/sub/deep", "changed");
	ck_assert_int_eq(t_make(&fx, "dir", S_IFDIR | 0755, NULL), 0);
	ck_assert_str_eq(list("dir"), "");
	ck_assert_int_eq(t_rename(&fx, "moved", "dir", 0), 0);
	ck_assert_str_eq(list("dir"), "a b hard sub");
	ck_assert_str_eq(list("/"), "dir file link other");
	ck_assert_int_eq(t_rename(&fx, "dir/sub", "file", 0), -ENOTDIR);
	ck_assert_int_eq(t_rename(&fx, "dir/sub", "file", RENAME_EXCHANGE), 0);
	check_content("file/deep", "changed");
	check_content("dir/sub", "lower");
}
END_TEST

START_TEST(renaming_over_a_lower_file)
{
	struct kstat st;

	ck_assert_int_eq(t_write(&fx, "new", "content"), 0);
	ck_assert_int_eq(t_rename(&fx, "new", "other", 0), 0);
	check_content("other", "content");
	ck_assert_int_eq(t_rename(&fx, "dir/a", "dir/b", 0), 0);
	dcache_shrink(0);
	check_content("dir/b", "A");
	ck_assert_str_eq(list("dir"), "b hard sub");
	ck_assert_int_eq(t_rename(&fx, "dir/b", "dir/a", 0), 0);
	ck_assert_int_eq(t_stat(&fx, "dir/b", &st), -ENOENT);
	ck_assert_str_eq(list("dir"), "a hard sub");
}
END_TEST

START_TEST(attributes_and_links)
{
	struct iattr attr = {.valid = IATTR_MODE | IATTR_UID, .mode = 0600, .uid = 42};
	struct iattr size = {.valid = IATTR_SIZE, .size = 2};
	struct kstat before, after;
	char buf[16];
	struct path p;

	ck_assert_int_eq(t_stat(&fx, "dir", &before), 0);
	ck_assert_int_eq(t_setattr(&fx, "dir/a", &attr), 0);
	ck_assert_int_eq(t_stat(&fx, "dir", &after), 0);
	ck_assert_int_eq(before.mtime.tv_sec, after.mtime.tv_sec);
	ck_assert_int_eq(before.mtime.tv_nsec, after.mtime.tv_nsec);
	ck_assert_int_eq(t_stat(&fx, "dir/a", &after), 0);
	ck_assert_uint_eq(after.mode, S_IFREG | 0600);
	ck_assert_uint_eq(after.uid, 42);
	check_content("dir/a", "A");
	ck_assert_int_eq(t_setattr(&fx, "file", &size), 0);
	check_content("dir/hard", "lo");
	ck_assert_int_eq(t_setattr(&fx, "link", &(struct iattr){.valid = IATTR_UID, .uid = 7}), 0);
	ck_assert_int_eq(path_walk(&fx.env, NULL, "link", 0, &p), 0);
	ck_assert_int_eq(vfs_readlink(&fx.env, &p, buf, sizeof(buf)), 4);
	ck_assert_mem_eq(buf, "file", 4);
	path_put(&p);
}
END_TEST

START_TEST(unlinked_while_open)
{
	struct file *f;
	struct kstat st;
	char buf[8] = {0};

	ck_assert_int_eq(t_open(&fx, "other", O_RDONLY, &f), 0);
	ck_assert_int_eq(vfs_unlink(&fx.env, NULL, "other"), 0);
	ck_assert_int_eq(file_read(f, buf, 6, NULL), 6);
	ck_assert_str_eq(buf, "second");
	ck_assert_int_eq(
	    vfs_setattr(&f->path, fx.cred, &(struct iattr){.valid = IATTR_MODE, .mode = 0}), 0);
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.nlink, 0);
	ck_assert_uint_eq(st.mode, S_IFREG);
	file_put(f);
}
END_TEST

START_TEST(holes_are_copied_as_holes)
{
	int fd = openat(fx.dirfd, "dir/a", O_WRONLY | O_CLOEXEC);
	struct kstat st;
	struct file *f;

	ck_assert_int_eq(ftruncate(fd, 6L << 30), 0);
	ck_assert_int_eq(pwrite(fd, "end", 3, (6L << 30) - 3), 3);
	ck_assert_int_eq(t_open(&fx, "dir/a", O_RDWR, &f), 0);
	ck_assert_int_eq(vfs_fgetattr(f, &st), 0);
	ck_assert_uint_eq(st.size, 6UL << 30);
	ck_assert_uint_lt(st.blocks, 4096);
	ck_assert_int_eq(file_seek(f, -3, SEEK_END), (6L << 30) - 3);
	file_put(f);
	ck_assert_int_eq(ftruncate(fd, 1), 0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("overlay");
	TCase *c = tcase_create("memory");

	tcase_add_checked_fixture(c, setup, teardown);
	tcase_add_test(c, reading_shows_the_lower_tree);
	tcase_add_test(c, writing_copies_up);
	tcase_add_test(c, an_older_open_sees_the_copy);
	tcase_add_test(c, hard_links_stay_one_file);
	tcase_add_test(c, removing_leaves_nothing_to_see);
	tcase_add_test(c, directories_can_be_renamed);
	tcase_add_test(c, renaming_over_a_lower_file);
	tcase_add_test(c, attributes_and_links);
	tcase_add_test(c, unlinked_while_open);
	tcase_add_test(c, holes_are_copied_as_holes);
	suite_add_tcase(s, c);
	return run_suite(s);
}
