/*
 * What an unprivileged user gains by being root of namespaces of his own: nothing
 * over what was there before. Each line is an attempt; the program prints those
 * that should have been refused and were not, and fails then.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define USER 12345

static int bad;
static char dir[] = "/tmp/ns-escape.XXXXXX";
static pid_t root_task;
static int root_ns[8];
static const char *const kinds[] = {"user", "mnt", "uts", "ipc", "net", "pid", "cgroup", "time"};

static void refused(const char *what, long r)
{
	if (r >= 0) {
		printf("GOT %s\n", what);
		bad++;
	}
}

static long put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	long r = fd < 0 ? -1 : write(fd, text, strlen(text));

	if (fd >= 0)
		close(fd);
	return r;
}

static void become_root_inside(void)
{
	if (setgroups(0, NULL) || setresgid(USER, USER, USER) || setresuid(USER, USER, USER))
		exit(99);
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC |
		    CLONE_NEWNET | CLONE_NEWCGROUP))
		exit(98);
	refused("a map of root", put("/proc/self/uid_map", "0 0 1"));
	refused("a map of all", put("/proc/self/uid_map", "0 0 4294967295"));
	refused("a group map with setgroups", put("/proc/self/gid_map", "0 12345 1"));
	if (put("/proc/self/setgroups", "deny") < 0 || put("/proc/self/uid_map", "0 12345 1") < 0 ||
	    put("/proc/self/gid_map", "0 12345 1") < 0)
		exit(97);
	if (fork()) {
		int status;

		wait(&status);
		exit(WIFEXITED(status) ? WEXITSTATUS(status) : 96);
	}
}

static void files(void)
{
	char path[128];
	struct stat st;
	int fd;

	snprintf(path, sizeof(path), "%s/secret", dir);
	refused("read of root's file", open(path, O_RDONLY));
	refused("write of root's file", open(path, O_WRONLY));
	refused("chown of root's file", chown(path, 0, 0));
	refused("chmod of root's file", chmod(path, 0777));
	refused("unlink in root's directory", unlink(path));
	refused("times of root's file",
		utimensat(AT_FDCWD, path, (struct timespec[2]){{1, 0}, {1, 0}}, 0));
	refused("xattr on root's file", setxattr(path, "user.x", "1", 1, 0));
	refused("trusted xattr on own file", setxattr("/tmp", "trusted.x", "1", 1, 0));
	snprintf(path, sizeof(path), "/tmp/ns-escape-own.%d", getppid());
	fd = open(path, O_CREAT | O_RDWR, 0755);
	refused("capabilities on own file",
		fsetxattr(fd, "security.capability",
			  "\1\0\0\2\377\377\377\377\0\0\0\0\377\377\377\377\0\0\0\0", 20, 0));
	refused("own file to outer root", fchown(fd, 0x7fffffff, 0));
	fstat(fd, &st);
	if (st.st_uid)
		bad++, printf("GOT a file of another\n");
	refused("device", mknod("/tmp/ns-escape-dev", S_IFCHR | 0666, 0x103));
	refused("block device", mknod("/tmp/ns-escape-dev", S_IFBLK | 0666, 0x800));
	unlink(path);
}

static void mounts(void)
{
	static const char *const fs[] = {"ext4",     "xfs",	   "overlay", "9p",    "nfs",
					 "devtmpfs", "securityfs", "debugfs", "gofer", "virtiofs"};

	mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL);
	for (size_t i = 0; i < sizeof(fs) / sizeof(*fs); i++)
		if (strcmp(fs[i], "overlay")) /* Linux allows it; its files are those below */
			refused(fs[i], mount("/dev/sda", "/mnt", fs[i], 0, ""));
	refused("umount of an inherited mount", umount2("/proc", MNT_DETACH));
	refused("remount of /", mount("none", "/", NULL, MS_REMOUNT, ""));
	refused("bind that uncovers", mount("/", "/mnt", NULL, MS_BIND, NULL));
	if (mount("t", "/mnt", "tmpfs", 0, "") == 0) {
		refused("device on own tmpfs", mknod("/mnt/null", S_IFCHR | 0666, 0x103));
		refused("chown to unmapped",
			(close(open("/mnt/f", O_CREAT | O_RDWR, 0755)), chown("/mnt/f", 1, 1)));
	}
	refused("quota of root", mount("t", "/mnt", "tmpfs", 0, "uid=1"));
}

