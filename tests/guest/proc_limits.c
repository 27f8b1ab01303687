/* Resource limits and priorities, prctl's simple options, uname, sysinfo. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

static void limits(void)
{
	struct rlimit r = {64, 128}, old;
	int fds[200], n = 0, status;
	pid_t p;

	printf("setrlimit %s\n", err(setrlimit(RLIMIT_NOFILE, &r)));
	getrlimit(RLIMIT_NOFILE, &old);
	printf("is %ld %ld\n", (long)old.rlim_cur, (long)old.rlim_max);
	while (n < 200 && (fds[n] = open("/proc/self/exe", O_RDONLY)) >= 0)
		n++;
	printf("opened up to 64: %d %s\n", fds[n - 1] == 63, err(-1));
	while (n > 0)
		close(fds[--n]);
	r.rlim_cur = 200;
	printf("soft above hard %s\n", err(setrlimit(RLIMIT_NOFILE, &r)));
	printf("bad resource %s\n", err(syscall(SYS_prlimit64, 0, 50, NULL, &old)));
	printf("nobody %s\n", err(syscall(SYS_prlimit64, 999999, RLIMIT_CORE, NULL, &old)));
	p = fork();
	if (p == 0) {
		struct rlimit in;

		getrlimit(RLIMIT_NOFILE, &in);
		setresuid(1000, 1000, 1000);
		in.rlim_max = 4096;
		printf("inherited %ld, raise %s\n", (long)in.rlim_cur,
		       err(setrlimit(RLIMIT_NOFILE, &in)));
		_exit(0);
	}
	waitpid(p, &status, 0);
}

static void file_size(void)
{
	struct rlimit r = {100, 100};
	int status, fd;
	pid_t p = fork();

	if (p == 0) {
		char path[] = "/tmp/limitXXXXXX", buf[300] = {0};

		fd = mkstemp(path);
		unlink(path);
		setrlimit(RLIMIT_FSIZE, &r);
		printf("write %zd\n", write(fd, buf, 300));
		signal(SIGXFSZ, SIG_IGN);
		printf("ignored: %s\n", err(write(fd, buf, 300)));
		signal(SIGXFSZ, SIG_DFL);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		write(fd, buf, 300);
		_exit(0);
	}
	waitpid(p, &status, 0);
	printf("SIGXFSZ %d\n", WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

static void processes(void)
{
	struct rlimit r = {1, 1};
	int status;
	pid_t p = fork();

	if (p == 0) {
		setresuid(54321, 54321, 54321);
		setrlimit(RLIMIT_NPROC, &r);
		printf("NPROC: %s\n", err(fork()));
		_exit(0);
	}
	waitpid(p, &status, 0);
}

static void pending(void)
{
	struct rlimit r = {3, 3};
	sigset_t set;
	int n = 0, status;
	pid_t p = fork();

	if (p == 0) {
		setresuid(54322, 54322, 54322);
		sigfillset(&set);
		sigprocmask(SIG_BLOCK, &set, NULL);
		setrlimit(RLIMIT_SIGPENDING, &r);
		while (sigqueue(getpid(), SIGRTMIN, (union sigval){0}) == 0)
			n++;
		printf("SIGPENDING: %d then %s, standard %s\n", n, err(-1),
		       err(kill(getpid(), SIGUSR1)));
		_exit(0);
	}
	waitpid(p, &status, 0);
}

static void names(void)
{
	char name[20] = "";
	struct utsname u;

	prctl(PR_SET_NAME, "a name longer than fifteen");
	prctl(PR_GET_NAME, name);
	printf("name '%s'\n", name);
	uname(&u);
	printf("%s %s\n", u.sysname, u.machine);
	printf("personality %d\n", personality(0xffffffff));
	personality(ADDR_NO_RANDOMIZE);
	printf("personality %#x\n", personality(0xffffffff));
	personality(0);
}

static void options(void)
{
	int v = -1;

	printf("pdeathsig %s", err(prctl(PR_SET_PDEATHSIG, SIGUSR1)));
	prctl(PR_GET_PDEATHSIG, &v);
	printf(" %d bad %s\n", v == SIGUSR1, err(prctl(PR_SET_PDEATHSIG, 100)));
	printf("dumpable %d", prctl(PR_GET_DUMPABLE));
	prctl(PR_SET_DUMPABLE, 0);
	printf(" %d bad %s\n", prctl(PR_GET_DUMPABLE), err(prctl(PR_SET_DUMPABLE, 2)));
	printf("timerslack %d", prctl(PR_GET_TIMERSLACK));
	prctl(PR_SET_TIMERSLACK, 1000);
	printf(" %d", prctl(PR_GET_TIMERSLACK));
	prctl(PR_SET_TIMERSLACK, 0);
	printf(" %d\n", prctl(PR_GET_TIMERSLACK));
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	prctl(PR_GET_CHILD_SUBREAPER, &v);
	printf("subreaper %d\n", v);
	printf("unknown %s\n", err(prctl(98765)));
	printf("thp %d\n", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	printf("tsc %s %d\n", err(prctl(PR_GET_TSC, &v)), v);
}

static void scheduling(void)
{
	struct sched_param sp = {.sched_priority = 0};
	cpu_set_t set;
	int n;

	printf("nice %d", getpriority(PRIO_PROCESS, 0));
	printf(" set %s", err(setpriority(PRIO_PROCESS, 0, 5)));
	printf(" %d too much", getpriority(PRIO_PROCESS, 0));
	setpriority(PRIO_PROCESS, 0, 100);
	printf(" %d\n", getpriority(PRIO_PROCESS, 0));
	printf("bad which %s nobody %s\n", err(getpriority(9, 0)),
	       err(getpriority(PRIO_PROCESS, 999999)));
	printf("policy %d batch %s", sched_getscheduler(0),
	       err(sched_setscheduler(0, SCHED_BATCH, &sp)));
	printf(" %d\n", sched_getscheduler(0));
	printf("other with priority %s\n",
	       err(sched_setscheduler(0, SCHED_OTHER, &(struct sched_param){5})));
	printf("bad policy %s\n", err(sched_setscheduler(0, 77, &sp)));
	printf("max %d %d min %d %d\n", sched_get_priority_max(SCHED_FIFO),
	       sched_get_priority_max(SCHED_OTHER), sched_get_priority_min(SCHED_RR),
	       sched_get_priority_min(SCHED_OTHER));
	n = (int)syscall(SYS_sched_getaffinity, 0, sizeof(set), &set);
	printf("affinity %d cpus %d\n", n > 0, CPU_COUNT(&set) > 0);
	CPU_ZERO(&set);
	printf("none %s\n", err(sched_setaffinity(0, sizeof(set), &set)));
	CPU_SET(1000, &set);
	printf("absent %s\n", err(sched_setaffinity(0, sizeof(set), &set)));
	CPU_SET(0, &set);
	printf("first %s", err(sched_setaffinity(0, sizeof(set), &set)));
	sched_getaffinity(0, sizeof(set), &set);
	printf(" %d\n", CPU_COUNT(&set));
	printf("small buffer %s\n", err(syscall(SYS_sched_getaffinity, 0, 3, &set)));
	printf("yield %s\n", err(sched_yield()));
}

static void misc(void)
{
	struct sysinfo si;
	char buf[100] = {0};
	int zero = 1;

	printf("sysinfo %s", err(sysinfo(&si)));
	printf(" memory %d procs %d\n", si.totalram > 0, si.procs > 0);
	printf("getrandom %zd", getrandom(buf, sizeof(buf), 0));
	for (int i = 0; i < 100; i++)
		zero &= buf[i] == 0;
	printf(" zero %d bad flags %s\n", zero, err(getrandom(buf, 1, 64)));
	printf("membarrier %d\n", (int)syscall(SYS_membarrier, 0, 0, 0) > 0);
	printf("not registered %s\n", err(syscall(SYS_membarrier, 8, 0, 0)));
	printf("register %s", err(syscall(SYS_membarrier, 16, 0, 0)));
	printf(" barrier %s\n", err(syscall(SYS_membarrier, 8, 0, 0)));
	printf("kcmp self %ld\n", syscall(SYS_kcmp, getpid(), getpid(), 1, 0, 0));
	dup2(0, 100);
	printf("kcmp files %ld\n", syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 100));
}

int main(void)
{
	setpriority(PRIO_PROCESS, 0, 0); /* a sandbox starts so, whatever its caller has */
	setvbuf(stdout, NULL, _IONBF, 0);
	names();
	options();
	scheduling();
	misc();
	processes();
	pending();
	limits();
	file_size();
	return 0;
}
