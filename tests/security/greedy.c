/*
 * greedy WHAT: takes as much of one kind of thing as it gets, in as many processes
 * as that needs, prints what stopped it, and holds it until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WHERE "/dev/shm/greedy"
#define ON_DISK "/disk"

static char zeros[1 << 20];

/* Each takes one thing: 0, or the errno that stops it. */

static int take_memfd(void)
{
	return memfd_create("greedy", 0) < 0 ? errno : 0;
}

static int next_name(char *buf, size_t size, const char *dir)
{
	static int n;

	return snprintf(buf, size, "%s/%d.%d", dir, getpid(), n++);
}

/* Large enough that it cannot lie on the sentry's heap. */
static int take_tmpfs_file(void)
{
	char name[64];
	int fd;

	next_name(name, sizeof(name), WHERE);
	fd = open(name, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || write(fd, zeros, 5000) != 5000)
		return errno;
	close(fd);
	return 0;
}

static int take_disk_file(void)
{
	char name[64];
	int fd;

	next_name(name, sizeof(name), ON_DISK);
	fd = open(name, O_CREAT | O_RDWR, 0600);
	if (fd < 0)
		return errno;
	unlink(name);
	return 0;
}

static int take_shm(void)
{
	return shmget(IPC_PRIVATE, 4096, 0600) < 0 ? errno : 0;
}

static int fill(int fd, size_t piece)
{
	while (write(fd, zeros, piece) > 0)
		;
	return errno == EAGAIN ? 0 : errno;
}

static int take_stream(void)
{
	int s[2], big = 1 << 20;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s) < 0)
		return errno;
	setsockopt(s[0], SOL_SOCKET, SO_SNDBUF, &big, sizeof(big));
	return fill(s[0], 65536);
}

static int take_datagrams(void)
{
	int s[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s) < 0)
		return errno;
	return fill(s[0], 1);
}

static int take_pipe(void)
{
	int p[2];

	if (pipe2(p, O_NONBLOCK) < 0)
		return errno;
	fcntl(p[1], F_SETPIPE_SZ, 1 << 20);
	return fill(p[1], 4096);
}

static int take_symlink(void)
{
	static char target[4096];
	char name[64];

	memset(target, 'x', sizeof(target) - 1);
	next_name(name, sizeof(name), WHERE);
	return symlink(target, name) < 0 ? errno : 0;
}

static int take_directory(void)
{
	char name[64];

	next_name(name, sizeof(name), WHERE);
	return mkdir(name, 0700) < 0 ? errno : 0;
}

static int take_xattr(void)
{
	char name[64];
	int fd;

	next_name(name, sizeof(name), WHERE);
	fd = open(name, O_CREAT | O_RDWR, 0600);
	if (fd < 0)
		return errno;
	for (int i = 0; i < 3; i++) {
		char key[32];

		snprintf(key, sizeof(key), "user.%d", i);
		if (syscall(SYS_fsetxattr, fd, key, zeros, 60000, 0) < 0)
			return errno;
	}
	close(fd);
	return 0;
}

static int take_eventfd(void)
{
	return eventfd(0, 0) < 0 ? errno : 0;
}

static int take_epoll_watch(void)
{
	static int ep = -1, event = -1;
	struct epoll_event e = {.events = EPOLLIN};
	int fd;

	if (ep < 0 || fcntl(ep, F_GETFD) < 0) { /* a child has closed them */
		ep = epoll_create1(0);
		event = eventfd(0, 0);
	}
	fd = dup(event);
	return ep < 0 || fd < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, fd, &e) < 0 ? errno : 0;
}

/* A full queue for each instance. */
static int take_inotify(void)
{
	int in = inotify_init1(IN_NONBLOCK), fd;
	char name[300], other[300];

	if (in < 0)
		return errno;
	snprintf(name, sizeof(name), WHERE "/%0200d", getpid());
	snprintf(other, sizeof(other), WHERE "/%0201d", getpid());
	fd = open(name, O_CREAT | O_RDWR, 0600);
	if (fd < 0 || inotify_add_watch(in, WHERE, IN_ALL_EVENTS) < 0)
		return errno;
	close(fd);
	for (int i = 0; i < 3000; i++) {
		rename(name, other);
		rename(other, name);
	}
	return 0;
}

static int take_signal(void)
{
	union sigval v = {0};
	sigset_t set;

	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return sigqueue(getpid(), SIGRTMIN, v) < 0 ? errno : 0;
}

static int take_timer(void)
{
	struct sigevent e = {.sigev_notify = SIGEV_NONE};
	timer_t t;

	return timer_create(CLOCK_MONOTONIC, &e, &t) < 0 ? errno : 0;
}

static int take_message(void)
{
	static int q = -1;
	static struct {
		long type;
		char text[8192];
	} m = {1, ""};

	if (q >= 0 && msgsnd(q, &m, sizeof(m.text), IPC_NOWAIT) == 0)
		return 0;
	q = msgget(IPC_PRIVATE, 0600);
	return q < 0 ? errno : msgsnd(q, &m, sizeof(m.text), IPC_NOWAIT) < 0 ? errno : 0;
}

