/* chmod, chown, utimensat, access: rules for owners, root and others. */
#include <grp.h>
#include <sys/time.h>
#include <utime.h>

#include "tests/guest/fs_util.h"

static void mode_of(const char *name)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		printf("%s: %s\n", name, res(-1));
	else
		printf("%s: %o %u %u\n", name, st.st_mode, st.st_uid, st.st_gid);
}

static void times_of(const char *name)
{
	struct stat st;

	lstat(name, &st);
	printf("%s: %ld.%09ld %ld.%09ld\n", name, (long)st.st_atim.tv_sec, (long)st.st_atim.tv_nsec,
	       (long)st.st_mtim.tv_sec, (long)st.st_mtim.tv_nsec);
}

/* Runs fn as another user in a child. */
static void as_user(uid_t uid, gid_t gid, void (*fn)(void))
{
	fflush(stdout);
	if (fork() == 0) {
		setgroups(0, NULL);
		if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
			printf("cannot become %u\n", uid);
		fn();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void root_part(void)
{
	put_file("f", "x");
	SHOW(chmod("f", 07777));
	mode_of("f");
	SHOW(chown("f", 1000, 1000));
	mode_of("f");
	SHOW(chmod("f", 06755));
	SHOW(chown("f", -1, -1));
	mode_of("f");
	SHOW(chmod("f", 02644));
	SHOW(chown("f", 1000, 1000));
	mode_of("f");
	mkdir("d", 0755);
	SHOW(chmod("d", 06755));
	SHOW(chown("d", 1000, 1000));
	mode_of("d");
	symlink("f", "l");
	SHOW(lchown("l", 7, 8));
	mode_of("l");
	mode_of("f");
	SHOW(fchmodat(AT_FDCWD, "l", 0600, 0));
	mode_of("f");
	SHOW(syscall(452, AT_FDCWD, "l", 0640, AT_SYMLINK_NOFOLLOW));
	SHOW(syscall(452, AT_FDCWD, "f", 0640, 0));
	SHOW(syscall(452, AT_FDCWD, "f", 0640, 4));
	SHOW(fchownat(AT_FDCWD, "", 1, 1, 0));
	SHOW(fchownat(AT_FDCWD, "f", 1, 1, 4));
	SHOW(chmod("none", 0600));
	SHOW(chmod("f/x", 0600));
	/* writing as root keeps setuid; see owner_part for others */
	chmod("f", 06755);
	int fd = open("f", O_WRONLY);

	SHOW(write(fd, "y", 1));
	mode_of("f");
	close(fd);
}

static void owner_part(void)
{
	int fd;

	SHOW(chmod("own", 06755));
	mode_of("own");
	fd = open("own", O_WRONLY);
	SHOW(write(fd, "y", 1));
	mode_of("own");
	chmod("own", 06755);
	SHOW(ftruncate(fd, 0));
	mode_of("own");
	close(fd);
	SHOW(chown("own", 1000, 1000));
	SHOW(chown("own", 1001, -1));
	SHOW(chown("own", -1, 1001));
	SHOW(chown("own", -1, 1000));
	/* a group that one is not in: setgid goes */
	SHOW(chmod("othergroup", 02755));
	mode_of("othergroup");
	SHOW(chmod("rootfile", 0644));
	SHOW(chown("rootfile", 1000, 1000));
	SHOW(unlink("sticky/rootfile"));
	SHOW(unlink("sticky/mine"));
	SHOW(rename("sticky/rootfile", "sticky/x"));
	SHOW(rename("sticky/rootdir", "sticky/x"));
	SHOW(mkdir("sgid/sub", 0755));
	mode_of("sgid/sub");
	fd = open("sgid/file", O_CREAT | O_WRONLY, 02775);
	close(fd);
	mode_of("sgid/file");
	SHOW(mkdir("rootdir/x", 0755));
	SHOW(access("secret", R_OK));
	SHOW(access("secret", F_OK));
	SHOW(access("secretdir/x", F_OK));
	SHOW(try_open("secret", O_RDONLY));
	SHOW(mknod("sgid/dev", S_IFCHR | 0600, 0x103));
	SHOW(mknod("sgid/fifo", S_IFIFO | 0600, 0));
	SHOW(chroot("."));
	SHOW(utimensat(AT_FDCWD, "rootfile", NULL, 0));
	SHOW(utimensat(AT_FDCWD, "writable", NULL, 0));
	struct timespec ts[2] = {{1, 0}, {2, 0}};

	SHOW(utimensat(AT_FDCWD, "writable", ts, 0));
	ts[0].tv_nsec = ts[1].tv_nsec = UTIME_NOW;
	SHOW(utimensat(AT_FDCWD, "writable", ts, 0));
	ts[0].tv_nsec = UTIME_OMIT;
	SHOW(utimensat(AT_FDCWD, "writable", ts, 0));
	ts[1].tv_nsec = UTIME_OMIT;
	SHOW(utimensat(AT_FDCWD, "rootfile", ts, 0));
	SHOW(open("own", O_RDONLY | O_NOATIME) >= 0);
	SHOW(open("writable", O_RDONLY | O_NOATIME));
}

static void set_up(void)
{
	put_file("own", "x");
	chown("own", 1000, 1000);
	put_file("othergroup", "x");
	chown("othergroup", 1000, 5);
	put_file("rootfile", "x");
	put_file("writable", "x");
	chmod("writable", 0666);
	mkdir("sticky", 0777);
	chmod("sticky", 01777);
	put_file("sticky/rootfile", "x");
	mkdir("sticky/rootdir", 0777);
	put_file("sticky/mine", "x");
	chown("sticky/mine", 1000, 1000);
	mkdir("sgid", 0777);
	chown("sgid", 0, 5);
	chmod("sgid", 02777);
	mkdir("rootdir", 0755);
	put_file("secret", "x");
	chmod("secret", 0600);
	mkdir("secretdir", 0700);
}

static void times(void)
{
	struct timespec ts[2] = {{100, 5}, {200, 6}};
	struct timeval tv[2] = {{300, 7}, {400, 8}};
	struct utimbuf ub = {500, 600};
	int fd = open("f", O_RDONLY);

	SHOW(utimensat(AT_FDCWD, "f", ts, 0));
	times_of("f");
	SHOW(utimes("f", tv));
	times_of("f");
	SHOW(utime("f", &ub));
	times_of("f");
	ts[0].tv_nsec = UTIME_OMIT;
	SHOW(futimens(fd, ts));
	times_of("f");
	ts[0].tv_nsec = 2000000000;
	SHOW(futimens(fd, ts));
	ts[0].tv_nsec = -1;
	SHOW(futimens(fd, ts));
	tv[0].tv_usec = 1000000;
	SHOW(utimes("f", tv));
	ts[0] = (struct timespec){-5, 1};
	ts[1] = (struct timespec){1L << 33, 1};
	SHOW(utimensat(AT_FDCWD, "l", ts, AT_SYMLINK_NOFOLLOW));
	SHOW(utimensat(AT_FDCWD, "f", ts, 0x4000));
	SHOW(utimensat(AT_FDCWD, "none", ts, 0));
	SHOW(syscall(SYS_utimensat, fd, NULL, ts, 0));
	close(fd);
}

static void accesses(void)
{
	mkdir("ad", 0);
	put_file("af", "x");
	chmod("af", 0);
	SHOW(access("ad", R_OK | W_OK | X_OK));
	SHOW(access("af", R_OK | W_OK));
	SHOW(access("af", X_OK));
	chmod("af", 01);
	SHOW(access("af", X_OK));
	SHOW(access("af", 8));
	SHOW(access("none", F_OK));
	SHOW(faccessat(AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
	SHOW(syscall(SYS_faccessat2, AT_FDCWD, "l", F_OK, 1));
	/* effective against real ids */
	seteuid(1000);
	SHOW(access("secret", R_OK));
	SHOW(eaccess("secret", R_OK));
	seteuid(0);
}

int main(void)
{
	fs_begin();
	root_part();
	set_up();
	as_user(1000, 1000, owner_part);
	times();
	accesses();
	fs_end();
	return 0;
}
