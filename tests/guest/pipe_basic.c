/* pipe(7): capacity, atomicity, ends, packet mode, sizes. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char big[1 << 20];

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void fill(const char *what, int flags, size_t chunk, int size)
{
	int p[2], n = 0;
	long total = 0, r;

	pipe2(p, O_NONBLOCK | flags);
	if (size)
		printf("size %d -> %d\n", size, fcntl(p[1], F_SETPIPE_SZ, size));
	while ((r = write(p[1], big, chunk)) > 0)
		total += r, n++;
	printf("%s by %zu: %ld bytes in %d writes, then %s\n", what, chunk, total, n, err(r));
	printf("read %zd; ", read(p[0], big, 100));
	r = write(p[1], big, chunk);
	printf("write again %s %ld\n", err(r), r);
	printf("read %zd; ", read(p[0], big, 4096));
	r = write(p[1], big, chunk);
	printf("write again %s %ld\n", err(r), r);
	close(p[0]);
	close(p[1]);
}

static void show_poll(const char *what, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM};
	int r = poll(&p, 1, 0);

	printf("%s: poll %d revents %#x\n", what, r, p.revents);
}

static volatile int pipes;

static void on_pipe(int sig)
{
	pipes++;
}

static void ends(void)
{
	int p[2], n;
	char c;

	pipe(p);
	show_poll("empty reader", p[0]);
	show_poll("empty writer", p[1]);
	write(p[1], "abc", 3);
	ioctl(p[0], FIONREAD, &n);
	printf("FIONREAD %d\n", n);
	show_poll("reader with data", p[0]);
	close(p[1]);
	show_poll("reader, writer gone, data", p[0]);
	n = read(p[0], big, 10);
	printf("rest %d\n", n);
	show_poll("reader, writer gone", p[0]);
	printf("eof %zd\n", read(p[0], &c, 1));
	printf("write to read end %s\n", err(write(p[0], &c, 1)));
	close(p[0]);
	pipe(p);
	close(p[0]);
	show_poll("writer, reader gone", p[1]);
	signal(SIGPIPE, on_pipe);
	printf("write without reader %s, signals %d\n", err(write(p[1], "x", 1)), pipes);
	printf("zero write %zd signals %d\n", write(p[1], "x", 0), pipes);
	printf("read from write end %s\n", err(read(p[1], &c, 1)));
	printf("lseek %s\n", err(lseek(p[1], 0, SEEK_SET)));
	printf("pread %s\n", err(pread(p[1], &c, 1, 0)));
	printf("fsync %s\n", err(fsync(p[1])));
	close(p[1]);
	printf("bad flags %s\n", err(pipe2(p, O_APPEND)));
	printf("bad address %s\n", err(syscall(SYS_pipe, 8L)));
}

static void packets(void)
{
	int p[2];

	pipe2(p, O_DIRECT | O_NONBLOCK);
	write(p[1], "hello", 5);
	write(p[1], "world!", 6);
	write(p[1], big, 5000);
	printf("packet %zd\n", read(p[0], big, 100));
	printf("short read of packet %zd\n", read(p[0], big, 2));
	printf("split packet %zd", read(p[0], big, 8000));
	printf(" %zd\n", read(p[0], big, 8000));
	printf("then %s\n", err(read(p[0], big, 10)));
	printf("flags %#x\n", fcntl(p[1], F_GETFL));
	fcntl(p[1], F_SETFL, O_WRONLY | O_NONBLOCK);
	write(p[1], "a", 1);
	write(p[1], "b", 1);
	printf("stream again %zd\n", read(p[0], big, 10));
	close(p[0]);
	close(p[1]);
}

static void sizes(void)
{
	int p[2];

	pipe2(p, O_NONBLOCK);
	printf("default %d\n", fcntl(p[0], F_GETPIPE_SZ));
	printf("1 -> %d\n", fcntl(p[0], F_SETPIPE_SZ, 1));
	printf("5000 -> %d\n", fcntl(p[0], F_SETPIPE_SZ, 5000));
	printf("1M -> %d\n", fcntl(p[0], F_SETPIPE_SZ, 1 << 20));
	printf("write %zd\n", write(p[1], big, sizeof(big)));
	printf("shrink full %s\n", err(fcntl(p[0], F_SETPIPE_SZ, 4096)));
	read(p[0], big, sizeof(big) - 4096);
	printf("shrink %d\n", fcntl(p[0], F_SETPIPE_SZ, 4096));
	printf("room %s\n", err(write(p[1], big, 1)));
	printf("not a pipe %s\n", err(fcntl(open("/", O_RDONLY), F_GETPIPE_SZ)));
	close(p[0]);
	close(p[1]);
}

static void blocking(void)
{
	int p[2], status;
	long total = 0, r;

	pipe(p);
	if (fork() == 0) {
		close(p[0]);
		r = write(p[1], big, 300000);
		_exit(r == 300000 ? 7 : 8);
	}
	close(p[1]);
	while ((r = read(p[0], big, 1000)) > 0)
		total += r;
	wait(&status);
	printf("blocking write: %ld bytes, writer %d\n", total, WEXITSTATUS(status));
	close(p[0]);
}

static void reopen(void)
{
	char path[64], text[10];
	struct stat st;
	int p[2], fd;

	pipe(p);
	fstat(p[0], &st);
	printf("fifo %d mode %o size %ld\n", S_ISFIFO(st.st_mode), st.st_mode & 0777,
	       (long)st.st_size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", p[0]);
	fd = open(path, O_WRONLY);
	printf("reopen for writing %s\n", err(fd));
	write(fd, "via", 3);
	printf("read %zd\n", read(p[0], text, 10));
	close(p[1]);
	show_poll("other writer still there", p[0]);
	close(fd);
	show_poll("no writer", p[0]);
}

int main(void)
{
	fill("stream", 0, 1, 0);
	fill("stream", 0, 3000, 0);
	fill("stream", 0, 4095, 0);
	fill("stream", 0, 4096, 0);
	fill("stream", 0, 4097, 0);
	fill("stream", 0, 65536, 0);
	fill("stream", 0, 100000, 0);
	fill("packets", O_DIRECT, 1, 0);
	fill("packets", O_DIRECT, 5000, 0);
	fill("small", 0, 1000, 8192);
	ends();
	packets();
	sizes();
	blocking();
	reopen();
	return 0;
}
