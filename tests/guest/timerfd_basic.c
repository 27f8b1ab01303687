/* timerfd_create(2): clocks, one-shot, periodic, absolute, remaining time. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static struct itimerspec spec(long ms, long interval_ms)
{
	return (struct itimerspec){
	    .it_value = {ms / 1000, ms % 1000 * 1000000},
	    .it_interval = {interval_ms / 1000, interval_ms % 1000 * 1000000},
	};
}

static long long take(int fd)
{
	uint64_t n = 0;
	long r = read(fd, &n, 8);

	return r < 0 ? -errno : (long long)n;
}

static int ready(int fd, int ms)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	poll(&p, 1, ms);
	return p.revents;
}

static void clock_test(const char *name, int clock)
{
	struct itimerspec s = spec(20, 0), old;
	int fd = timerfd_create(clock, TFD_NONBLOCK);
	struct timespec now;

	printf("%s: create %s\n", name, err(fd));
	if (fd < 0)
		return;
	printf(" unarmed %lld, ready %d\n", take(fd), ready(fd, 0));
	printf(" settime %s\n", err(timerfd_settime(fd, 0, &s, NULL)));
	printf(" early %lld\n", take(fd));
	printf(" ready %#x\n", ready(fd, 1000));
	printf(" ticks %lld", take(fd));
	printf(", again %lld\n", take(fd));
	timerfd_gettime(fd, &old);
	printf(" disarmed %d\n", old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0);
	clock_gettime(clock, &now);
	s.it_value = now;
	s.it_value.tv_nsec += 20000000;
	if (s.it_value.tv_nsec >= 1000000000)
		s.it_value.tv_nsec -= 1000000000, s.it_value.tv_sec++;
	printf(" absolute %s\n", err(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL)));
	printf(" ready %#x", ready(fd, 1000));
	printf(" ticks %lld\n", take(fd));
	s.it_value.tv_sec = 1;
	printf(" past %s\n", err(timerfd_settime(fd, TFD_TIMER_ABSTIME, &s, NULL)));
	printf(" ready %#x", ready(fd, 1000));
	printf(" ticks %lld\n", take(fd));
	close(fd);
}

int main(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	struct itimerspec s, old;
	struct timespec a, b;
	long long n;
	long ms;
	char small[4];

	printf("bad clock %s\n", err(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0)));
	printf("bad clock %s\n", err(timerfd_create(99, 0)));
	printf("bad flags %s\n", err(timerfd_create(CLOCK_MONOTONIC, 1)));
	printf("fd flags %d %#x\n", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
	clock_test("monotonic", CLOCK_MONOTONIC);
	clock_test("realtime", CLOCK_REALTIME);
	clock_test("boottime", CLOCK_BOOTTIME);
	s = spec(10, 10);
	clock_gettime(CLOCK_MONOTONIC, &a);
	timerfd_settime(fd, 0, &s, NULL);
	usleep(95000);
	n = take(fd);
	clock_gettime(CLOCK_MONOTONIC, &b);
	ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	printf("periodic: %s\n", n >= 9 && n <= ms / 10 + 1 ? "every 10 ms" : "wrong");
	printf("next comes %#x\n", ready(fd, 1000));
	timerfd_gettime(fd, &old);
	printf("interval %ld, remaining sane %d\n", old.it_interval.tv_nsec,
	       old.it_value.tv_nsec > 0 && old.it_value.tv_nsec <= 10000000);
	s = spec(5000, 0);
	printf("replace %s, old interval %ld\n", err(timerfd_settime(fd, 0, &s, &old)),
	       old.it_interval.tv_nsec);
	printf("ticks dropped %lld\n", take(fd));
	timerfd_gettime(fd, &old);
	printf("five seconds %d\n", old.it_value.tv_sec == 4 && old.it_interval.tv_nsec == 0);
	s = spec(0, 10);
	printf("disarm %s\n", err(timerfd_settime(fd, 0, &s, &old)));
	printf("old %d\n", old.it_value.tv_sec == 4);
	timerfd_gettime(fd, &old);
	printf("value %ld interval %ld\n", old.it_value.tv_nsec, old.it_interval.tv_nsec);
	s.it_value.tv_nsec = 1000000000;
	printf("bad nsec %s\n", err(timerfd_settime(fd, 0, &s, NULL)));
	s = spec(10, 0);
	printf("bad settime flags %s\n", err(timerfd_settime(fd, 8, &s, NULL)));
	printf("cancel on set %s\n",
	       err(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &s, NULL)));
	printf("not a timerfd %s\n", err(timerfd_settime(0, 0, &s, NULL)));
	printf("bad fd %s\n", err(timerfd_gettime(999, &s)));
	printf("short read %s\n", err(read(fd, small, 4)));
	printf("write %s\n", err(write(fd, "12345678", 8)));
	fcntl(fd, F_SETFL, 0);
	s = spec(30, 0);
	timerfd_settime(fd, 0, &s, NULL);
	printf("blocking read %lld\n", take(fd));
	return 0;
}
