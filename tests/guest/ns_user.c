/* User namespaces: maps and their rules, identities seen from inside, capabilities, limits. */
#include <grp.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/xattr.h>

#include "ns_util.h"

static void show_ids(const char *what)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	printf("%s: uid %u %u %u gid %u %u %u\n", what, r, e, s, rg, eg, sg);
}

static void show_caps(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	syscall(SYS_capget, &h, d);
	printf("caps p %08x e %08x i %08x bset chown %d\n", d[0].permitted, d[0].effective,
	       d[0].inheritable, prctl(PR_CAPBSET_READ, CAP_CHOWN, 0, 0, 0));
}

static void self_map(void)
{
	struct stat st;

	umask(022);
	result("unshare", unshare(CLONE_NEWUSER));
	show_ids("before");
	show_caps();
	cat("/proc/self/uid_map");
	cat("/proc/self/setgroups");
	result("setuid unmapped", setuid(0));
	result("gid_map before deny", put("/proc/self/gid_map", "0 12345 1"));
	result("uid_map of another", put("/proc/self/uid_map", "0 1 1"));
	result("uid_map of two", put("/proc/self/uid_map", "0 12345 2"));
	result("uid_map overlap", put("/proc/self/uid_map", "0 12345 1\n0 12346 1\n"));
	result("uid_map junk", put("/proc/self/uid_map", "0 x 1"));
	result("uid_map empty", put("/proc/self/uid_map", "\n"));
	result("uid_map", put("/proc/self/uid_map", "0 12345 1\n"));
	result("uid_map again", put("/proc/self/uid_map", "0 12345 1\n"));
	result("setgroups junk", put("/proc/self/setgroups", "maybe"));
	result("setgroups deny", put("/proc/self/setgroups", "deny"));
	result("setgroups allow", put("/proc/self/setgroups", "allow"));
	result("gid_map", put("/proc/self/gid_map", "0 12345 1"));
	show_ids("after");
	cat("/proc/self/uid_map");
	cat("/proc/self/gid_map");
	cat("/proc/self/projid_map");
	result("setgroups", setgroups(0, NULL));
	result("seteuid unmapped", seteuid(1));
	result("setuid 0", setuid(0));
	stat("/", &st);
	printf("/ belongs to %u %u\n", st.st_uid, st.st_gid);
	result("chown of /", chown("/", 0, 0));
	result("chmod of /etc", chmod("/etc", 0777));
	result("mknod", mknod("/tmp/ns-user-node", S_IFCHR | 0666, 0x103));
	result("sethostname of outer", sethostname("x", 1));
	result("mount in outer", mount("x", "/mnt", "tmpfs", 0, ""));
	result("unshare uts", unshare(CLONE_NEWUTS));
	result("sethostname", sethostname("x", 1));
	result("chroot", chroot("/"));
	result("kill init", kill(getppid(), 0));
}

static void files(void)
{
	char dir[] = "/tmp/ns-user.XXXXXX", path[64];
	struct stat st;
	int fd;

	mkdtemp(dir);
	snprintf(path, sizeof(path), "%s/f", dir);
	result("unshare", unshare(CLONE_NEWUSER));
	put("/proc/self/setgroups", "deny");
	result("uid_map", put("/proc/self/uid_map", "7 12345 1"));
	result("gid_map", put("/proc/self/gid_map", "8 12345 1"));
	fd = open(path, O_CREAT | O_RDWR, 0600);
	fstat(fd, &st);
	printf("new file %u %u\n", st.st_uid, st.st_gid);
	result("chown same", fchown(fd, 7, 8));
	result("chown unmapped", fchown(fd, 0, 0));
	result("chown outer number", fchown(fd, 12345, 12345));
	result("chmod setuid", fchmod(fd, 04755));
	result("user xattr", fsetxattr(fd, "trusted.x", "1", 1, 0));
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void show_socket_ids(void)
{
	int s[2];
	struct ucred c;
	socklen_t n = sizeof(c);

	unshare(CLONE_NEWUSER);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 12345 1");
	put("/proc/self/gid_map", "0 12345 1");
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &c, &n);
	printf("peercred %d %u %u\n", c.pid == getpid(), c.uid, c.gid);
}

static int pipes[2][2];

static void sync_to(int which)
{
	char c = 0;

	if (write(pipes[which][1], &c, 1) != 1)
		_exit(98);
}
static void sync_from(int which)
{
	char c;

	if (read(pipes[which][0], &c, 1) != 1)
		_exit(97);
}

