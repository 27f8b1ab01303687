/*
 * Microbenchmarks: one static program, run natively, under other runtimes and
 * under Garrison. Usage: micro [NAME...]; prints "NAME NANOSECONDS" per
 * operation, the median of several rounds. Each round runs for about 30 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS 7
#define ROUND_NS 30000000ULL

static char self[4096];
static char block[65536];
static const char *const data_file = "micro.data";

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000ULL + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void check(int ok, const char *what)
{
	if (!ok)
		die(what);
}

/* --- single operations: each does it n times ---------------------------------- */

static void do_getpid(long n)
{
	while (n--)
		syscall(SYS_getpid);
}

static void do_read_zero(long n)
{
	static int fd = -1;
	char c;

	if (fd < 0)
		check((fd = open("/dev/zero", O_RDONLY)) >= 0, "/dev/zero");
	while (n--)
		check(read(fd, &c, 1) == 1, "read");
}

static int data_fd(void)
{
	static int fd = -1;

	if (fd >= 0)
		return fd;
	check((fd = open(data_file, O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0, data_file);
	for (int i = 0; i < 16; i++)
		check(write(fd, block, sizeof(block)) == sizeof(block), "write");
	return fd;
}

static void do_pread_4k(long n)
{
	int fd = data_fd();

	while (n--)
		check(pread(fd, block, 4096, 8192) == 4096, "pread");
}

static void do_pread_64k(long n)
{
	int fd = data_fd();

	while (n--)
		check(pread(fd, block, 65536, 65536) == 65536, "pread");
}

static void do_write_4k(long n)
{
	int fd = data_fd();

	while (n--)
		check(pwrite(fd, block, 4096, 8192) == 4096, "pwrite");
}

static void do_stat(long n)
{
	struct stat st;

	data_fd();
	while (n--)
		check(stat(data_file, &st) == 0, "stat");
}

static void do_open_close(long n)
{
	data_fd();
	while (n--) {
		int fd = open(data_file, O_RDONLY);

		check(fd >= 0, "open");
		close(fd);
	}
}

static void do_create_unlink(long n)
{
	while (n--) {
		int fd = open("micro.tmp", O_RDWR | O_CREAT | O_EXCL, 0600);

		check(fd >= 0, "create");
		close(fd);
		check(unlink("micro.tmp") == 0, "unlink");
	}
}

static void do_pipe_self(long n)
{
	static int p[2] = {-1, -1};
	char c = 0;

	if (p[0] < 0)
		check(pipe(p) == 0, "pipe");
	while (n--)
		check(write(p[1], &c, 1) == 1 && read(p[0], &c, 1) == 1, "pipe");
}

static void do_mmap(long n)
{
	while (n--) {
		char *p =
		    mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		check(p != MAP_FAILED, "mmap");
		*(volatile char *)p = 1;
		check(munmap(p, 65536) == 0, "munmap");
	}
}

static void do_page_fault(long n)
{
	const size_t chunk = 16 << 20;

	while (n > 0) {
		char *p =
		    mmap(NULL, chunk, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		check(p != MAP_FAILED, "mmap");
		madvise(p, chunk, MADV_NOHUGEPAGE);
		for (size_t i = 0; i < chunk && n > 0; i += 4096, n--)
			((volatile char *)p)[i] = 1;
		munmap(p, chunk);
	}
}

static void do_fork_wait(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		check(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	}
}

static void do_fork_exec_wait(long n)
{
	while (n--) {
		pid_t pid = fork();

		if (pid == 0) {
			execl(self, self, "--exit", NULL);
			_exit(1);
		}
		check(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	}
}

static void *thread_nop(void *arg)
{
	return arg;
}

static void do_thread(long n)
{
	while (n--) {
		pthread_t t;

		check(pthread_create(&t, NULL, thread_nop, NULL) == 0, "pthread_create");
		pthread_join(t, NULL);
	}
}

static void do_compute(long n)
{
	static volatile unsigned long x;

	for (long i = 0; i < n * 1000; i++)
		x += (unsigned long)i;
}

/* --- ping-pong with a partner: a thread or a process ---------------------------- */

static int to_partner[2], from_partner[2];

static void echo_loop(int in, int out)
{
	char c;

	while (read(in, &c, 1) == 1 && write(out, &c, 1) == 1)
		;
}

static void *echo_thread(void *arg)
{
	echo_loop(to_partner[0], from_partner[1]);
	return arg;
}

static void ping(long n)
{
	char c = 0;

	while (n--)
		check(write(to_partner[1], &c, 1) == 1 && read(from_partner[0], &c, 1) == 1,
		      "ping");
}

static void do_pipe_threads(long n)
{
	static int started;
	pthread_t t;

	if (!started++) {
		check(pipe(to_partner) == 0 && pipe(from_partner) == 0, "pipe");
		pthread_create(&t, NULL, echo_thread, NULL);
	}
	ping(n);
}

static void start_echo_process(void)
{
	if (fork() == 0) {
		close(to_partner[1]);
		close(from_partner[0]);
		echo_loop(to_partner[0], from_partner[1]);
		_exit(0);
	}
}

static void do_pipe_processes(long n)
{
	static int started;

	if (!started++) {
		check(pipe(to_partner) == 0 && pipe(from_partner) == 0, "pipe");
		start_echo_process();
	}
	ping(n);
}

static void do_unix_socket(long n)
{
	static int started;
	int a[2];

	if (!started++) {
		check(socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0, "socketpair");
		to_partner[1] = from_partner[0] = a[0];
		to_partner[0] = from_partner[1] = a[1];
		if (fork() == 0) {
			close(a[0]);
			echo_loop(a[1], a[1]);
			_exit(0);
		}
	}
	ping(n);
}

static _Atomic uint32_t futex_turn;

static void futex_pass(uint32_t mine, uint32_t theirs)
{
	uint32_t v;

	while ((v = atomic_load(&futex_turn)) != mine)
		syscall(SYS_futex, &futex_turn, FUTEX_WAIT_PRIVATE, v, NULL, NULL, 0);
	atomic_store(&futex_turn, theirs);
	syscall(SYS_futex, &futex_turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *futex_thread(void *arg)
{
	for (;;)
		futex_pass(1, 0);
	return arg;
}

static void do_futex(long n)
{
	static int started;
	pthread_t t;

	if (!started++)
		pthread_create(&t, NULL, futex_thread, NULL);
	while (n--)
		futex_pass(0, 1);
	while (atomic_load(&futex_turn) != 0)
		;
}

/* getpid by two threads at once: time per call of one of them */
static atomic_int stop_other;

static void *getpid_thread(void *arg)
{
	while (!atomic_load(&stop_other))
		do_getpid(100);
	return arg;
}

static void do_getpid_2(long n)
{
	static int started;
	pthread_t t;

	if (!started++)
		pthread_create(&t, NULL, getpid_thread, NULL);
	do_getpid(n);
}

/* --- the harness --------------------------------------------------------------------- */

static const struct bench {
	const char *name;
	void (*run)(long n);
} benches[] = {
    {"getpid", do_getpid},
    {"getpid, 2 busy threads", do_getpid_2},
    {"read 1 B /dev/zero", do_read_zero},
    {"pread 4 KiB", do_pread_4k},
    {"pread 64 KiB", do_pread_64k},
    {"pwrite 4 KiB", do_write_4k},
    {"stat", do_stat},
    {"open+close", do_open_close},
    {"create+unlink", do_create_unlink},
    {"pipe, self", do_pipe_self},
    {"pipe ping-pong, threads", do_pipe_threads},
    {"pipe ping-pong, processes", do_pipe_processes},
    {"unix socket ping-pong", do_unix_socket},
    {"futex ping-pong", do_futex},
    {"mmap+touch+munmap", do_mmap},
    {"page fault", do_page_fault},
    {"fork+wait", do_fork_wait},
    {"fork+exec+wait", do_fork_exec_wait},
    {"thread create+join", do_thread},
    {"compute (1000 additions)", do_compute},
};

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void measure(const struct bench *b)
{
	double rounds[ROUNDS];
	long n = 1;
	uint64_t start, spent;

	for (;;) { /* find an n that fills a round */
		start = now_ns();
		b->run(n);
		spent = now_ns() - start;
		if (spent > ROUND_NS / 2)
			break;
		n = spent < ROUND_NS / 20 ? n * 10
					  : (long)((double)n * (double)ROUND_NS / (double)spent);
	}
	for (int i = 0; i < ROUNDS; i++) {
		start = now_ns();
		b->run(n);
		rounds[i] = (double)(now_ns() - start) / (double)n;
	}
	qsort(rounds, ROUNDS, sizeof(rounds[0]), by_value);
	printf("%s\t%.1f\n", b->name, rounds[ROUNDS / 2]);
	fflush(stdout);
}

/* Each benchmark runs in a process of its own, so that partners of one end with it. */
static void measure_in_child(const struct bench *b)
{
	pid_t pid = fork();

	if (pid == 0) {
		setpgid(0, 0);
		measure(b);
		unlink(data_file);
		signal(SIGTERM, SIG_IGN);
		kill(0, SIGTERM);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static int wanted(const char *name, int argc, char **argv)
{
	if (argc < 2)
		return 1;
	for (int i = 1; i < argc; i++)
		if (strstr(name, argv[i]))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (argc > 1 && strcmp(argv[1], "--exit") == 0)
		return 0;
	if (n <= 0)
		snprintf(self, sizeof(self), "%s", argv[0]);
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++)
		if (wanted(benches[i].name, argc, argv))
			measure_in_child(&benches[i]);
	return 0;
}
