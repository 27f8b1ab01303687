/* POSIX message queues: priorities, limits, blocking, poll, notification. */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define R(e)                                                                                       \
	({                                                                                         \
		long r_ = (long)(e);                                                               \
		r_ == -1 ? -(long)errno : r_;                                                      \
	})
#define SHOW(e) printf("%s = %ld\n", #e, R(e))

static mqd_t q;
static volatile int signalled;

static void on_usr1(int sig, siginfo_t *info, void *context)
{
	signalled = info->si_value.sival_int * 100 + (info->si_code == SI_MESGQ) +
		    (info->si_pid == getpid()) * 10;
}

static volatile int threaded;
static void in_thread(union sigval v)
{
	threaded = v.sival_int;
}

static short polled(void)
{
	struct pollfd p = {q, POLLIN | POLLOUT, 0};

	poll(&p, 1, 0);
	return p.revents;
}

static void get(void)
{
	unsigned int priority = 77;
	char buf[16] = "";
	long r = R(mq_receive(q, buf, 16, &priority));

	printf("got %ld '%s' priority %u\n", r, buf, priority);
}

static struct timespec soon(int ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ms * 1000000L;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	return ts;
}

int main(void)
{
	struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 16}, b;
	struct sigaction sa = {.sa_sigaction = on_usr1, .sa_flags = SA_SIGINFO};
	struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct timespec ts, bad = {0, 1000000000};
	char buf[32];
	int status;

	setvbuf(stdout, NULL, _IOLBF, 0);
	mq_unlink("/garrison");
	SHOW(mq_open("/garrison", O_RDWR));
	SHOW(mq_open("noslash", O_RDWR | O_CREAT, 0600, NULL));
	SHOW(mq_open("/a/b", O_RDWR | O_CREAT, 0600, NULL));
	SHOW(mq_open("/", O_RDWR | O_CREAT, 0600, NULL));
	a.mq_maxmsg = 0;
	SHOW(mq_open("/garrison", O_RDWR | O_CREAT, 0600, &a));
	a.mq_maxmsg = 4;
	q = mq_open("/garrison", O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0640, &a);
	printf("opened %d cloexec %d\n", q >= 0, fcntl(q, F_GETFD));
	SHOW(mq_open("/garrison", O_RDWR | O_CREAT | O_EXCL, 0600, NULL));
	mq_getattr(q, &b);
	printf("flags %lx maxmsg %ld size %ld cur %ld\n", b.mq_flags, b.mq_maxmsg, b.mq_msgsize,
	       b.mq_curmsgs);
	printf("poll %x\n", polled());
	get();
	SHOW(mq_send(q, "low", 4, 1));
	SHOW(mq_send(q, "high", 5, 9));
	SHOW(mq_send(q, "low2", 5, 1));
	SHOW(mq_send(q, "x", 1, 32768));
	SHOW(mq_send(q, "0123456789abcdefg", 17, 0));
	SHOW(mq_send(q, "mid", 4, 5));
	printf("poll %x\n", polled());
	SHOW(mq_send(q, "full", 5, 0));
	SHOW(mq_receive(q, buf, 15, NULL));
	get();
	get();
	get();
	get();
	b.mq_flags = 0;
	SHOW(mq_setattr(q, &b, NULL));
	ts = soon(30);
	SHOW(mq_timedreceive(q, buf, 16, NULL, &ts));
	SHOW(mq_timedreceive(q, buf, 16, NULL, &bad));
	ts.tv_sec = 0;
	SHOW(mq_timedreceive(q, buf, 16, NULL, &ts));
	/* A blocked receiver gets it, and no notification is sent. */
	sigaction(SIGUSR1, &sa, NULL);
	ev.sigev_value.sival_int = 6;
	SHOW(mq_notify(q, &ev));
	SHOW(mq_notify(q, &ev));
	if (!fork()) {
		memset(buf, 0, sizeof(buf));
		_exit((int)mq_receive(q, buf, 16, NULL) + (strcmp(buf, "child") ? 100 : 0));
	}
	usleep(60000);
	SHOW(mq_send(q, "child", 6, 0));
	wait(&status);
	printf("child %d signalled %d\n", WEXITSTATUS(status), signalled);
	SHOW(mq_send(q, "tell", 5, 0));
	for (int i = 0; i < 1000 && !signalled; i++)
		usleep(1000);
	printf("signalled %d\n", signalled);
	signalled = 0;
	SHOW(mq_send(q, "again", 6, 0));
	usleep(20000);
	printf("only once: %d\n", signalled);
	get();
	get();
	ev.sigev_notify = SIGEV_THREAD;
	ev.sigev_notify_function = in_thread;
	ev.sigev_value.sival_int = 42;
	SHOW(mq_notify(q, &ev));
	SHOW(mq_send(q, "thread", 7, 0));
	for (int i = 0; i < 1000 && !threaded; i++)
		usleep(1000);
	printf("threaded %d\n", threaded);
	get();
	ev.sigev_notify = SIGEV_NONE;
	SHOW(mq_notify(q, &ev));
	SHOW(mq_notify(q, NULL));
	ev.sigev_notify = 99;
	SHOW(mq_notify(q, &ev));
	SHOW(mq_notify(0, NULL));
	mqd_t ro = mq_open("/garrison", O_RDONLY);
	SHOW(mq_send(ro, "x", 1, 0));
	SHOW(mq_close(ro));
	if (!fork()) {
		setresgid(1000, 1000, 1000);
		setresuid(1000, 1000, 1000);
		SHOW(mq_open("/garrison", O_RDONLY));
		a.mq_maxmsg = 11;
		SHOW(mq_open("/garrison2", O_RDONLY | O_CREAT, 0600, &a));
		_exit(0);
	}
	wait(NULL);
	SHOW(mq_unlink("/garrison"));
	SHOW(mq_unlink("/garrison"));
	SHOW(mq_send(q, "still", 6, 0));
	get();
	SHOW(mq_close(q));
	SHOW(mq_close(q));
	return 0;
}
