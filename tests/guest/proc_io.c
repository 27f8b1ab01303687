/* /proc/PID/io: what counts as a read and a write, of threads and children too. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

struct io {
	long rchar, wchar, syscr, syscw, length;
};

static int file, zero, null_dev;
static char buf[1 << 16];

static struct io get(const char *path)
{
	char text[512] = "";
	struct io io = {0};
	int fd = open(path, O_RDONLY);

	io.length = read(fd, text, sizeof(text) - 1);
	close(fd);
	sscanf(text, "rchar: %ld wchar: %ld syscr: %ld syscw: %ld", &io.rchar, &io.wchar, &io.syscr,
	       &io.syscw);
	return io;
}

static void show(const char *what, const char *path, void (*act)(void))
{
	struct io a = get(path), b;

	act();
	b = get(path);
	/* Without the reading of a itself. */
	printf("%s: read %ld in %ld, wrote %ld in %ld\n", what, b.rchar - a.rchar - a.length,
	       b.syscr - a.syscr - 1, b.wchar - a.wchar, b.syscw - a.syscw);
	fflush(stdout);
}

static void plain(void)
{
	read(zero, buf, 1000);
	pread(zero, buf, 50, 10);
	write(null_dev, buf, 300);
	pwrite(file, buf, 70000 > sizeof(buf) ? sizeof(buf) : 70000, 0);
}

static void vectors(void)
{
	struct iovec v[2] = {{buf, 10}, {buf + 100, 20}};

	readv(zero, v, 2);
	writev(null_dev, v, 2);
	preadv(file, v, 2, 5);
	pwritev(file, v, 2, 5);
}

static void failures(void)
{
	read(-1, buf, 1);
	write(-1, buf, 1);
	read(zero, buf, 0);
	pread(file, buf, 10, 1 << 30);
}

static void copies(void)
{
	off_t at = 0;
	loff_t from = 0, to = 100000;

	sendfile(null_dev, file, &at, 777);
	copy_file_range(file, &from, file, &to, 555, 0);
}

static void sockets(void)
{
	int s[2];

	socketpair(AF_UNIX, SOCK_STREAM, 0, s);
	send(s[0], buf, 100, 0);
	recv(s[1], buf, 60, 0);
	read(s[1], buf, 100);
	write(s[1], buf, 9);
	close(s[0]);
	close(s[1]);
}

static void *reader(void *arg)
{
	read(zero, buf, 11);
	return NULL;
}

static void in_thread(void)
{
	pthread_t t;

	pthread_create(&t, NULL, reader, NULL);
	pthread_join(t, NULL);
	/* It has left only when the kernel says so; give it the time. */
	usleep(20000);
}

static void in_child(void)
{
	pid_t pid = fork();

	if (pid == 0) {
		read(zero, buf, 1234);
		write(null_dev, buf, 4321);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

int main(void)
{
	static const char *const self = "/proc/self/io", *const thread = "/proc/thread-self/io";

	zero = open("/dev/zero", O_RDONLY);
	null_dev = open("/dev/null", O_WRONLY);
	file = open(".", O_RDWR | O_TMPFILE, 0600);
	show("plain", self, plain);
	show("vectors", self, vectors);
	show("failures", self, failures);
	show("copies", self, copies);
	show("sockets", self, sockets);
	show("thread", self, in_thread);
	show("child", self, in_child);
	show("thread, of itself", thread, in_thread);
	show("plain, of itself", thread, plain);
	return 0;
}
