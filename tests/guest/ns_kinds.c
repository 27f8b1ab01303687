/* UTS, IPC, network, cgroup, time and mount namespaces; their files; setns by pidfd. */
#include <linux/mount.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <time.h>

#include "ns_util.h"

static void show_host(const char *what)
{
	struct utsname u;

	uname(&u);
	printf("%s: %s\n", what, u.nodename);
}

static void uts(void)
{
	char before[64], after[64];
	int old = open("/proc/self/ns/uts", O_RDONLY);

	ns_name("uts", before, sizeof(before));
	sethostname("ours", 4);
	result("unshare", unshare(CLONE_NEWUTS));
	ns_name("uts", after, sizeof(after));
	printf("another: %d\n", strcmp(before, after) != 0);
	show_host("inherited");
	sethostname("inner", 5);
	cat("/proc/sys/kernel/hostname");
	result("back", setns(old, 0));
	show_host("outer");
	ns_name("uts", after, sizeof(after));
	printf("the same: %d\n", strcmp(before, after) == 0);
}

static void ipc(void)
{
	int old = open("/proc/self/ns/ipc", O_RDONLY), id = shmget(4711, 8192, IPC_CREAT | 0600),
	    in;
	char *p = shmat(id, NULL, 0);

	strcpy(p, "outer");
	result("unshare", unshare(CLONE_NEWIPC));
	result("key", shmget(4711, 0, 0));
	result("id", shmat(id, NULL, 0) == (void *)-1 ? -1 : 0);
	printf("still mapped: %s\n", p);
	in = shmget(4711, 4096, IPC_CREAT | 0600);
	p = shmat(in, NULL, 0);
	strcpy(p, "inner");
	result("back", setns(old, CLONE_NEWIPC));
	printf("outlives its namespace: %s\n", p);
	result("found again", shmget(4711, 0, 0) == id ? 0 : -1);
	result("removed", shmctl(id, IPC_RMID, NULL));
	result("unshare with undo",
	       (int)syscall(SYS_clone, CLONE_NEWIPC | CLONE_SYSVSEM, 0, 0, 0, 0));
}

static int abstract(const char *name, int listening)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = (socklen_t)(sizeof(a.sun_family) + 1 + strlen(name));
	int s = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(a.sun_path + 1, name);
	if (!listening)
		return connect(s, (struct sockaddr *)&a, len);
	return bind(s, (struct sockaddr *)&a, len) ?: listen(s, 1);
}

static int port(uint16_t nr)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
				.sin_port = htons(nr),
				.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return bind(socket(AF_INET, SOCK_DGRAM, 0), (struct sockaddr *)&a, sizeof(a));
}

static void net(void)
{
	int old = open("/proc/self/ns/net", O_RDONLY), s = socket(AF_INET, SOCK_DGRAM, 0);
	struct ifreq r = {.ifr_name = "lo"};
	int up;

	result("name", abstract("ns-kinds", 1));
	result("found", abstract("ns-kinds", 0));
	result("port", port(34567));
	result("taken", port(34567));
	result("unshare", unshare(CLONE_NEWNET));
	result("name inside", abstract("ns-kinds", 0));
	up = socket(AF_INET, SOCK_DGRAM, 0);
	r.ifr_flags = IFF_UP;
	result("lo up", ioctl(up, SIOCSIFFLAGS, &r));
	result("port inside", port(34567));
	result("low port", port(80));
	result("back", setns(old, CLONE_NEWNET));
	result("found", abstract("ns-kinds", 0));
	close(s);
}

static void unprivileged_net(void)
{
	result("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNET));
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	result("lo up", ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &r));
	result("low port", port(80));
}

static void cgroup(void)
{
	result("unshare", unshare(CLONE_NEWCGROUP));
	FILE *f = fopen("/proc/self/cgroup", "r");
	char line[256];
	int all = 1;

	while (f && fgets(line, sizeof(line), f))
		all &= !strcmp(strrchr(line, ':'), ":/\n");
	printf("seen from inside: %d\n", all);
}

