/*
 * mount -t overlay by a root with CAP_SYS_ADMIN: layers, whiteouts, opaque
 * directories, copying up, what the upper tree holds afterwards.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "tests/guest/fs_util.h"

static void text(const char *name, const char *content)
{
	if (put_file(name, content) < 0)
		printf("cannot write %s: %s\n", name, strerrorname_np(errno));
}

static void say(const char *name)
{
	char buf[64] = "";
	struct stat st;
	int fd;

	if (lstat(name, &st) < 0) {
		printf("%s: %s\n", name, strerrorname_np(errno));
		return;
	}
	fd = S_ISREG(st.st_mode) ? open(name, O_RDONLY) : -1;
	if (fd >= 0)
		(void)!read(fd, buf, sizeof(buf) - 1);
	close(fd);
	printf("%s: mode %o uid %d rdev %ld%s%s\n", name, st.st_mode, st.st_uid, (long)st.st_rdev,
	       *buf ? " " : "", buf);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *dir)
{
	char *names[64];
	struct dirent *e;
	DIR *d = opendir(dir);
	int n = 0;

	if (!d) {
		printf("list %s: %s\n", dir, strerrorname_np(errno));
		return;
	}
	while ((e = readdir(d)) && n < 64)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			names[n++] = strdup(e->d_name);
	closedir(d);
	qsort(names, (size_t)n, sizeof(*names), by_name);
	printf("list %s:", dir);
	for (int i = 0; i < n; i++) {
		printf(" %s", names[i]);
		free(names[i]);
	}
	printf("\n");
}

static void tell_opaque(const char *name)
{
	char v[8] = "";
	long n = getxattr(name, "trusted.overlay.opaque", v, sizeof(v));

	printf("%s opaque: %s %s\n", name, ok(n), v);
}

static void make_layers(void)
{
	mkdir("l1", 0755);
	mkdir("l2", 0755);
	mkdir("l3", 0755);
	mkdir("up", 0750);
	mkdir("work", 0755);
	mkdir("m", 0755);
	text("l3/bottom", "3");
	text("l3/all", "3");
	text("l3/gone", "3");
	mkdir("l3/dir", 0755);
	text("l3/dir/a", "3");
	text("l3/dir/b", "3");
	mkdir("l3/opaque", 0755);
	text("l3/opaque/hidden", "3");
	mkdir("l3/becomes_file", 0755);
	text("l3/becomes_dir", "3");
	text("l2/all", "2");
	mknod("l2/gone", S_IFCHR, 0);
	mkdir("l2/dir", 0700);
	text("l2/dir/b", "2");
	text("l2/dir/c", "2");
	mkdir("l2/opaque", 0755);
	setxattr("l2/opaque", "trusted.overlay.opaque", "y", 1, 0);
	text("l2/opaque/seen", "2");
	text("l2/becomes_file", "2");
	mkdir("l2/becomes_dir", 0755);
	text("l1/all", "1");
	chmod("l1/all", 04755);
	symlink("all", "l1/link");
	mkfifo("l1/fifo", 0644);
	text("up/mine", "u");
}

static void bad_options(void)
{
	static const char *const options[] = {
	    "",
	    "lowerdir=l1",
	    "lowerdir=none:l1",
	    "lowerdir=l1,upperdir=up",
	    "lowerdir=l1,upperdir=up,workdir=up",
	    "lowerdir=l1,upperdir=up,workdir=up/inside",
	    "lowerdir=l1,upperdir=up,workdir=/proc",
	    "lowerdir=l1,upperdir=none,workdir=work",
	    "lowerdir=l1:l2/all",
	    "lowerdir=l1:l2,nonsense=1",
	    "upperdir=up,workdir=work",
	};

	mkdir("up/inside", 0755);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		printf("\"%s\": %s\n", options[i], ok(mount("o", "m", "overlay", 0, options[i])));
	rmdir("up/inside");
}

static void look(void)
{
	list("m");
	list("m/dir");
	list("m/opaque");
	say("m");
	say("m/all");
	say("m/gone");
	say("m/dir");
	say("m/dir/b");
	say("m/opaque/hidden");
	say("m/becomes_file");
	say("m/becomes_dir");
	say("m/link");
	say("m/fifo");
}

static void read_only(void)
{
	printf("read-only: %s\n", ok(mount("o", "m", "overlay", 0, "lowerdir=l1:l2:l3")));
	look();
	SHOW_OK(try_open("m/new", O_CREAT | O_WRONLY));
	SHOW_OK(unlink("m/all"));
	SHOW_OK(umount("m"));
}

static void change(void)
{
	struct stat before, after;

	stat("m/dir/a", &before);
	text("m/dir/a", "changed");
	stat("m/dir/a", &after);
	printf("same number: %d\n", before.st_ino == after.st_ino);
	text("m/dir/new", "n");
	SHOW_OK(unlink("m/dir/b"));
	SHOW_OK(unlink("m/bottom"));
	SHOW_OK(chown("m/all", 1000, 1000));
	SHOW_OK(rename("m/dir", "m/moved"));
	SHOW_OK(mkdir("m/fresh", 0755));
	SHOW_OK(rename("m/fresh", "m/fresh2"));
	SHOW_OK(unlink("m/becomes_file"));
	SHOW_OK(mkdir("m/becomes_file", 0755));
	text("m/becomes_file/x", "x");
	SHOW_OK(unlink("m/opaque/seen"));
	SHOW_OK(rmdir("m/opaque"));
	SHOW_OK(mkdir("m/opaque", 0755));
	list("m/opaque");
	SHOW_OK(rename("m/mine", "m/gone"));
	SHOW_OK(link("m/all", "m/all2"));
	SHOW_OK(mknod("m/null", S_IFCHR, 0));
	SHOW_OK(setxattr("m/fresh2", "user.x", "1", 1, 0));
	SHOW_OK(rename("m/fresh2", "m/opaque"));
}

static void writable(void)
{
	printf("writable: %s\n",
	       ok(mount("o", "m", "overlay", 0, "lowerdir=l1:l2:l3,upperdir=up,workdir=work")));
	look();
	change();
	look();
	/* The upper tree is to be seen by its own name meanwhile. */
	list("up");
	say("up/gone");
	SHOW_OK(umount("m"));
	list("up");
	list("up/dir");
	say("up/bottom");
	say("up/dir/b");
	say("up/dir");
	tell_opaque("up/opaque");
	tell_opaque("up/becomes_file");
	tell_opaque("up/dir");
	list("work");
	printf("again: %s\n",
	       ok(mount("o", "m", "overlay", 0, "lowerdir=l1:l2:l3,upperdir=up,workdir=work")));
	look();
	list("m/becomes_file");
	say("m/dir/a");
	SHOW_OK(rmdir("m/dir"));
	for (int i = 0; i < 2; i++) {
		unlink("m/dir/a");
		unlink("m/dir/c");
		unlink("m/dir/new");
		SHOW_OK(rmdir("m/dir"));
	}
	SHOW_OK(umount("m"));
	say("up/dir");
}