static void tasks(void)
{
	struct rlimit64 {
		unsigned long long cur, max;
	} l = {100, 100};
	char path[64];

	/* It has no number here; a guess must not help. */
	for (pid_t p = 1; p < 200; p++) {
		if (p == getpid())
			continue;
		refused("kill", kill(p, 0));
		refused("ptrace", ptrace(PTRACE_ATTACH, p, 0, 0));
		refused("limits", syscall(SYS_prlimit64, p, RLIMIT_NOFILE, &l, NULL));
	}
	refused("kill of all", kill(-1, SIGKILL));
	refused("kill of the group", kill(-root_task, SIGKILL));
	/* The outer /proc is still mounted. */
	snprintf(path, sizeof(path), "/proc/%d/mem", root_task);
	refused("memory of root's task", open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/environ", root_task);
	refused("environment of root's task", open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/root/etc", root_task);
	refused("root of root's task", open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/ns/mnt", root_task);
	refused("namespace of root's task", open(path, O_RDONLY));
	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", root_task);
	refused("oom score of root's task", put(path, "1000"));
	snprintf(path, sizeof(path), "/proc/%d/uid_map", root_task);
	refused("map of root's task", put(path, "0 0 1"));
}

static void namespaces(void)
{
	for (int i = 0; i < 8; i++)
		if (root_ns[i] >= 0)
			refused(kinds[i], setns(root_ns[i], 0));
	refused("owner of the first uts", ioctl(root_ns[2], 0xb701 /* NS_GET_USERNS */));
	refused("parent of the first pid", ioctl(root_ns[5], 0xb702 /* NS_GET_PARENT */));
}

static void the_system(void)
{
	struct timeval tv = {1, 0};
	struct timespec ts = {1, 0};
	struct rlimit r;

	refused("clock", clock_settime(CLOCK_REALTIME, &ts));
	refused("time of day", settimeofday(&tv, NULL));
	refused("kernel log", syscall(SYS_syslog, 5, NULL, 0));
	refused("module", syscall(SYS_init_module, "", 0, ""));
	refused("swap", syscall(SYS_swapon, "/tmp/x", 0));
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_max = r.rlim_max == RLIM_INFINITY ? r.rlim_max : r.rlim_max + 1;
	refused("a higher hard limit", setrlimit(RLIMIT_NOFILE, &r));
	refused("nice", setpriority(PRIO_PROCESS, 0, -20));
	refused("sysctl", put("/proc/sys/kernel/ns_last_pid", "1"));
	refused("sysctl fs", put("/proc/sys/fs/protected_symlinks", "0"));
	refused("forged credentials", syscall(SYS_setresuid, 0x7fffffff, 0, 0));
	refused("groups", setgroups(1, (gid_t[]){0}));
}

int main(void)
{
	char path[128];

	setvbuf(stdout, NULL, _IONBF, 0);
	if (!mkdtemp(dir))
		return 2;
	snprintf(path, sizeof(path), "%s/secret", dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "/proc/self/ns/%s", kinds[i]);
		root_ns[i] = open(path, O_RDONLY);
	}
	root_task = fork();
	if (root_task == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		become_root_inside();
		files();
		mounts();
		tasks();
		namespaces();
		the_system();
		exit(bad ? 1 : 0);
	}
	waitpid(pid, &status, 0);
	if (kill(root_task, 0) || waitpid(root_task, NULL, WNOHANG))
		bad++, printf("GOT root's task\n");
	kill(root_task, SIGKILL);
	snprintf(path, sizeof(path), "%s/secret", dir);
	if (unlink(path) || rmdir(dir))
		bad++, printf("GOT root's file\n");
	printf("status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return bad || status ? 1 : 0;
}
