/* Set-user-ID, file capabilities, no_new_privs, capability sets across execve. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static void show(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	syscall(SYS_capget, &h, d);
	/* Only CHOWN, KILL and SETUID: what else root has depends on the container. */
	printf(
	    "uid %d %d %d gid %d %d %d secure %lu dumpable %d nnp %d caps p %x e %x i %x amb %d\n",
	    r, e, s, rg, eg, sg, getauxval(AT_SECURE), prctl(PR_GET_DUMPABLE),
	    prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), d[0].permitted & 0xa1, d[0].effective & 0xa1,
	    d[0].inheritable & 0xa1, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
	exit(0);
}

static void run(const char *what, const char *path, int uid, void (*prepare)(void))
{
	char *argv[] = {"x", NULL}, *env[] = {"SHOW=1", NULL};

	printf("%s: ", what);
	fflush(stdout);
	if (fork() == 0) {
		if (prepare)
			prepare();
		if (uid && (setgid((gid_t)uid) || setuid((uid_t)uid)))
			_exit(1);
		execve(path, argv, env);
		printf("%s\n", strerrorname_np(errno));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

static void nnp(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

static void noroot(void)
{
	prctl(PR_SET_SECUREBITS, 1);
}

static void ambient(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	syscall(SYS_capget, &h, d);
	d[0].inheritable |= 1u << CAP_KILL;
	syscall(SYS_capset, &h, d);
	prctl(PR_SET_KEEPCAPS, 1);
	if (setgid(1234) || setuid(1234))
		_exit(1);
	d[0].permitted = d[0].effective = d[0].inheritable = 1u << CAP_KILL;
	d[1].permitted = d[1].effective = d[1].inheritable = 0;
	syscall(SYS_capset, &h, d);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0);
}

static void drop_bound(void)
{
	prctl(PR_CAPBSET_DROP, CAP_CHOWN, 0, 0, 0);
}

static void set_caps(const char *path, unsigned permitted, unsigned inheritable, int effective)
{
	struct vfs_cap_data d = {.magic_etc = VFS_CAP_REVISION_2 |
					      (effective ? VFS_CAP_FLAGS_EFFECTIVE : 0)};

	d.data[0].permitted = permitted;
	d.data[0].inheritable = inheritable;
	printf("set caps: %s\n", setxattr(path, "security.capability", &d, sizeof(d), 0)
				     ? strerrorname_np(errno)
				     : "ok");
}

static void copy(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, (size_t)n) != n)
			abort();
	close(in);
	close(out);
}

int main(void)
{
	if (getenv("SHOW"))
		show();
	chmod(".", 0755);
	copy("/proc/self/exe", "prog");
	run("root", "./prog", 0, NULL);
	run("user", "./prog", 1234, NULL);
	run("root, noroot", "./prog", 0, noroot);
	run("ambient", "./prog", 0, ambient);
	run("bounding set", "./prog", 0, drop_bound);
	chown("prog", 0, 0);
	chmod("prog", 04755);
	run("setuid root", "./prog", 1234, NULL);
	run("setuid root, no_new_privs", "./prog", 1234, nnp);
	run("setuid root of root", "./prog", 0, NULL);
	chown("prog", 4321, 4322);
	chmod("prog", 06755);
	run("setuid setgid user", "./prog", 1234, NULL);
	run("setuid to user as root", "./prog", 0, NULL);
	chmod("prog", 02745);
	run("setgid without x", "./prog", 1234, NULL);
	chmod("prog", 0755);
	set_caps("prog", 1u << CAP_KILL, 0, 1);
	run("file capability", "./prog", 1234, NULL);
	run("file capability, no_new_privs", "./prog", 1234, nnp);
	run("file capability as root", "./prog", 0, NULL);
	set_caps("prog", 1u << CAP_KILL, 0, 0);
	run("permitted only", "./prog", 1234, NULL);
	set_caps("prog", 1u << CAP_CHOWN, 0, 1);
	run("outside the bounding set", "./prog", 1234, drop_bound);
	set_caps("prog", 0, 1u << CAP_KILL, 1);
	run("inheritable", "./prog", 0, ambient);
	chmod("prog", 0711);
	chown("prog", 0, 0);
	run("not readable", "./prog", 1234, NULL);
	return 0;
}
