/* Mounts in a namespace of one's own: tmpfs, bind, move, remount, propagation, umount,
 * pivot_root, and what mountinfo says. */
#include <sched.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include "tests/guest/fs_util.h"

/* The lines of mountinfo below the test's directory, without ids and device numbers. */
static void info(const char *what)
{
	char line[1024], groups[16][16];
	FILE *f = fopen("/proc/self/mountinfo", "r");
	int ngroups = 0;

	printf("-- %s\n", what);
	while (f && fgets(line, sizeof(line), f)) {
		char root[256], at[256], opts[256], rest[512];

		if (sscanf(line, "%*d %*d %*s %255s %255s %255s %511[^\n]", root, at, opts, rest) !=
		    4)
			continue;
		if (strncmp(at, fs_dir, strlen(fs_dir)))
			continue;
		printf("%s %s %s", root, at + strlen(fs_dir), opts);
		for (char *p = strtok(rest, " "); p; p = strtok(NULL, " ")) {
			char *colon = strchr(p, ':');
			int g = 0;

			if (!strcmp(p, "-"))
				break;
			if (!colon) {
				printf(" %s", p);
				continue;
			}
			while (g < ngroups && strcmp(groups[g], colon + 1))
				g++;
			if (g == ngroups)
				strcpy(groups[ngroups++], colon + 1);
			printf(" %.*s:%d", (int)(colon - p), p, g);
		}
		printf("\n");
	}
	if (f)
		fclose(f);
}

static const char *opt = "size=1m,mode=755";

static void plain(void)
{
	struct statfs s;
	struct stat st;

	mkdir("m", 0700);
	SHOW(mount("none", "m", "tmpfs", 0, "size=1m,mode=750,uid=3,gid=4"));
	stat("m", &st);
	printf("%o %u %u\n", st.st_mode, st.st_uid, st.st_gid);
	statfs("m", &s);
	printf("type %lx blocks %ld\n", (long)s.f_type, (long)s.f_blocks);
	put_file("m/f", "x");
	SHOW(rename("m/f", "f"));
	SHOW(link("m/f", "f"));
	SHOW(rmdir("m"));
	SHOW(mount("none", "none", "tmpfs", 0, NULL));
	SHOW(mount("none", "m", "nofs", 0, NULL));
	SHOW(mount("none", "m", NULL, 0, NULL));
	SHOW(mount("none", "m", "tmpfs", 0, "size=x"));
	SHOW(mount("none", "m/f", "tmpfs", 0, NULL));
	SHOW(umount2("m/f", 0));
	SHOW(umount2("m", 0x100));
	int fd = open("m/f", O_RDONLY);

	SHOW(umount2("m", 0));
	SHOW(umount2("m", MNT_DETACH));
	SHOW(access("m/f", F_OK));
	SHOW(umount2("m", 0));
	close(fd);
	mount("none", "m", "tmpfs", 0, opt);
	SHOW(umount2("m", MNT_EXPIRE));
	SHOW(umount2("m", MNT_EXPIRE));
	SHOW(umount2("m", MNT_EXPIRE | MNT_DETACH));
}

static void flags(void)
{
	struct statvfs v;

	mount("none", "m", "tmpfs", MS_NODEV | MS_NOEXEC | MS_NOSUID, opt);
	info("flags");
	put_file("m/prog", "#!/bin/true\n");
	chmod("m/prog", 0755);
	SHOW(access("m/prog", X_OK));
	SHOW(execl("m/prog", "prog", NULL));
	mknod("m/null", S_IFCHR | 0666, 0x103);
	SHOW(try_open("m/null", O_RDONLY));
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(put_file("m/x", "x"));
	SHOW(mkdir("m/x", 0755));
	SHOW(unlink("m/prog"));
	SHOW(chmod("m/prog", 0));
	SHOW(access("m/prog", W_OK));
	SHOW(rename("m/prog", "m/y"));
	SHOW(truncate("m/prog", 0));
	statvfs("m", &v);
	printf("readonly %d\n", !!(v.f_flag & ST_RDONLY));
	info("readonly");
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND, NULL));
	int fd = open("m/w", O_CREAT | O_WRONLY, 0644);

	SHOW(mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	close(fd);
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(mount(NULL, "m/..", NULL, MS_REMOUNT | MS_BIND, NULL));
	umount("m");
}

static void reconfigure(void)
{
	struct statfs s;

	mount("none", "m", "tmpfs", 0, opt);
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT, "size=2m"));
	statfs("m", &s);
	printf("blocks %ld\n", (long)s.f_blocks);
	int fd = open("m/f", O_CREAT | O_RDWR, 0644);

	SHOW(ftruncate(fd, 1 << 20));
	SHOW(fallocate(fd, 0, 0, 1 << 20));
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT, "size=64k"));
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT, "size=x"));
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	close(fd);
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	SHOW(mkdir("m/d", 0755));
	/* another mount of the same file system is read-only too */
	mount("m", "b", NULL, MS_BIND, NULL);
	SHOW(mkdir("b/d", 0755));
	SHOW(mount(NULL, "m", NULL, MS_REMOUNT, NULL));
	SHOW(mkdir("m/d", 0755));
	umount("b");
	umount("m");
}

