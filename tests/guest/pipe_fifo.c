/* fifo(7): when open blocks, and what it says. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64];

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void show_poll(const char *what, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};
	int r = poll(&p, 1, 0);

	printf("%s: %d %#x\n", what, r, p.revents);
}

static void on_alarm(int sig)
{
}

static int status_of(pid_t pid)
{
	int status;

	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

static void blocking_pair(int order)
{
	char text[10] = "";
	pid_t pid = fork();
	int fd, n;

	if (pid == 0) {
		if (order)
			usleep(50000);
		fd = open(path, O_WRONLY);
		write(fd, "hello", 5);
		_exit(fd >= 0 ? 3 : 4);
	}
	if (!order)
		usleep(50000);
	fd = open(path, O_RDONLY);
	n = read(fd, text, sizeof(text));
	printf("pair %d: read %d %s", order, n, text);
	n = read(fd, text, sizeof(text));
	printf(", then %d; writer %d\n", n, status_of(pid));
	close(fd);
}

/* The writer opens and closes at once; the blocked reader must still come through. */
static void short_writer(void)
{
	pid_t pid = fork();
	int fd;

	if (pid == 0) {
		fd = open(path, O_RDONLY);
		_exit(fd >= 0 && read(fd, path, 1) == 0 ? 5 : 6);
	}
	usleep(50000);
	fd = open(path, O_WRONLY);
	close(fd);
	printf("reader of a short writer %d\n", status_of(pid));
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	char c;
	int r, w, rw;

	setvbuf(stdout, NULL, _IOLBF, 0);
	strcpy(path, "/tmp/fifo.XXXXXX");
	mkdtemp(path);
	strcat(path, "/f");
	printf("mkfifo %s\n", err(mkfifo(path, 0600)));
	printf("again %s\n", err(mkfifo(path, 0600)));
	printf("write nonblock without reader %s\n", err(open(path, O_WRONLY | O_NONBLOCK)));
	r = open(path, O_RDONLY | O_NONBLOCK);
	printf("read nonblock %s\n", err(r));
	show_poll("no writer yet", r);
	printf("read %zd\n", read(r, &c, 1));
	w = open(path, O_WRONLY | O_NONBLOCK);
	printf("write nonblock with reader %s\n", err(w));
	show_poll("writer came", r);
	printf("read %s\n", err(read(r, &c, 1)));
	write(w, "ab", 2);
	show_poll("data", r);
	close(w);
	show_poll("writer left, data", r);
	read(r, &c, 1);
	read(r, &c, 1);
	show_poll("writer left", r);
	close(r);
	rw = open(path, O_RDWR);
	printf("rdwr %s\n", err(rw));
	write(rw, "kept?", 5);
	r = open(path, O_RDONLY);
	printf("second reader %s\n", err(r));
	show_poll("second reader", r);
	close(rw);
	close(r);
	r = open(path, O_RDONLY | O_NONBLOCK);
	printf("contents after all closed: %zd\n", read(r, &c, 1));
	close(r);
	blocking_pair(0);
	blocking_pair(1);
	short_writer();
	sigaction(SIGALRM, &sa, NULL);
	alarm(1);
	printf("interrupted open %s\n", err(open(path, O_RDONLY)));
	r = open(path, O_RDONLY | O_NONBLOCK);
	printf("nobody is left half-open: %s\n", err(open(path, O_WRONLY | O_NONBLOCK)));
	unlink(path);
	*strrchr(path, '/') = '\0';
	rmdir(path);
	return 0;
}
