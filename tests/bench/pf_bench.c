/*
 * Times the platform alone: round trips from guest code to the sentry and back,
 * memory calls, processes. Usage: pf_bench [systrap|ptrace] [ncpus] [nospin]
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/host.h"
#include "sentry/platform/platform.h"

#define CODE 0x100000ULL
#define DATA 0x200000ULL

#define GUEST(name, text)                                                                          \
	extern const char name[], name##_end[];                                                    \
	__asm__(".pushsection .rodata\n" #name ":\n" text "\n" #name "_end:\n.popsection")

GUEST(g_getpid, "1: mov $39, %eax; syscall; jmp 1b");
GUEST(g_compute, "1: mov $2000, %ecx; 2: dec %ecx; jnz 2b; mov $39, %eax; syscall; jmp 1b");

static struct pf_zygote *zygote;

static void fail(const char *what, long r)
{
	fprintf(stderr, "%s: %ld\n", what, r);
	exit(1);
}

static void need(const char *what, long r)
{
	if (r < 0)
		fail(what, r);
}

static struct pf_thread *start(const char *code, const char *end, struct pf_space **space)
{
	struct pf_thread *t;

	need("space", pf_space_new(zygote, space, &t));
	pf_thread_attach(t);
	need("mmap", pf_mmap(t, UADDR(CODE), 0x1000, 7, MAP_PRIVATE, -1, 0));
	need("write", pf_thread_write(t, UADDR(CODE), code, (size_t)(end - code)));
	pf_regs_mut(t)->rip = CODE;
	return t;
}

static void run_once(struct pf_thread *t)
{
	struct pf_event e;

	pf_run(t, &e);
	if (e.kind != PF_SYSCALL)
		fail("event", e.kind);
	pf_set_result(t, 1);
}

static void report(const char *what, uint64_t start_ns, int n)
{
	struct rusage ru;

	getrusage(RUSAGE_SELF, &ru);
	printf("%-28s %8.2f us\n", what, (double)(host_monotonic_ns() - start_ns) / n / 1000);
}

static void *round_trips(void *arg)
{
	struct pf_space *s;
	struct pf_thread *t = start(g_getpid, g_getpid_end, &s);
	int n = *(int *)arg;

	for (int i = 0; i < n; i++)
		run_once(t);
	pf_thread_exit(t);
	pf_space_put(s);
	return NULL;
}

static void bench_trips(int threads, int n)
{
	pthread_t host[16];
	uint64_t t0 = host_monotonic_ns();
	char what[40];

	for (int i = 0; i < threads; i++)
		pthread_create(&host[i], NULL, round_trips, &n);
	for (int i = 0; i < threads; i++)
		pthread_join(host[i], NULL);
	snprintf(what, sizeof(what), "round trip, %d thread(s)", threads);
	report(what, t0, n);
}

static void bench_memory(int n)
{
	struct pf_space *s;
	struct pf_thread *t = start(g_getpid, g_getpid_end, &s);
	int fd = host_memfd_create("bench", 0);
	uint64_t t0;
	char page[4096];

	need("truncate", host_ftruncate(fd, 0x10000));
	run_once(t);
	t0 = host_monotonic_ns();
	for (int i = 0; i < n; i++) {
		run_once(t);
		need("mmap", pf_mmap(t, UADDR(DATA), 0x10000, 3, MAP_PRIVATE, -1, 0));
		run_once(t);
		need("munmap", pf_munmap(t, UADDR(DATA), 0x10000));
	}
	report("guest mmap+munmap", t0, n);
	t0 = host_monotonic_ns();
	for (int i = 0; i < n; i++)
		need("mmap", pf_mmap(t, UADDR(DATA), 0x10000, 3, MAP_PRIVATE, fd, 0));
	report("file mmap", t0, n);
	t0 = host_monotonic_ns();
	for (int i = 0; i < n; i++)
		need("read", pf_space_read(s, UADDR(CODE), page, sizeof(page)));
	report("read 4k", t0, n);
	host_close(fd);
	pf_thread_exit(t);
	pf_space_put(s);
}

static void bench_processes(int n)
{
	struct pf_space *s, *cs;
	struct pf_thread *t = start(g_getpid, g_getpid_end, &s), *ct;
	uint64_t t0;

	run_once(t);
	t0 = host_monotonic_ns();
	for (int i = 0; i < n; i++) {
		need("fork", pf_space_fork(t, &cs, &ct));
		pf_thread_attach(ct);
		run_once(ct);
		pf_thread_exit(ct);
		pf_space_put(cs);
	}
	report("fork+run+exit", t0, n);
	t0 = host_monotonic_ns();
	for (int i = 0; i < n; i++) {
		ct = start(g_getpid, g_getpid_end, &cs);
		run_once(ct);
		pf_thread_exit(ct);
		pf_space_put(cs);
	}
	report("new space+run+exit", t0, n);
	t0 = host_monotonic_ns();
	for (int i = 0; i < n; i++) {
		need("thread", pf_thread_new(t, &ct));
		pf_thread_attach(ct);
		run_once(ct);
		pf_thread_exit(ct);
	}
	report("thread+run+exit", t0, n);
	pf_thread_exit(t);
	pf_space_put(s);
}

int main(int argc, char **argv)
{
	struct pf_config config = {
	    .name = argc > 1 ? argv[1] : "systrap",
	    .ncpus = argc > 2 ? (unsigned int)atoi(argv[2]) : 2,
	    .spin = argc <= 3,
	};
	struct pf_stats st;

	/* no stub outlives a failure */
	if (unshare(CLONE_NEWPID) == 0) {
		pid_t pid = fork();
		int status;

		if (pid > 0) {
			waitpid(pid, &status, 0);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		}
	}
	need("pf_init", pf_init(&config));
	need("zygote", pf_zygote_new(&zygote));
	bench_trips(1, 100000);
	bench_trips(2, 30000);
	bench_trips(4, 10000);
	bench_memory(5000);
	bench_processes(500);
	pf_stats(&st);
	printf("syscalls %lu spins won %lu sleeps %lu asks %lu\n", st.syscalls, st.spins_won,
	       st.sleeps, st.asks);
	pf_zygote_put(zygote);
	pf_shutdown();
	return 0;
}