static void binds(void)
{
	char buf[64];

	mkdir("a", 0755);
	mkdir("a/in", 0755);
	mkdir("b", 0755);
	put_file("a/f", "one");
	put_file("g", "two");
	SHOW(mount("a", "b", NULL, MS_BIND, NULL));
	SHOW(access("b/f", F_OK));
	SHOW(mount("g", "b", NULL, MS_BIND, NULL));
	SHOW(mount("a", "g", NULL, MS_BIND, NULL));
	SHOW(mount("a/f", "g", NULL, MS_BIND, NULL));
	int fd = open("g", O_RDONLY);

	printf("%.3s\n", read(fd, buf, 3) == 3 ? buf : "?");
	close(fd);
	SHOW(unlink("g"));
	SHOW(rename("g", "h"));
	SHOW(rename("a", "c"));
	info("binds");
	SHOW(umount("g"));
	SHOW(umount("b"));
	rename("c", "a");
	/* what lies below comes along only if asked */
	mount("none", "a/in", "tmpfs", 0, opt);
	put_file("a/in/deep", "");
	SHOW(mount("a", "b", NULL, MS_BIND, NULL));
	SHOW(access("b/in/deep", F_OK));
	SHOW(umount("b"));
	SHOW(mount("a", "b", NULL, MS_BIND | MS_REC, NULL));
	SHOW(access("b/in/deep", F_OK));
	SHOW(umount("b"));
	SHOW(umount2("b", MNT_DETACH));
	/* stacked */
	mount("none", "b", "tmpfs", 0, opt);
	put_file("b/1", "");
	mount("none", "b", "tmpfs", 0, opt);
	SHOW(access("b/1", F_OK));
	umount("b");
	SHOW(access("b/1", F_OK));
	/* moving */
	SHOW(mount("b", "m", NULL, MS_MOVE, NULL));
	SHOW(access("m/1", F_OK));
	SHOW(access("b/1", F_OK));
	SHOW(mount("b", "m", NULL, MS_MOVE, NULL));
	mkdir("m/sub", 0755);
	SHOW(mount("m", "m/sub", NULL, MS_MOVE, NULL));
	umount("m");
	SHOW(umount("a/in"));
}

static void propagation(void)
{
	mkdir("s", 0755);
	mkdir("t", 0755);
	mkdir("u", 0755);
	mount("none", "s", "tmpfs", 0, opt);
	SHOW(mount(NULL, "s", NULL, MS_SHARED, NULL));
	SHOW(mount(NULL, "s", NULL, MS_SHARED | MS_PRIVATE, NULL));
	SHOW(mount("s", "t", NULL, MS_BIND, NULL));
	SHOW(mount("s", "u", NULL, MS_BIND, NULL));
	SHOW(mount(NULL, "u", NULL, MS_SLAVE, NULL));
	mkdir("s/x", 0755);
	SHOW(mount("none", "s/x", "tmpfs", 0, opt));
	info("shared and slave");
	SHOW(umount("t/x"));
	info("gone everywhere");
	mkdir("s/y", 0755);
	SHOW(mount("none", "u/y", "tmpfs", 0, opt));
	SHOW(mount(NULL, "u/y", NULL, MS_UNBINDABLE, NULL));
	SHOW(mount("u/y", "b", NULL, MS_BIND, NULL));
	info("the slave keeps it to itself");
	umount("u/y");
	SHOW(mount(NULL, "t", NULL, MS_PRIVATE, NULL));
	SHOW(mount("none", "s/x", "tmpfs", 0, opt));
	info("private");
	umount("s/x");
	umount("u");
	umount("t");
	/* a group that takes itself in */
	SHOW(mount("s", "t", NULL, MS_BIND, NULL));
	SHOW(mount("s", "s/y", NULL, MS_BIND, NULL));
	info("onto itself");
	SHOW(umount2("t", MNT_DETACH));
	SHOW(umount2("s", MNT_DETACH));
	info("all gone");
}

static void pivot(void)
{
	char buf[256];

	mkdir("root", 0755);
	SHOW(syscall(SYS_pivot_root, "root", "root"));
	mount("none", "root", "tmpfs", 0, opt);
	mkdir("root/old", 0755);
	put_file("root/here", "");
	SHOW(syscall(SYS_pivot_root, "root", "a"));
	SHOW(syscall(SYS_pivot_root, "root/here", "root/old"));
	SHOW(syscall(SYS_pivot_root, "root", "root/old"));
	SHOW(chdir("/"));
	SHOW(syscall(SYS_getcwd, buf, 256));
	SHOW(access("/here", F_OK));
	snprintf(buf, sizeof(buf), "/old%s/root", fs_dir);
	SHOW(access(buf, F_OK));
	SHOW(umount2("/old", MNT_DETACH));
	SHOW(access(buf, F_OK));
	SHOW(rmdir("/old"));
}

int main(void)
{
	fs_begin();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("no mounts: %s\n", res(-1));
		return 1;
	}
	/* A tree of our own, so that the rest does not matter. */
	SHOW(mount("none", fs_dir, "tmpfs", 0, "size=8m,mode=755"));
	chdir(fs_dir);
	plain();
	flags();
	mkdir("b", 0755);
	reconfigure();
	binds();
	propagation();
	fflush(stdout);
	if (fork() == 0) {
		unshare(CLONE_NEWNS);
		pivot();
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	SHOW(access("root", F_OK));
	chdir("/");
	umount2(fs_dir, MNT_DETACH);
	rmdir(fs_dir);
	return 0;
}
