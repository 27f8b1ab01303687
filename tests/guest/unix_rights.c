/* SCM_RIGHTS and SCM_CREDENTIALS: passing, peeking, truncation, cycles, checks. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (e);                                                                     \
		r_ < 0 ? -(long)errno : r_;                                                        \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

static long send_fds(int s, const int *fds, int n, int data)
{
	char text[] = "data", control[CMSG_SPACE(300 * sizeof(int))];
	struct iovec iov = {text, (size_t)data};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *h = (void *)control;

	memset(control, 0, sizeof(control));
	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	return R(sendmsg(s, &m, MSG_NOSIGNAL));
}

static int received[300];

static void recv_fds(int s, size_t room, int flags)
{
	char text[16], control[CMSG_SPACE(300 * sizeof(int))];
	struct iovec iov = {text, sizeof(text)};
	struct msghdr m = {
	    .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = room};
	long r = R(recvmsg(s, &m, flags | MSG_DONTWAIT));
	struct cmsghdr *h;
	int n;

	printf("recvmsg %ld flags %x controllen %zu", r, r < 0 ? 0 : m.msg_flags,
	       r < 0 ? 0 : m.msg_controllen);
	for (h = r < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		printf(" [%d len %zu]", h->cmsg_type, (size_t)h->cmsg_len);
		if (h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (int)((h->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(received, CMSG_DATA(h), n * sizeof(int));
	}
	printf("\n");
}

static int open_fds(void)
{
	int n = 0;

	for (int i = 0; i < 1024; i++)
		n += fcntl(i, F_GETFD) >= 0;
	return n;
}

static void rights(int type)
{
	int s[2], p[2], before, many[260];
	char buf[8];

	printf("type %d\n", type);
	socketpair(AF_UNIX, type, 0, s);
	pipe(p);
	before = open_fds();
	printf("send %ld\n", send_fds(s[0], p, 2, 4));
	recv_fds(s[1], 200, MSG_PEEK);
	close(received[0]);
	close(received[1]);
	recv_fds(s[1], 200, MSG_CMSG_CLOEXEC);
	printf("cloexec %d\n", fcntl(received[0], F_GETFD));
	SHOW(write(received[1], "through", 7));
	SHOW(read(p[0], buf, 8));
	close(received[0]);
	close(received[1]);
	printf("leak %d\n", open_fds() - before);
	printf("send %ld\n", send_fds(s[0], p, 2, 4));
	recv_fds(s[1], CMSG_LEN(sizeof(int)), 0);
	close(received[0]);
	printf("send %ld\n", send_fds(s[0], p, 2, 4));
	recv_fds(s[1], 0, 0);
	printf("send %ld\n", send_fds(s[0], p, 2, 4));
	SHOW(read(s[1], buf, 8));
	printf("leak %d\n", open_fds() - before);
	many[0] = 999;
	printf("bad fd %ld\n", send_fds(s[0], many, 1, 4));
	for (int i = 0; i < 260; i++)
		many[i] = p[0];
	printf("too many %ld\n", send_fds(s[0], many, 254, 4));
	printf("most %ld\n", send_fds(s[0], many, 253, 4));
	recv_fds(s[1], CMSG_SPACE(300 * sizeof(int)), 0);
	for (int i = 0; i < 253; i++)
		close(received[i]);
	printf("no data %ld\n", send_fds(s[0], p, 1, 0));
	recv_fds(s[1], 200, 0);
	if (type != SOCK_STREAM)
		close(received[0]);
	printf("leak %d\n", open_fds() - before);
	/* Data behind a message with files is not read with it. */
	send_fds(s[0], p, 1, 3);
	write(s[0], "more", 4);
	recv_fds(s[1], 200, 0);
	close(received[0]);
	recv_fds(s[1], 200, 0);
	close(s[0]);
	close(s[1]);
	close(p[0]);
	SHOW(write(p[1], "x", 1) < 0 && errno == EPIPE);
	close(p[1]);
}

/* Pairs in their own queues, chains, and a pipe whose end is only in a dead cycle. */
static void cycles(void)
{
	int p[2], s[2], t[2], fds[3];
	char c;

	pipe(p);
	for (int i = 0; i < 300; i++) {
		socketpair(AF_UNIX, i & 1 ? SOCK_STREAM : SOCK_DGRAM, 0, s);
		socketpair(AF_UNIX, SOCK_STREAM, 0, t);
		fds[0] = s[0], fds[1] = s[1], fds[2] = p[1];
		send_fds(t[0], fds, 3, 4);
		fds[0] = t[0], fds[1] = t[1];
		send_fds(s[0], fds, 2, 4);
		close(s[0]);
		close(s[1]);
		close(t[0]);
		close(t[1]);
	}
	close(p[1]);
	/* Linux collects in the background: give it a moment. */
	struct pollfd pf = {p[0], POLLIN, 0};
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	close(s[0]);
	close(s[1]);
	printf("cycle collected: %d %x\n", poll(&pf, 1, 3000), pf.revents);
	printf("end of file: %zd\n", read(p[0], &c, 1));
	close(p[0]);
}

