/* Signals: queues, masks, siginfo, kill's rules, sigwait, restarting, stacks. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static volatile int count, codes[16], values[16], sigs[16];
static volatile pid_t senders[16];

static void note(int sig, siginfo_t *si, void *uc)
{
	if (count < 16) {
		sigs[count] = sig;
		codes[count] = si->si_code;
		values[count] = si->si_value.sival_int;
		senders[count] = si->si_pid;
	}
	count++;
}

static void handle(int sig, int flags)
{
	struct sigaction sa = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | flags};

	sigaction(sig, &sa, NULL);
}

static void block(int how, int sig)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	sigprocmask(how, &set, NULL);
}

static void queues(void)
{
	sigset_t pending;

	handle(SIGUSR1, 0);
	handle(SIGRTMIN + 3, 0);
	handle(SIGRTMIN + 1, 0);
	block(SIG_BLOCK, SIGUSR1);
	block(SIG_BLOCK, SIGRTMIN + 1);
	block(SIG_BLOCK, SIGRTMIN + 3);
	kill(getpid(), SIGUSR1);
	kill(getpid(), SIGUSR1);
	for (int i = 0; i < 3; i++) {
		sigqueue(getpid(), SIGRTMIN + 3, (union sigval){.sival_int = i});
		sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i});
	}
	sigpending(&pending);
	printf("pending %d %d %d\n", sigismember(&pending, SIGUSR1),
	       sigismember(&pending, SIGRTMIN + 1), sigismember(&pending, SIGUSR2));
	count = 0;
	block(SIG_UNBLOCK, SIGUSR1);
	printf("standard merged: %d code %d from me %d\n", count, codes[0], senders[0] == getpid());
	count = 0;
	sigset_t all;
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	printf("real-time: %d:", count);
	for (int i = 0; i < count && i < 16; i++)
		printf(" %d=%d/%d", sigs[i] - SIGRTMIN, values[i], codes[i]);
	printf("\n");
	count = 0;
	raise(SIGUSR1);
	printf("raise code %d\n", codes[0]);
}

static volatile int depth, max_depth, calls;

static void nested(int sig)
{
	depth++;
	if (depth > max_depth)
		max_depth = depth;
	if (++calls < 3)
		raise(SIGUSR2);
	depth--;
}

static void defer(void)
{
	struct sigaction sa = {.sa_handler = nested};

	sigaction(SIGUSR2, &sa, NULL);
	depth = max_depth = calls = 0;
	raise(SIGUSR2);
	printf("deferred: depth %d\n", max_depth);
	sa.sa_flags = SA_NODEFER;
	sigaction(SIGUSR2, &sa, NULL);
	depth = max_depth = calls = 0;
	raise(SIGUSR2);
	printf("SA_NODEFER: depth %d\n", max_depth);
	sa.sa_flags = SA_RESETHAND;
	sa.sa_handler = SIG_IGN;
	sigaction(SIGUSR2, &sa, NULL);
	sa.sa_handler = nested;
	sigaction(SIGUSR2, &sa, NULL);
	raise(SIGUSR2);
	sigaction(SIGUSR2, NULL, &sa);
	printf("SA_RESETHAND: default %d\n", sa.sa_handler == SIG_DFL);
	printf("SIGKILL: %s\n", err(sigaction(SIGKILL, &(struct sigaction){0}, NULL)));
	printf("65: %s\n", err(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8)));
	printf("size: %s\n", err(syscall(SYS_rt_sigaction, 10, NULL, NULL, 4)));
}

static void kills(void)
{
	pid_t p;
	int status;

	printf("kill 0 self %s\n", err(kill(getpid(), 0)));
	printf("bad signal %s\n", err(kill(getpid(), 99)));
	printf("nobody %s\n", err(kill(999999, 0)));
	printf("empty group %s\n", err(kill(-999999, 0)));
	printf("tgkill wrong group %s\n", err(syscall(SYS_tgkill, 999999, gettid(), 0)));
	printf("tgkill 0 %s\n", err(syscall(SYS_tgkill, 0, 0, 0)));
	printf("tkill -1 %s\n", err(syscall(SYS_tkill, -1, 0)));
	p = fork();
	if (p == 0) {
		setresuid(1000, 1000, 1000);
		_exit(kill(getppid(), 0) == 0 ? 0 : errno);
	}
	waitpid(p, &status, 0);
	printf("unprivileged: %s\n", strerrorname_np(WEXITSTATUS(status)));
	p = fork();
	if (p == 0) {
		siginfo_t si = {.si_code = SI_USER};

		_exit(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &si) == 0 ? 0 : errno);
	}
	waitpid(p, &status, 0);
	printf("forged siginfo: %s\n", strerrorname_np(WEXITSTATUS(status)));
}

static void waits(void)
{
	struct timespec zero = {0}, some = {.tv_nsec = 20000000};
	siginfo_t si;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("nothing: %s\n", err(sigtimedwait(&set, &si, &zero)));
	printf("timeout: %s\n", err(sigtimedwait(&set, &si, &some)));
	sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 7});
	printf("got %d", sigwaitinfo(&set, &si) == SIGRTMIN);
	printf(" code %d value %d\n", si.si_code, si.si_value.sival_int);
	if (fork() == 0) {
		usleep(20000);
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	printf("woken %d code %d\n", sigwaitinfo(&set, &si), si.si_code);
	wait(NULL);
	handle(SIGALRM, 0);
	struct itimerval it = {.it_value.tv_usec = 20000};
	setitimer(ITIMER_REAL, &it, NULL);
	printf("interrupted: %s\n", err(sigwaitinfo(&set, &si)));
	sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void suspend(void)
{
	sigset_t none, now;

	handle(SIGUSR1, 0);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	sigemptyset(&none);
	count = 0;
	printf("sigsuspend: %s", err(sigsuspend(&none)));
	sigprocmask(SIG_BLOCK, NULL, &now);
	printf(" handled %d still blocked %d\n", count, sigismember(&now, SIGUSR1));
	raise(SIGUSR1);
	count = 0;
	printf("pselect: %s", err(pselect(0, NULL, NULL, NULL, NULL, &none)));
	sigprocmask(SIG_BLOCK, NULL, &now);
	printf(" handled %d still blocked %d\n", count, sigismember(&now, SIGUSR1));
	block(SIG_UNBLOCK, SIGUSR1);
}

static void alarm_soon(void)
{
	struct itimerval it = {.it_value.tv_usec = 30000};

	setitimer(ITIMER_REAL, &it, NULL);
}

static void restarts(void)
{
	struct timespec ts = {.tv_sec = 2}, rem = {0};
	int p[2];
	char c;
	pid_t child;

	pipe(p);
	handle(SIGALRM, 0);
	alarm_soon();
	printf("read: %s\n", err(read(p[0], &c, 1)));
	handle(SIGALRM, SA_RESTART);
	child = fork();
	if (child == 0) {
		usleep(100000);
		write(p[1], "x", 1);
		_exit(0);
	}
	count = 0;
	alarm_soon();
	printf("read with SA_RESTART: %zd, handled %d\n", read(p[0], &c, 1), count);
	waitpid(child, NULL, 0);
	alarm_soon();
	printf("nanosleep: %s", err(nanosleep(&ts, &rem)));
	printf(" left %d\n", rem.tv_sec <= 1 && rem.tv_sec * 1000 + rem.tv_nsec > 0);
	alarm_soon();
	printf("pause: %s\n", err(pause()));
	child = fork();
	if (child == 0) {
		usleep(150000);
		_exit(0);
	}
	alarm_soon();
	printf("wait with SA_RESTART: %d\n", wait(NULL) == child);
	handle(SIGALRM, 0);
	child = fork();
	if (child == 0) {
		usleep(100000);
		_exit(0);
	}
	alarm_soon();
	printf("wait: %s\n", err(wait(NULL)));
	wait(NULL);
	/* A stop and continue without a handler restarts nanosleep. */
	child = fork();
	if (child == 0) {
		struct timespec t = {.tv_nsec = 200000000};

		_exit(nanosleep(&t, NULL) == 0 ? 0 : errno);
	}
	usleep(30000);
	kill(child, SIGSTOP);
	usleep(30000);
	kill(child, SIGCONT);
	int status;
	waitpid(child, &status, 0);
	printf("nanosleep over stop: %d\n", WEXITSTATUS(status));
}