/* The parent maps a range for its child. */
static void mapped_by_parent(void)
{
	char path[64];
	siginfo_t info;
	pid_t pid;

	if (pipe(pipes[0]) || pipe(pipes[1]))
		return;
	pid = fork();
	if (pid == 0) {
		gid_t groups[] = {5, 6}, got[4];

		unshare(CLONE_NEWUSER);
		sync_to(0);
		sync_from(1);
		show_ids("mapped");
		result("setgroups", setgroups(2, groups));
		printf("groups %d\n", getgroups(4, got));
		result("setresgid", setresgid(9, 9, 9));
		result("setresuid", setresuid(9, 9, 9));
		show_ids("as 9");
		show_caps();
		_exit(3);
	}
	sync_from(0);
	snprintf(path, sizeof(path), "/proc/%d/gid_map", pid);
	result("gid_map", put(path, "0 100000 1000\n"));
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	result("uid_map", put(path, "0 0 1\n1 100000 1000\n"));
	fflush(stdout);
	sync_to(1);
	waitid(P_PID, pid, &info, WEXITED);
	printf("child was user %d, status %d\n", info.si_uid, info.si_status);
}

static void nested(void)
{
	int depth = 0;

	while (unshare(CLONE_NEWUSER) == 0) {
		put("/proc/self/setgroups", "deny");
		if (put("/proc/self/uid_map", depth ? "0 0 1" : "0 12345 1") < 0 ||
		    put("/proc/self/gid_map", depth ? "0 0 1" : "0 12345 1") < 0)
			break;
		depth++;
	}
	result("last", -1);
	printf("levels %d\n", depth);
}

static void ioctls(void)
{
	int user = open("/proc/self/ns/user", O_RDONLY), uts, owner;
	uid_t uid = 1;

	result("type", ioctl(user, NS_GET_NSTYPE));
	result("owner of the first", ioctl(user, NS_GET_PARENT));
	unshare(CLONE_NEWUSER | CLONE_NEWUTS);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 12345 1");
	close(user);
	user = open("/proc/self/ns/user", O_RDONLY);
	uts = open("/proc/self/ns/uts", O_RDONLY);
	result("type", ioctl(uts, NS_GET_NSTYPE));
	owner = ioctl(uts, NS_GET_USERNS);
	struct stat a, b;
	fstat(user, &a);
	fstat(owner, &b);
	printf("the uts namespace is ours: %d\n", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	result("parent", ioctl(user, NS_GET_PARENT));
	result("owner's uid", ioctl(user, NS_GET_OWNER_UID, &uid));
	printf("uid %u\n", uid);
	result("parent of a uts", ioctl(uts, NS_GET_PARENT));
	result("owner's uid of a uts", ioctl(uts, NS_GET_OWNER_UID, &uid));
	result("setns to own user", setns(user, 0));
	result("setns wrong type", setns(uts, CLONE_NEWUSER));
	result("setns", setns(uts, CLONE_NEWUTS));
}

static void limits(void)
{
	unshare(CLONE_NEWUSER);
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 12345 1");
	put("/proc/self/gid_map", "0 12345 1");
	cat("/proc/sys/user/max_uts_namespaces");
	result("set", put("/proc/sys/user/max_uts_namespaces", "1"));
	cat("/proc/sys/user/max_uts_namespaces");
	result("one", unshare(CLONE_NEWUTS));
	if (fork() == 0) {
		result("two", unshare(CLONE_NEWUTS));
		_exit(0);
	}
	wait(NULL);
	result("others", unshare(CLONE_NEWIPC));
	result("user", (put("/proc/sys/user/max_user_namespaces", "0"), unshare(CLONE_NEWUSER)));
}

static void in_chroot(void)
{
	result("chroot", chroot("/tmp"));
	result("unshare", unshare(CLONE_NEWUSER));
}

static void bad_flags(void)
{
	result("unknown", unshare(0x10000000 << 3 | 1));
	result("uts", unshare(CLONE_NEWUTS));
	result("net", unshare(CLONE_NEWNET));
	result("pid", unshare(CLONE_NEWPID));
	result("mnt", unshare(CLONE_NEWNS));
	result("setns of a pipe", (pipe(pipes[0]), setns(pipes[0][0], 0)));
	result("setns of nothing", setns(99, 0));
}

int main(void)
{
	in_child("own map", 1, self_map);
	in_child("files", 1, files);
	in_child("sockets", 1, show_socket_ids);
	in_child("map by the parent", 0, mapped_by_parent);
	in_child("depth", 1, nested);
	in_child("ioctls", 1, ioctls);
	in_child("limits", 1, limits);
	in_child("chroot", 0, in_chroot);
	in_child("flags", 1, bad_flags);
	return 0;
}