/* Nested deeply: each pair in the queue of the next. */
static void chain(void)
{
	int p[2], s[2], inner[2] = {-1, -1}, fds[3];
	char c;

	pipe(p);
	for (int i = 0; i < 2000; i++) {
		socketpair(AF_UNIX, SOCK_STREAM, 0, s);
		fds[0] = i ? inner[1] : p[1];
		send_fds(s[0], fds, 1, 4);
		close(fds[0]);
		close(s[0]);
		inner[1] = s[1];
	}
	close(inner[1]);
	struct pollfd pf = {p[0], POLLIN, 0};
	printf("chain gone: %d %zd\n", poll(&pf, 1, 3000), read(p[0], &c, 1));
	close(p[0]);
}

static long send_creds(int s, pid_t pid, uid_t uid, gid_t gid)
{
	struct ucred u = {pid, uid, gid};
	char text[] = "c", control[CMSG_SPACE(sizeof(u))];
	struct iovec iov = {text, 1};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_CREDENTIALS;
	h->cmsg_len = CMSG_LEN(sizeof(u));
	memcpy(CMSG_DATA(h), &u, sizeof(u));
	return R(sendmsg(s, &m, 0));
}

static void recv_creds(const char *what, int s)
{
	char text[64], control[200];
	struct iovec iov = {text, sizeof(text)};
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	long r = R(recvmsg(s, &m, MSG_DONTWAIT));
	struct cmsghdr *h;
	struct ucred u;

	printf("%s: %ld", what, r);
	for (h = r < 0 ? NULL : CMSG_FIRSTHDR(&m); h; h = CMSG_NXTHDR(&m, h)) {
		memcpy(&u, CMSG_DATA(h), sizeof(u));
		printf(" [%d pid %s uid %d gid %d]", h->cmsg_type,
		       u.pid == getpid()    ? "mine"
		       : u.pid == 0	    ? "none"
		       : u.pid == getppid() ? "parent"
					    : "other",
		       u.uid, u.gid);
	}
	printf("\n");
}

static void creds(void)
{
	int s[2], on = 1;
	struct ucred u;
	socklen_t n = sizeof(u);

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	SHOW(getsockopt(s[0], SOL_SOCKET, SO_PEERCRED, &u, &n));
	printf("peer %d %d %d %u\n", u.pid == getpid(), u.uid, u.gid, n);
	int lone = socket(AF_UNIX, SOCK_STREAM, 0);
	getsockopt(lone, SOL_SOCKET, SO_PEERCRED, &u, &n);
	printf("lone %d %d %d\n", u.pid, u.uid, u.gid);
	write(s[0], "early", 5);
	SHOW(setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	recv_creds("sent before PASSCRED", s[1]);
	write(s[0], "late", 4);
	recv_creds("sent after", s[1]);
	printf("%ld\n", send_creds(s[0], getpid(), 0, 0));
	recv_creds("explicit", s[1]);
	printf("%ld\n", send_creds(s[0], getpid(), 7, 8));
	recv_creds("other ids", s[1]);
	printf("%ld\n", send_creds(s[0], 999999, 0, 0));
	if (!fork()) {
		setresgid(1000, 1000, 1000);
		setresuid(1000, 1000, 1000);
		printf("%ld\n", send_creds(s[0], getpid(), 0, 1000));
		printf("%ld\n", send_creds(s[0], getppid(), 1000, 1000));
		printf("%ld\n", send_creds(s[0], getpid(), 1000, 1000));
		write(s[0], "plain", 5);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	recv_creds("from a child", s[1]);
	recv_creds("more", s[1]);
	close(s[0]);
	close(s[1]);
	close(lone);
}

static void permissions(void)
{
	struct sockaddr_un un = {AF_UNIX, "/tmp/garrison-perm-sock"};
	int a = socket(AF_UNIX, SOCK_STREAM, 0);

	unlink(un.sun_path);
	umask(077);
	SHOW(bind(a, (void *)&un, sizeof(un)));
	SHOW(listen(a, 3));
	fflush(stdout);
	if (!fork()) {
		int b = socket(AF_UNIX, SOCK_STREAM, 0);

		setresuid(1000, 1000, 1000);
		SHOW(connect(b, (void *)&un, sizeof(un)));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	chmod(un.sun_path, 0722);
	if (!fork()) {
		int b = socket(AF_UNIX, SOCK_STREAM, 0);
		struct ucred u;
		socklen_t n = sizeof(u);

		setresuid(1000, 1000, 1000);
		SHOW(connect(b, (void *)&un, sizeof(un)));
		getsockopt(b, SOL_SOCKET, SO_PEERCRED, &u, &n);
		printf("listener %d %d\n", u.pid == getppid(), u.uid);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	int c = accept(a, NULL, NULL);
	struct ucred u;
	socklen_t n = sizeof(u);
	getsockopt(c, SOL_SOCKET, SO_PEERCRED, &u, &n);
	printf("client %d %d\n", u.uid, u.gid);
	unlink(un.sun_path);
}

int main(void)
{
	struct rlimit rl = {1024, 1024};

	alarm(20);
	signal(SIGPIPE, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &rl);
	setvbuf(stdout, NULL, _IOLBF, 0);
	rights(SOCK_STREAM);
	rights(SOCK_DGRAM);
	rights(SOCK_SEQPACKET);
	cycles();
	chain();
	creds();
	permissions();
	return 0;
}