/* Names change in the upper tree, which was looked at before. */
static void coherent(void)
{
	printf("mount: %s\n",
	       ok(mount("o", "m", "overlay", 0, "lowerdir=l1,upperdir=up2,workdir=work2")));
	say("up2/f");
	text("m/f", "f");
	say("up2/f");
	SHOW_OK(unlink("m/f"));
	say("up2/f");
	mkdir("m/d", 0755);
	say("up2/d");
	SHOW_OK(rename("m/d", "m/e"));
	say("up2/d");
	say("up2/e");
	SHOW_OK(rmdir("m/e"));
	say("up2/e");
	SHOW_OK(umount("m"));
}

/* The end of its line in /proc/self/mounts. */
static void show_mount(void)
{
	FILE *f = fopen("/proc/self/mounts", "r");
	char line[1024];

	while (fgets(line, sizeof(line), f)) {
		char *at = strstr(line, ",lowerdir=");

		if (at && strncmp(line, "o ", 2) == 0)
			printf("%.19s\n", at);
	}
	fclose(f);
}

static void escaped(void)
{
	mkdir("a:b", 0755);
	text("a:b/colon", "c");
	printf("escaped: %s\n", ok(mount("o", "m", "overlay", 0, "lowerdir=l1:a\\:b")));
	say("m/colon");
	SHOW_OK(umount("m"));
	mkdir("new\nline", 0755);
	printf("newline: %s\n", ok(mount("o", "m", "overlay", 0, "lowerdir=l1:new\nline")));
	show_mount();
	SHOW_OK(umount("m"));
}

int main(void)
{
	fs_begin();
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		printf("no mount namespace: %s\n", strerrorname_np(errno));
	mkdir("t", 0755);
	if (mount("t", "t", "tmpfs", 0, "size=10m") || chdir("t"))
		printf("no tmpfs: %s\n", strerrorname_np(errno));
	make_layers();
	bad_options();
	read_only();
	writable();
	mkdir("up2", 0755);
	mkdir("work2", 0755);
	coherent();
	escaped();
	chdir(fs_dir);
	umount2("t", MNT_DETACH);
	fs_end();
	return 0;
}
