/* splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2). */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static char buf[300000], copy[300000];

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void show(const char *what, long r)
{
	printf("%s: %ld %s\n", what, r, r < 0 ? strerrorname_np(errno) : "");
}

static int file_of(size_t n)
{
	char name[] = "/tmp/splice.XXXXXX";
	int fd = mkstemp(name);

	unlink(name);
	write(fd, buf, n);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static int held(int fd)
{
	int n = -1;

	ioctl(fd, FIONREAD, &n);
	return n;
}

static void splices(void)
{
	int p[2], q[2], f = file_of(100000), g = file_of(0), s[2];
	loff_t off = 50000, back = -1;

	pipe(p);
	pipe(q);
	show("file to pipe", splice(f, NULL, p[1], NULL, 30000, 0));
	printf("position %ld\n", (long)lseek(f, 0, SEEK_CUR));
	show("with offset", splice(f, &off, p[1], NULL, 1000, 0));
	printf("offset %ld position %ld held %d\n", (long)off, (long)lseek(f, 0, SEEK_CUR),
	       held(p[0]));
	show("pipe to pipe", splice(p[0], NULL, q[1], NULL, 20000, 0));
	printf("held %d %d\n", held(p[0]), held(q[0]));
	show("pipe to file", splice(p[0], NULL, g, NULL, 100000, SPLICE_F_MOVE));
	off = 40000;
	show("pipe to file at offset", splice(q[0], NULL, g, &off, 100000, SPLICE_F_NONBLOCK));
	printf("offset %ld position %ld size %ld\n", (long)off, (long)lseek(g, 0, SEEK_CUR),
	       (long)lseek(g, 0, SEEK_END));
	pread(g, copy, 60000, 0);
	printf("right bytes %d %d %d\n", !memcmp(copy, buf + 20000, 10000),
	       !memcmp(copy + 10000, buf + 50000, 1000), !memcmp(copy + 40000, buf, 20000));
	show("empty, nonblock", splice(q[0], NULL, g, NULL, 1, SPLICE_F_NONBLOCK));
	show("zero", splice(q[0], NULL, g, NULL, 0, 0));
	show("bad flags", splice(q[0], NULL, g, NULL, 1, 0x100));
	show("no pipe", splice(f, NULL, g, NULL, 1, 0));
	show("pipe offset", splice(p[0], &off, g, NULL, 1, 0));
	show("pipe out offset", splice(f, NULL, p[1], &off, 1, 0));
	show("same pipe", splice(p[0], NULL, p[1], NULL, 1, 0));
	show("wrong ends", splice(p[1], NULL, q[0], NULL, 1, 0));
	show("bad fd", splice(99, NULL, q[1], NULL, 1, 0));
	fcntl(g, F_SETFL, O_APPEND);
	write(p[1], "x", 1);
	show("append", splice(p[0], NULL, g, NULL, 1, 0));
	off = -1;
	fcntl(g, F_SETFL, 0);
	show("negative offset", splice(p[0], NULL, g, &off, 1, 0));
	close(p[1]);
	read(p[0], copy, 1);
	show("no writer", splice(p[0], NULL, g, NULL, 1, 0));
	close(q[0]);
	signal(SIGPIPE, SIG_IGN);
	lseek(f, 0, SEEK_SET);
	show("no reader", splice(f, NULL, q[1], NULL, 1, 0));
	lseek(f, 0, SEEK_END);
	pipe(p);
	show("end of file", splice(f, NULL, p[1], NULL, 10, 0));
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	write(p[1], "through sockets", 15);
	show("pipe to socket", splice(p[0], NULL, s[0], NULL, 100, 0));
	show("socket to pipe", splice(s[1], NULL, p[1], NULL, 100, 0));
	read(p[0], copy, 15);
	printf("%.15s\n", copy);
	(void)back;
}

static void tees(void)
{
	int p[2], q[2], f = file_of(10);

	pipe(p);
	pipe(q);
	write(p[1], "hello world", 11);
	show("tee", tee(p[0], q[1], 5, 0));
	show("tee again", tee(p[0], q[1], 100, 0));
	printf("held %d %d\n", held(p[0]), held(q[0]));
	memset(copy, 0, 20);
	read(q[0], copy, 16);
	printf("%.16s\n", copy);
	show("same", tee(p[0], p[1], 5, 0));
	show("file", tee(f, q[1], 5, 0));
	read(p[0], copy, 11);
	show("empty, nonblock", tee(p[0], q[1], 5, SPLICE_F_NONBLOCK));
	close(p[1]);
	show("no writer", tee(p[0], q[1], 5, 0));
}

static void vmsplices(void)
{
	struct iovec iov[2] = {{buf, 5000}, {buf + 10000, 300}};
	int p[2], f = file_of(1);

	pipe(p);
	show("vmsplice", vmsplice(p[1], iov, 2, 0));
	printf("held %d\n", held(p[0]));
	read(p[0], copy, 5300);
	printf("right %d\n", !memcmp(copy, buf, 5000) && !memcmp(copy + 5000, buf + 10000, 300));
	write(p[1], "to memory", 9);
	iov[0].iov_base = copy;
	iov[0].iov_len = 3;
	iov[1].iov_base = copy + 100;
	show("vmsplice from pipe", vmsplice(p[0], iov, 2, 0));
	printf("%.3s|%.6s\n", copy, copy + 100);
	show("file", vmsplice(f, iov, 1, 0));
	show("none", vmsplice(p[1], iov, 0, 0));
	show("bad flags", vmsplice(p[1], iov, 1, 0x40));
	iov[0].iov_base = (void *)8;
	show("bad address", vmsplice(p[1], iov, 1, 0));
}

static void sendfiles(void)
{
	int f = file_of(200000), g = file_of(0), p[2], s[2];
	off_t off = 100;

	pipe2(p, O_NONBLOCK);
	show("sendfile", sendfile(g, f, NULL, 150000));
	printf("positions %ld %ld\n", (long)lseek(f, 0, SEEK_CUR), (long)lseek(g, 0, SEEK_CUR));
	show("with offset", sendfile(g, f, &off, 1000));
	printf("offset %ld position %ld\n", (long)off, (long)lseek(f, 0, SEEK_CUR));
	pread(g, copy, 151000, 0);
	printf("right %d\n", !memcmp(copy, buf, 150000) && !memcmp(copy + 150000, buf + 100, 1000));
	show("past the end", sendfile(g, f, NULL, 1000000));
	show("at the end", sendfile(g, f, NULL, 10));
	lseek(f, 0, SEEK_SET);
	show("to a pipe", sendfile(p[1], f, NULL, 100000));
	printf("position %ld\n", (long)lseek(f, 0, SEEK_CUR));
	show("to a full pipe", sendfile(p[1], f, NULL, 100000));
	show("from a pipe", sendfile(g, p[0], NULL, 10));
	show("bad fds", sendfile(99, f, NULL, 1));
	show("not readable", sendfile(g, p[1], NULL, 1));
	off = -1;
	show("negative offset", sendfile(g, f, &off, 1));
	fcntl(g, F_SETFL, O_APPEND);
	show("append", sendfile(g, f, NULL, 1));
	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	show("to a socket", sendfile(s[0], f, NULL, 5000));
	show("arrived", read(s[1], copy, 10000));
}

static void copies(void)
{
	int f = file_of(200000), g = file_of(0), p[2];
	loff_t in = 1000, out = 500;
	struct stat st;

	pipe(p);
	show("copy_file_range", copy_file_range(f, NULL, g, NULL, 150000, 0));
	show("with offsets", copy_file_range(f, &in, g, &out, 100, 0));
	printf("offsets %ld %ld positions %ld %ld\n", (long)in, (long)out,
	       (long)lseek(f, 0, SEEK_CUR), (long)lseek(g, 0, SEEK_CUR));
	pread(g, copy, 150000, 0);
	printf("right %d %d\n", !memcmp(copy, buf, 500), !memcmp(copy + 500, buf + 1000, 100));
	show("to the end", copy_file_range(f, NULL, g, NULL, 1000000, 0));
	show("at the end", copy_file_range(f, NULL, g, NULL, 10, 0));
	fstat(g, &st);
	printf("size %ld\n", (long)st.st_size);
	in = 0, out = 50;
	show("overlap", copy_file_range(f, &in, f, &out, 100, 0));
	out = 150000;
	show("same file", copy_file_range(f, &in, f, &out, 100, 0));
	show("flags", copy_file_range(f, NULL, g, NULL, 1, 1));
	show("pipe", copy_file_range(p[0], NULL, g, NULL, 1, 0));
	show("directory", copy_file_range(open("/tmp", O_RDONLY), NULL, g, NULL, 1, 0));
	fcntl(g, F_SETFL, O_APPEND);
	lseek(f, 0, SEEK_SET);
	show("append", copy_file_range(f, NULL, g, NULL, 1, 0));
}

static int blocked[2];

static void *drain_later(void *arg)
{
	long total = 0, r;

	usleep(50000);
	while (total < 250000 && (r = read(blocked[0], copy, 10000)) > 0)
		total += r;
	return NULL;
}

static void blocking(void)
{
	int f = file_of(250000);
	pthread_t t;

	pipe(blocked);
	pthread_create(&t, NULL, drain_later, NULL);
	show("sendfile through a pipe that fills",
	     sendfile(blocked[1], f, NULL, 250000) > 0 ? 1 : -1);
	close(blocked[1]);
	pthread_join(t, NULL);
	(void)err;
}

static void limited(void)
{
	struct rlimit lim = {1000, RLIM_INFINITY};
	int f = file_of(5000), g = file_of(0), p[2];

	pipe(p);
	write(p[1], buf, 2000);
	signal(SIGXFSZ, SIG_IGN);
	setrlimit(RLIMIT_FSIZE, &lim);
	show("sendfile up to the limit", sendfile(g, f, NULL, 5000));
	show("beyond", sendfile(g, f, NULL, 5000));
	lseek(g, 0, SEEK_SET);
	ftruncate(g, 0);
	show("splice up to the limit", splice(p[0], NULL, g, NULL, 2000, 0));
	show("beyond", splice(p[0], NULL, g, NULL, 2000, 0));
	lseek(f, 0, SEEK_SET);
	lseek(g, 0, SEEK_SET);
	show("copy up to the limit", copy_file_range(f, NULL, g, NULL, 5000, 0));
	show("beyond", copy_file_range(f, NULL, g, NULL, 5000, 0));
}

int main(void)
{
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (char)(i * 7 + i / 251);
	splices();
	tees();
	vmsplices();
	sendfiles();
	copies();
	blocking();
	limited();
	return 0;
}
