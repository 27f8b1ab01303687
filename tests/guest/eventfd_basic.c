/* eventfd(2): counting, semaphore mode, overflow, poll, blocking. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void show(const char *what, int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	poll(&p, 1, 0);
	printf("%s: %#x\n", what, p.revents);
}

static long put(int fd, uint64_t v)
{
	return write(fd, &v, 8);
}

static void take(const char *what, int fd)
{
	uint64_t v = 0;
	long r = read(fd, &v, 8);

	printf("%s: %s %llu\n", what, err(r), (unsigned long long)v);
}

static void *later(void *arg)
{
	usleep(30000);
	put(*(int *)arg, 42);
	return NULL;
}

static void *drain(void *arg)
{
	static uint64_t v;

	usleep(30000);
	read(*(int *)arg, &v, 8);
	return &v;
}

int main(void)
{
	int fd = eventfd(3, EFD_NONBLOCK), sem = eventfd(2, EFD_NONBLOCK | EFD_SEMAPHORE);
	char small[4], large[16] = "";
	pthread_t t;
	void *drained;

	show("initial", fd);
	take("initial", fd);
	take("empty", fd);
	show("empty", fd);
	put(fd, 1);
	put(fd, 5);
	take("sum", fd);
	printf("max value %s\n", err(put(fd, UINT64_MAX)));
	printf("almost max %s\n", err(put(fd, UINT64_MAX - 1)));
	show("full", fd);
	printf("one more %s\n", err(put(fd, 1)));
	printf("zero %s\n", err(put(fd, 0)));
	take("full", fd);
	printf("short read %s\n", err(read(fd, small, 4)));
	printf("short write %s\n", err(write(fd, small, 4)));
	printf("long write %zd %s\n", write(fd, large, 16), err(write(fd, large, 16)));
	put(fd, 9);
	printf("long read %zd\n", read(fd, large, 16));
	take("semaphore", sem);
	take("semaphore", sem);
	take("semaphore", sem);
	printf("bad flags %s\n", err(eventfd(0, 0x10)));
	printf("cloexec %d\n", fcntl(eventfd(0, EFD_CLOEXEC), F_GETFD));
	printf("flags %#x\n", fcntl(fd, F_GETFL));
	fd = eventfd(0, 0);
	pthread_create(&t, NULL, later, &fd);
	take("blocking read", fd);
	pthread_join(t, NULL);
	put(fd, UINT64_MAX - 1);
	pthread_create(&t, NULL, drain, &fd);
	printf("blocking write %s\n", err(put(fd, 7)));
	pthread_join(t, &drained);
	printf("drained %llx\n", *(unsigned long long *)drained);
	take("rest", fd);
	return 0;
}
