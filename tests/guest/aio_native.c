/* Native AIO: contexts, reads and writes, vectors, syncs, polls, eventfds, errors. */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static aio_context_t ctx;

static void result(const char *what, long r)
{
	printf("%s: ", what);
	if (r < 0)
		printf("%s\n", strerrorname_np(errno));
	else
		printf("%ld\n", r);
}

static long submit(struct iocb *cb)
{
	struct iocb *list[] = {cb};

	return syscall(SYS_io_submit, ctx, 1L, list);
}

static void collect(const char *what, long min)
{
	struct io_event e[8];
	struct timespec ts = {.tv_sec = min ? 3 : 0};
	long n = syscall(SYS_io_getevents, ctx, min, 8L, e, &ts);

	result(what, n);
	for (long i = 0; i < n; i++)
		printf("  data %llu res %lld res2 %lld obj %d\n", (unsigned long long)e[i].data,
		       /* Whether POLLRDNORM comes with POLLIN depends on timing. */
		       (long long)(e[i].data >= 23 ? e[i].res & ~0x40LL : e[i].res),
		       (long long)e[i].res2, e[i].obj != 0);
}

static struct iocb op(int code, int fd, void *buf, size_t n, long long at, uint64_t data)
{
	return (struct iocb){.aio_lio_opcode = (uint16_t)code,
			     .aio_fildes = (uint32_t)fd,
			     .aio_buf = (uintptr_t)buf,
			     .aio_nbytes = n,
			     .aio_offset = at,
			     .aio_data = data};
}

static void contexts(void)
{
	aio_context_t c = 0, wrong = 1;

	result("setup 0", syscall(SYS_io_setup, 0, &c));
	result("setup used", syscall(SYS_io_setup, 1, &wrong));
	result("setup bad pointer", syscall(SYS_io_setup, 1, NULL));
	result("setup huge", syscall(SYS_io_setup, 1 << 29, &c));
	result("setup", syscall(SYS_io_setup, 8, &c));
	result("destroy", syscall(SYS_io_destroy, c));
	result("again", syscall(SYS_io_destroy, c));
	result("submit to none", syscall(SYS_io_submit, c, 0L, NULL));
	result("getevents of none", syscall(SYS_io_getevents, c, 0L, 1L, NULL, NULL));
	result("setup", syscall(SYS_io_setup, 16, &ctx));
	result("nothing", syscall(SYS_io_submit, ctx, 0L, NULL));
	result("negative", syscall(SYS_io_submit, ctx, -1L, NULL));
	result("min over nr", syscall(SYS_io_getevents, ctx, 2L, 1L, NULL, NULL));
	result("bad list", syscall(SYS_io_submit, ctx, 1L, NULL));
}

static void files(int fd)
{
	char buf[16] = "";
	struct iovec v[2] = {{"hello ", 6}, {"world", 5}};
	struct iocb w = op(IOCB_CMD_PWRITEV, fd, v, 2, 0, 1),
		    r = op(IOCB_CMD_PREAD, fd, buf, 11, 0, 2),
		    s = op(IOCB_CMD_FSYNC, fd, NULL, 0, 0, 3),
		    d = op(IOCB_CMD_FDSYNC, fd, NULL, 0, 0, 4),
		    end = op(IOCB_CMD_PREAD, fd, buf, 5, 100, 5),
		    fault = op(IOCB_CMD_PREAD, fd, (void *)8, 5, 0, 6),
		    p = op(IOCB_CMD_PWRITE, fd, "J", 1, 0, 7);
	struct iocb *list[] = {&w, &r, &s, &d, &end, &fault, &p};

	result("writev", submit(&w));
	collect("event", 1);
	result("read", submit(&r));
	collect("event", 1);
	printf("read: %s\n", buf);
	for (int i = 2; i < 7; i++) {
		result("submit", submit(list[i]));
		collect("event", 1);
	}
	result("several", syscall(SYS_io_submit, ctx, 2L, list));
	collect("at least two", 2);
	collect("none", 0);
}