static sigjmp_buf env;
static char altstack[1 << 16];
static volatile int on_alt;
static volatile int fault_code, fault_sig;
static void *volatile fault_addr;

static void on_fault(int sig, siginfo_t *si, void *uc)
{
	char here;

	fault_sig = sig;
	fault_code = si->si_code;
	fault_addr = si->si_addr;
	on_alt = &here >= altstack && &here < altstack + sizeof(altstack);
	siglongjmp(env, 1);
}

__attribute__((noinline)) static int overflow(volatile char *p)
{
	volatile char big[4096];

	big[0] = *p;
	return max_depth < 0 ? 0 : overflow(big) + big[0];
}

static void faults(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack)}, old;
	volatile char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	volatile int zero = 0;

	printf("sigaltstack %s\n", err(sigaltstack(&ss, NULL)));
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	if (!sigsetjmp(env, 1))
		*(volatile char *)8 = 1;
	printf("null: sig %d code %d addr %p alt %d\n", fault_sig, fault_code, fault_addr, on_alt);
	if (!sigsetjmp(env, 1))
		*ro = 1;
	printf("read-only: sig %d code %d addr %d\n", fault_sig, fault_code, fault_addr == ro);
	if (!sigsetjmp(env, 1))
		printf("%d\n", 5 / zero);
	printf("divide: sig %d code %d\n", fault_sig, fault_code);
	if (!sigsetjmp(env, 1))
		__asm__ volatile("ud2");
	printf("ud2: sig %d code %d\n", fault_sig, fault_code);
	if (!sigsetjmp(env, 1))
		__asm__ volatile("int3");
	printf("int3: sig %d code %d\n", fault_sig, fault_code);
	if (!sigsetjmp(env, 1))
		__asm__ volatile("hlt");
	printf("hlt: sig %d code %d addr %p\n", fault_sig, fault_code, fault_addr);
	if (!sigsetjmp(env, 1))
		*(volatile char *)0x8000000000000000UL = 1;
	printf("non-canonical: sig %d code %d addr %p\n", fault_sig, fault_code, fault_addr);
	if (!sigsetjmp(env, 1))
		overflow(altstack);
	printf("overflow: sig %d alt %d\n", fault_sig, on_alt);
	sigaltstack(NULL, &old);
	printf("altstack: flags %d size %d\n", old.ss_flags, old.ss_size == sizeof(altstack));
	ss.ss_size = 100;
	printf("too small: %s\n", err(sigaltstack(&ss, NULL)));
	ss.ss_flags = 77;
	printf("bad flags: %s\n", err(sigaltstack(&ss, NULL)));
}

