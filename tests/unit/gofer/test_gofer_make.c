/* link: gofer/attr.c gofer/channel.c gofer/dir.c gofer/names.c gofer/node.c gofer/server.c gofer/xattr.c common/[a-z]*.c */
/* What the gofer's handlers leave behind when a new file cannot be given its owner. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

#include "common/host.h"
#include "common/mem.h"
#include "gofer/server.h"

static char dir[64];
static int dirfd;
static struct server *srv;

/* The handlers then fail behind the creation: the file has to be another user's. */
static void give_up_chown(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	ck_assert_int_eq(syscall(SYS_capget, &head, data), 0);
	data[0].effective &= ~(1U << CAP_CHOWN);
	ck_assert_int_eq(syscall(SYS_capset, &head, data), 0);
}

static void serve(bool exclusive)
{
	umask(0);
	snprintf(dir, sizeof(dir), "%s/garrison-make-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_eq(chdir("/proc/self/fd"), 0);
	ck_assert_int_eq(server_new(open(dir, O_PATH | O_CLOEXEC), false, exclusive, &srv), 0);
}

static void serve_exclusive(void)
{
	serve(true);
}

static void serve_shared(void)
{
	serve(false);
}

static void end(void)
{
	char cmd[128];

	server_free(srv);
	close(dirfd);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}

static int send_make(uint32_t opcode, const void *in, size_t size, uint32_t uid, const char *name)
{
	static char out[GOFER_MSG_MAX];
	struct {
		struct fuse_in_header head;
		char body[512];
	} msg = {{.opcode = opcode, .unique = 1, .nodeid = FUSE_ROOT_ID, .uid = uid}, {0}};
	size_t len = sizeof(msg.head) + size + strlen(name) + 1;
	int fd;

	memcpy(msg.body, in, size);
	strcpy(msg.body + size, name);
	msg.head.len = (uint32_t)len;
	ck_assert_int_gt(server_handle(srv, NULL, &msg, len, out, &fd), 0);
	if (fd >= 0)
		close(fd);
	return ((struct fuse_out_header *)out)->error;
}

static int make_file(uint32_t mode, uint32_t uid, const char *name)
{
	struct fuse_create_in in = {.flags = O_RDWR, .mode = S_IFREG | mode};

	return send_make(GOFER_CREATE, &in, sizeof(in), uid, name);
}

static int make_dir(uint32_t mode, uint32_t uid, const char *name)
{
	struct fuse_mkdir_in in = {.mode = mode};

	return send_make(FUSE_MKDIR, &in, sizeof(in), uid, name);
}

static bool is_there(const char *name)
{
	return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

START_TEST(failures_leave_nothing)
{
	give_up_chown();
	ck_assert_int_eq(make_file(0644, 1000, "file"), -EPERM);
	ck_assert_int_eq(make_dir(0755, 1000, "dir"), -EPERM);
	ck_assert(!is_there("file"));
	ck_assert(!is_there("dir"));
	ck_assert_int_eq(make_file(0644, 0, "file"), 0);
	ck_assert(is_there("file"));
}
END_TEST

/* What cannot be taken back on a shared export is at least no program of root's. */
START_TEST(failures_leave_no_setuid)
{
	struct stat st;

	give_up_chown();
	ck_assert_int_eq(make_file(06777, 1000, "file"), -EPERM);
	ck_assert_int_eq(fstatat(dirfd, "file", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07000, 0);
}
END_TEST

START_TEST(special_bits_are_set_last)
{
	struct stat st;

	ck_assert_int_eq(make_file(06777, 1000, "file"), 0);
	ck_assert_int_eq(fstatat(dirfd, "file", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 06777);
	ck_assert_uint_eq(st.st_uid, 1000);
	ck_assert_int_eq(make_dir(03775, 0, "dir"), 0);
	ck_assert_int_eq(fstatat(dirfd, "dir", &st, 0), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 03775);
}
END_TEST

static atomic_bool stop;

static void *exchange_for_ever(void *arg)
{
	while (!atomic_load(&stop))
		(void)!renameat2(dirfd, "precious", dirfd, "new", RENAME_EXCHANGE);
	return NULL;
}

/* Somebody else moves his file to the name between its creation and the failure. */
START_TEST(failures_remove_nothing_of_others)
{
	int fd = openat(dirfd, "precious", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	struct stat mine, now;
	pthread_t other;

	ck_assert_int_eq(fstat(fd, &mine), 0);
	ck_assert_int_eq(pthread_create(&other, NULL, exchange_for_ever, NULL), 0);
	give_up_chown();
	for (uint64_t until = host_monotonic_ns() + NSEC_PER_SEC; host_monotonic_ns() < until;) {
		(void)make_file(0644, 1000, "new");
		ck_assert_int_eq(fstat(fd, &now), 0);
		ck_assert_uint_eq(now.st_nlink, 1);
		/* Takes away whichever is not the precious one. */
		if (fstatat(dirfd, "new", &now, 0) == 0 && now.st_ino != mine.st_ino &&
		    renameat2(dirfd, "new", dirfd, "old", 0) == 0 &&
		    fstatat(dirfd, "old", &now, 0) == 0 && now.st_ino == mine.st_ino)
			ck_assert_int_eq(renameat(dirfd, "old", dirfd, "precious"), 0);
	}
	atomic_store(&stop, true);
	pthread_join(other, NULL);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gofer_make");
	TCase *exclusive = tcase_create("exclusive"), *shared = tcase_create("shared");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(exclusive, serve_exclusive, end);
	tcase_add_test(exclusive, failures_leave_nothing);
	tcase_add_test(exclusive, special_bits_are_set_last);
	tcase_add_checked_fixture(shared, serve_shared, end);
	tcase_add_test(shared, failures_leave_no_setuid);
	tcase_add_test(shared, special_bits_are_set_last);
	tcase_add_test(shared, failures_remove_nothing_of_others);
	suite_add_tcase(s, exclusive);
	suite_add_tcase(s, shared);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