static void errors(int fd)
{
	char buf[8];
	struct iocb cb = op(IOCB_CMD_PREAD, 99, buf, 8, 0, 0);
	int ro = open("/proc/self/exe", O_RDONLY), p[2];

	result("bad fd", submit(&cb));
	cb = op(77, fd, buf, 8, 0, 0);
	result("bad code", submit(&cb));
	cb = op(IOCB_CMD_NOOP, fd, buf, 8, 0, 0);
	result("noop", submit(&cb));
	cb = op(IOCB_CMD_PWRITE, ro, buf, 8, 0, 0);
	result("write to read-only", submit(&cb));
	cb = op(IOCB_CMD_PREAD, fd, buf, 8, -5, 0);
	result("negative offset", submit(&cb));
	cb = op(IOCB_CMD_PREAD, fd, buf, (size_t)-1, 0, 0);
	result("negative size", submit(&cb));
	cb = op(IOCB_CMD_FSYNC, fd, buf, 8, 0, 0);
	result("sync with a buffer", submit(&cb));
	cb = op(IOCB_CMD_PREAD, fd, buf, 8, 0, 0);
	cb.aio_reserved2 = 1;
	result("reserved", submit(&cb));
	cb = op(IOCB_CMD_PREAD, fd, buf, 8, 0, 0);
	cb.aio_rw_flags = 0x40000000;
	result("rw flags", submit(&cb));
	cb = op(IOCB_CMD_PREAD, fd, buf, 8, 0, 0);
	cb.aio_flags = IOCB_FLAG_RESFD;
	cb.aio_resfd = (uint32_t)fd;
	result("no eventfd", submit(&cb));
	if (pipe(p) == 0) {
		cb = op(IOCB_CMD_FSYNC, p[0], NULL, 0, 0, 0);
		result("sync of a pipe", submit(&cb));
	}
	collect("nothing came of it", 0);
}

static void pipes(void)
{
	char buf[8] = "";
	int p[2], ev = eventfd(0, 0);
	uint64_t n = 0;
	struct iocb w, r, l;

	if (pipe(p))
		return;
	w = op(IOCB_CMD_PWRITE, p[1], "abc", 3, 0, 21);
	w.aio_flags = IOCB_FLAG_RESFD;
	w.aio_resfd = (uint32_t)ev;
	result("write", submit(&w));
	collect("event", 1);
	if (read(ev, &n, 8) == 8)
		printf("eventfd %d\n", (int)n);
	r = op(IOCB_CMD_PREAD, p[0], buf, 8, 0, 22);
	result("read", submit(&r));
	collect("event", 1);
	printf("%s\n", buf);
	l = op(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0, 23);
	result("poll", submit(&l));
	collect("not yet", 0);
	if (write(p[1], "x", 1) == 1)
		collect("now", 1);
	l = op(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0, 24);
	result("poll of what is ready", submit(&l));
	collect("event", 1);
	(void)!read(p[0], buf, 1);
	l = op(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0, 25);
	result("poll", submit(&l));
	if (fork() == 0) {
		usleep(30000);
		(void)!write(p[1], "y", 1);
		_exit(0);
	}
	collect("while waiting", 1);
	wait(NULL);
	(void)!read(p[0], buf, 1);
	l = op(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0, 26);
	result("poll", submit(&l));
	struct io_event e;
	result("cancel", syscall(SYS_io_cancel, ctx, &l, &e));
	collect("event", 1);
	result("cancel again", syscall(SYS_io_cancel, ctx, &l, &e));
	l = op(IOCB_CMD_POLL, p[0], (void *)0x10000, 0, 0, 26);
	result("poll of more bits", submit(&l));
	l = op(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0, 27);
	result("poll that is left", submit(&l));
}

int main(void)
{
	char name[] = "/tmp/aio.XXXXXX";
	int fd = mkstemp(name);

	setvbuf(stdout, NULL, _IOLBF, 0);
	unlink(name);
	contexts();
	files(fd);
	errors(fd);
	pipes();
	result("destroy", syscall(SYS_io_destroy, ctx));
	return 0;
}