static int take_semaphores(void)
{
	return semget(IPC_PRIVATE, 32000, 0600) < 0 ? errno : 0;
}

static int take_mqueue(void)
{
	char name[64];
	mqd_t q;

	next_name(name, sizeof(name), "");
	q = mq_open(name, O_CREAT | O_RDWR | O_NONBLOCK, 0600, NULL);
	if (q == (mqd_t)-1)
		return errno;
	while (mq_send(q, zeros, 8192, 0) == 0)
		;
	close(q);
	return errno == EAGAIN ? 0 : errno;
}

static int take_lock(void)
{
	static int fd = -1, n;
	struct flock l = {
	    .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2L * (n % 2000), .l_len = 1};
	char name[64];

	if (n++ % 2000 == 0) {
		next_name(name, sizeof(name), WHERE);
		fd = open(name, O_CREAT | O_RDWR, 0600);
	}
	return fd < 0 || fcntl(fd, F_SETLK, &l) < 0 ? errno : 0;
}

/* An open file of /proc keeps the text that it shows. */
static int take_proc_text(void)
{
	static bool mapped;
	char c;
	int fd;

	for (int i = 0; !mapped && i < 20000; i++)
		mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mapped = true;
	fd = open("/proc/self/maps", O_RDONLY);
	return fd < 0 || read(fd, &c, 1) < 0 ? errno : 0;
}

/* A descriptor table as large as may be, in each process. */
static int take_fd_table(void)
{
	struct rlimit l;
	pid_t p;

	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max;
	setrlimit(RLIMIT_NOFILE, &l);
	if (dup2(0, (int)l.rlim_max - 1) < 0)
		return errno;
	p = fork();
	if (p < 0)
		return errno;
	while (p)
		pause();
	return 0;
}

static int take_mapping(void)
{
	static int n;
	int prot = n++ % 2 ? PROT_READ : PROT_NONE;

	if (n > 60000)
		return EMFILE; /* the next process goes on */
	return mmap(NULL, 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int take_zombie(void)
{
	pid_t p = fork();

	if (p == 0)
		_exit(0);
	return p < 0 ? errno : 0;
}

static int take_big_listing(void)
{
	static bool made;
	char buf[64], name[300];
	int fd;

	for (int i = 0; !made && i < 5000; i++) {
		snprintf(name, sizeof(name), ON_DISK "/%0180d", i);
		close(open(name, O_CREAT | O_WRONLY, 0600));
	}
	made = true;
	fd = open(ON_DISK, O_RDONLY | O_DIRECTORY);
	return fd < 0 || (syscall(SYS_getdents64, fd, buf, sizeof(buf)) < 0 && errno != EINVAL)
		   ? errno
		   : 0;
}

static int take_flying(void)
{
	static int s[2] = {-1, -1};
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(200 * sizeof(int))];
	} c = {.h = {CMSG_LEN(200 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {zeros, 1};
	struct msghdr m = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c)};

	memset(CMSG_DATA(&c.h), 0, 200 * sizeof(int));
	if (s[0] < 0 && socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, s) < 0)
		return errno;
	if (sendmsg(s[0], &m, 0) >= 0)
		return 0;
	if (errno != EAGAIN)
		return errno;
	s[0] = -1;
	return take_flying();
}

static const struct {
	const char *name;
	int (*take)(void);
} all[] = {
    {"memfd", take_memfd},     {"tmpfs-file", take_tmpfs_file}, {"disk-file", take_disk_file},
    {"shm", take_shm},	       {"stream", take_stream},		{"datagrams", take_datagrams},
    {"pipe", take_pipe},       {"symlink", take_symlink},	{"directory", take_directory},
    {"xattr", take_xattr},     {"eventfd", take_eventfd},	{"epoll", take_epoll_watch},
    {"inotify", take_inotify}, {"signal", take_signal},		{"timer", take_timer},
    {"message", take_message}, {"semaphores", take_semaphores}, {"mqueue", take_mqueue},
    {"lock", take_lock},       {"proc-text", take_proc_text},	{"fd-table", take_fd_table},
    {"mapping", take_mapping}, {"zombie", take_zombie},		{"listing", take_big_listing},
    {"flying", take_flying},
};

/* Goes on in a child where the limits of one process are reached. */
static int take_all(int (*take)(void))
{
	for (;;) {
		int err = take();

		if (err != EMFILE || take == take_inotify || take == take_mqueue) {
			if (err)
				return err;
			continue;
		}
		pid_t p = fork();

		if (p < 0)
			return errno;
		if (p) {
			for (;;)
				pause();
		}
		syscall(SYS_close_range, 3, ~0U, 0);
		if (take == take_mapping)
			execl("/proc/self/exe", "greedy", "mapping", NULL);
	}
}

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(all) / sizeof(all[0]); i++) {
		int err;

		if (strcmp(all[i].name, argv[1]))
			continue;
		mkdir(WHERE, 0777);
		err = take_all(all[i].take);
		dprintf(1, "stopped by %s\n", strerrorname_np(err));
		for (;;)
			pause();
	}
	for (size_t i = 0; argc == 1 && i < sizeof(all) / sizeof(all[0]); i++)
		printf("%s\n", all[i].name);
	return argc > 1;
}
