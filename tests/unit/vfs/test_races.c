/* Many threads on one tree: walks, creations, removals, renames, mounts and reads at once, with
 * a small dentry cache, so that eviction meets everything else. */
/* link: sentry/fs/anon_inode.c sentry/fs/attr.c sentry/fs/dentry.c sentry/fs/dirent.c sentry/fs/fasync.c sentry/fs/fdinfo.c sentry/fs/fdtable.c sentry/fs/file.c sentry/fs/filelock.c sentry/fs/fs_context.c sentry/fs/inode.c sentry/fs/inotify.c sentry/fs/mount[a-z_]*.c sentry/fs/mount.c sentry/fs/namei.c sentry/fs/open.c sentry/fs/path_file.c sentry/fs/parts.c sentry/fs/path.c sentry/fs/perm.c sentry/fs/protected.c sentry/fs/rename.c sentry/fs/walk.c sentry/fs/xattr.c sentry/fs/tmpfs/[a-z]*.c sentry/core/account.c sentry/core/charged.c sentry/core/charged_fd.c sentry/core/cred.c sentry/core/user_ns.c sentry/core/waitq.c sentry/core/sleeper.c sentry/locks.c common/mem.c common/text.c common/log.c common/host.c common/host_file.c common/host_fs.c common/host_memfd.c common/host_thread.c */
#include <pthread.h>

#include "sentry/fs/inotify.h"
#include "tests/unit/vfs/vfs_fixture.h"

#define THREADS 4
#define ROUNDS 4000
#define NAMES 6

static struct file *watcher;

static void name_of(unsigned int *seed, char *buf, size_t size)
{
	int depth = (int)(rand_r(seed) % 3);
	int a = (int)(rand_r(seed) % NAMES), b = (int)(rand_r(seed) % NAMES);

	if (depth == 0)
		snprintf(buf, size, "/d%d", a);
	else if (depth == 1)
		snprintf(buf, size, "/d%d/n%d", a, b);
	else
		snprintf(buf, size, "/d%d/d%d/n%u", a, b, rand_r(seed) % NAMES);
}

static bool drop_name(struct dirent_sink *sink, const char *name, size_t len, uint64_t ino,
		      unsigned char type, off_t next)
{
	return true;
}

static void use_file(const char *name, unsigned int r)
{
	struct file *f = NULL;
	char buf[6000] = "x";
	off_t pos = r % 3000;

	if (vfs_open(&env, NULL, name, O_RDWR | (r & 1 ? O_CREAT : 0), 0644, 0, &f) == 0) {
		(void)!file_write(f, buf, r % sizeof(buf) + 1, &pos);
		pos = 0;
		(void)!file_read(f, buf, sizeof(buf), &pos);
		file_put(f);
	} else if (vfs_open(&env, NULL, name, O_RDONLY, 0, 0, &f) == 0) {
		struct dirent_sink sink = {drop_name};

		if (f->ops->readdir)
			f->ops->readdir(f, &sink);
		file_put(f);
	}
}

static void mount_there(const char *name, unsigned int r)
{
	struct path p;

	if (walk_to(name, WALK_FOLLOW, &p) < 0)
		return;
	if (r & 1) {
		struct superblock *sb;

		ck_assert_int_eq(tmpfs_mount("none", "", NULL, &sb), 0);
		(void)!mount_attach(ns, &p, sb, 0);
		superblock_put(sb);
	} else {
		(void)!mount_umount(ns, &p, r & 2 ? MNT_DETACH : 0);
	}
	path_put(&p);
}

static void one_round(unsigned int *seed)
{
	struct kstat st;
	struct path p;
	char a[64], b[64];
	unsigned int r;

	name_of(seed, a, sizeof(a));
	name_of(seed, b, sizeof(b));
	r = (unsigned int)rand_r(seed);
	switch (rand_r(seed) % 12) {
	case 0:
		(void)!mkd(a);
		break;
	case 1:
		(void)!mkl(b, a);
		break;
	case 2:
		(void)!vfs_unlink(&env, NULL, a);
		break;
	case 3:
		(void)!vfs_rmdir(&env, NULL, a);
		break;
	case 4:
	case 5:
		(void)!rename_to(a, b, r % 4 == 0 ? RENAME_EXCHANGE : 0);
		break;
	case 6:
		if (r % 8 == 0)
			mount_there(a, r / 8);
		break;
	case 7:
		if (walk_to(a, 0, &p) == 0) {
			char buf[4096];

			(void)!path_name(&p, &fx_root, buf, sizeof(buf));
			(void)!vfs_link(&env, &p, NULL, b);
			path_put(&p);
		}
		break;
	case 8:
		if (r % 16 == 0 && walk_to(a, 0, &p) == 0) {
			(void)!inotify_add(watcher, path_inode(&p), IN_ALL_EVENTS);
			path_put(&p);
		}
		break;
	case 9:
		use_file(a, r);
		break;
	default:
		if (walk_to(a, WALK_FOLLOW, &p) == 0) {
			(void)!vfs_getattr(&p, &st);
			path_put(&p);
		}
	}
}

static void *run(void *arg)
{
	unsigned int seed = 1000 + (unsigned int)(uintptr_t)arg;

	for (int i = 0; i < ROUNDS; i++)
		one_round(&seed);
	return NULL;
}

START_TEST(all_at_once)
{
	pthread_t threads[THREADS];
	char buf[65536], name[16];

	ck_assert_int_eq(inotify_new(root_cred, O_NONBLOCK, &watcher), 0);
	dcache_set_limit(30);
	for (int i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "/d%d", i);
		mkd(name);
	}
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, run, (void *)i), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	while (file_read(watcher, buf, sizeof(buf), NULL) > 0)
		;
	file_put(watcher);
	dcache_set_limit(12000);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("races");

	tcase_add_test(tc, all_at_once);
	return fx_run(tc, "races");
}