static void mnt(void)
{
	result("unshare", unshare(CLONE_NEWUSER | CLONE_NEWNS));
	put("/proc/self/setgroups", "deny");
	put("/proc/self/uid_map", "0 12345 1");
	put("/proc/self/gid_map", "0 12345 1");
	result("private", mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	result("tmpfs", mount("t", "/mnt", "tmpfs", 0, "mode=750"));
	struct stat st;
	stat("/mnt", &st);
	printf("owner %u %u mode %o\n", st.st_uid, st.st_gid, st.st_mode);
	result("file", open("/mnt/f", O_CREAT | O_WRONLY, 0644) < 0 ? -1 : 0);
	result("device", mknod("/mnt/null", S_IFCHR | 0666, 0x103));
	result("bind", mount("/mnt", "/tmp", NULL, MS_BIND, NULL));
	result("umount", umount2("/tmp", 0));
	result("umount of /proc", umount2("/proc", MNT_DETACH));
	result("alone, of what has locked mounts", mount("/", "/tmp", NULL, MS_BIND, NULL));
	result("with them", mount("/", "/tmp", NULL, MS_BIND | MS_REC, NULL));
	result("ramfs", mount("t", "/mnt", "ramfs", 0, ""));
	result("uid=1", mount("t", "/mnt", "tmpfs", 0, "uid=1"));
}

static void bound_file(void)
{
	struct stat a, b;
	int fd;

	unshare(CLONE_NEWNS);
	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount("t", "/mnt", "tmpfs", 0, "");
	close(open("/mnt/uts", O_CREAT | O_WRONLY, 0600));
	pid_t pid = fork();
	if (pid == 0) {
		unshare(CLONE_NEWUTS);
		sethostname("kept", 4);
		result("bind", mount("/proc/self/ns/uts", "/mnt/uts", NULL, MS_BIND, NULL));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	fd = open("/mnt/uts", O_RDONLY);
	result("setns", setns(fd, CLONE_NEWUTS));
	show_host("kept");
	fstat(fd, &a);
	stat("/proc/self/ns/uts", &b);
	printf("one file: %d\n", a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	result("write open", open("/proc/self/ns/uts", O_RDWR));
}

static void pidfds(void)
{
	int up[2], fd;
	char c = 0;
	pid_t pid;

	if (pipe(up))
		return;
	pid = fork();
	if (pid == 0) {
		unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET);
		sethostname("several", 7);
		(void)!write(up[1], &c, 1);
		pause();
	}
	(void)!read(up[0], &c, 1);
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	result("no flags", setns(fd, 0));
	result("unknown", setns(fd, CLONE_VM));
	result("several", setns(fd, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWNET));
	show_host("host");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	result("of the dead", setns(fd, CLONE_NEWUTS));
}

static long seconds(clockid_t id)
{
	struct timespec ts;

	syscall(SYS_clock_gettime, id, &ts);
	return ts.tv_sec;
}

static void times(void)
{
	long before = seconds(CLOCK_MONOTONIC), boot = seconds(CLOCK_BOOTTIME);
	struct timespec ts;
	int status;

	result("unshare", unshare(CLONE_NEWTIME));
	result("junk", put("/proc/self/timens_offsets", "realtime 1 0"));
	result("offsets",
	       put("/proc/self/timens_offsets", "monotonic 1000000 0\nboottime 2000000 5"));
	cat("/proc/self/timens_offsets");
	printf("own clock stays: %d\n", seconds(CLOCK_MONOTONIC) - before < 100);
	pid_t pid = fork();
	if (pid == 0) {
		printf("monotonic ahead %d boottime ahead %d\n",
		       (seconds(CLOCK_MONOTONIC) - before) / 1000000 == 1,
		       (seconds(CLOCK_BOOTTIME) - boot) / 2000000 == 1);
		syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
		ts.tv_nsec += 1000000;
		if (ts.tv_nsec >= 1000000000)
			ts.tv_sec++, ts.tv_nsec -= 1000000000;
		result("sleep to a time", (int)syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC,
						       TIMER_ABSTIME, &ts, NULL));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	result("too late", put("/proc/self/timens_offsets", "monotonic 5 0"));
}

int main(void)
{
	in_child("uts", 0, uts);
	in_child("ipc", 0, ipc);
	in_child("net", 0, net);
	in_child("net", 1, unprivileged_net);
	in_child("cgroup", 0, cgroup);
	in_child("mnt", 1, mnt);
	in_child("bound file", 0, bound_file);
	in_child("pidfds", 0, pidfds);
	in_child("time", 0, times);
	return 0;
}