static void autodisarm_handler(int sig)
{
	stack_t now;

	sigaltstack(NULL, &now);
	on_alt = now.ss_flags;
}

static void autodisarm(void)
{
	stack_t ss = {.ss_sp = altstack, .ss_size = sizeof(altstack), .ss_flags = (int)(1U << 31)},
		now;
	struct sigaction sa = {.sa_handler = autodisarm_handler, .sa_flags = SA_ONSTACK};

	sigaltstack(&ss, NULL);
	sigaction(SIGUSR1, &sa, NULL);
	raise(SIGUSR1);
	sigaltstack(NULL, &now);
	printf("autodisarm: inside %#x, after %#x\n", on_alt, now.ss_flags);
	ss.ss_flags = SS_DISABLE;
	sigaltstack(&ss, NULL);
}

static void forced(void)
{
	int status;
	pid_t p = fork();

	if (p == 0) {
		signal(SIGSEGV, SIG_IGN);
		*(volatile char *)8 = 1;
		_exit(0);
	}
	waitpid(p, &status, 0);
	printf("ignored fault kills: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
	p = fork();
	if (p == 0) {
		block(SIG_BLOCK, SIGFPE);
		handle(SIGFPE, 0);
		volatile int zero = 0;
		_exit(1 / zero);
	}
	waitpid(p, &status, 0);
	printf("blocked fault kills: %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : -1);
}

static volatile int stop_thread, in_thread;

static void in_which(int sig)
{
	in_thread = gettid() != getpid();
}

static void *spin(void *arg)
{
	while (!stop_thread)
		;
	return NULL;
}

static void threads(void)
{
	pthread_t t;

	signal(SIGUSR1, in_which);
	pthread_create(&t, NULL, spin, NULL);
	in_thread = -1;
	pthread_kill(t, SIGUSR1);
	while (in_thread == -1)
		usleep(1000);
	printf("to the thread: %d\n", in_thread);
	in_thread = -1;
	block(SIG_BLOCK, SIGUSR1);
	kill(getpid(), SIGUSR1);
	while (in_thread == -1)
		usleep(1000);
	printf("to the only one that takes it: %d\n", in_thread);
	block(SIG_UNBLOCK, SIGUSR1);
	stop_thread = 1;
	pthread_join(t, NULL);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	queues();
	defer();
	kills();
	waits();
	suspend();
	restarts();
	faults();
	autodisarm();
	forced();
	threads();
	return 0;
}
