/* mmap, munmap, mprotect: results, errors, and what lands where. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096UL
static sigjmp_buf jump;
static int fault_sig, fault_code;

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	fault_sig = sig;
	fault_code = si->si_code;
	siglongjmp(jump, 1);
}

static const char *touch(volatile char *p, int write)
{
	if (sigsetjmp(jump, 1))
		return fault_sig == SIGBUS	   ? "SIGBUS"
		       : fault_code == SEGV_MAPERR ? "MAPERR"
		       : fault_code == SEGV_ACCERR ? "ACCERR"
						   : "SEGV?";
	if (write)
		*p = 1;
	else
		(void)*p;
	return "ok";
}

static void result(const char *what, void *p)
{
	printf("%s: %s\n", what, p == MAP_FAILED ? strerrorname_np(errno) : "ok");
}

static void ret(const char *what, long r)
{
	printf("%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
}

int main(void)
{
	struct sigaction sa = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
	char *p, *q;
	int fd, ro;

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);

	result("anonymous",
	       p = mmap(NULL, 8 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("touch %s %d\n", touch(p, 1), p[1]);
	result("length 0", mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	result("no type", mmap(NULL, P, PROT_READ, MAP_ANONYMOUS, -1, 0));
	result("both types anonymous",
	       mmap(NULL, P, PROT_READ, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
	result("huge length", mmap(NULL, 1UL << 62, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	result("wrapping length", mmap(NULL, -1UL, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	result("unaligned fixed",
	       mmap(p + 1, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	result("noreplace on it",
	       mmap(p, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
	result("bad fd", mmap(NULL, P, PROT_READ, MAP_PRIVATE, 99, 0));
	result("fixed in it",
	       q = mmap(p + 2 * P, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	printf("same place %d, write %s, read %s, before %d\n", q == p + 2 * P, touch(q, 1),
	       touch(q, 0), p[0]);
	result("32 bit",
	       q = mmap(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0));
	printf("below 2 GiB %d\n", (unsigned long)q < 1UL << 31);
	result("hint",
	       q = mmap((void *)0x10000000, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("hint taken %d\n", q == (void *)0x10000000);
	result("hint unaligned",
	       q = mmap((void *)0x10002001, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("rounded %#lx\n", (unsigned long)q);
	result("hint occupied",
	       q = mmap((void *)0x10000000, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	printf("elsewhere %d\n", q != (void *)0x10000000);

	ret("munmap middle", munmap(p + 4 * P, P));
	printf("hole %s, after %s\n", touch(p + 4 * P, 0), touch(p + 5 * P, 1));
	ret("munmap again", munmap(p + 4 * P, P));
	ret("munmap unaligned", munmap(p + 1, P));
	ret("munmap 0", munmap(p, 0));
	ret("munmap wrap", munmap(p, -P));

	ret("mprotect ro", mprotect(p, P, PROT_READ));
	printf("write %s read %s\n", touch(p, 1), touch(p, 0));
	ret("mprotect none", mprotect(p, P, PROT_NONE));
	printf("read %s\n", touch(p, 0));
	ret("mprotect rw", mprotect(p, P, PROT_READ | PROT_WRITE));
	printf("kept %d write %s\n", p[0], touch(p, 1));
	ret("mprotect over hole", mprotect(p + 3 * P, 3 * P, PROT_READ));
	printf("before hole %s after hole %s\n", touch(p + 3 * P, 1), touch(p + 5 * P, 1));
	ret("mprotect unaligned", mprotect(p + 5, P, PROT_READ));
	ret("mprotect bad prot", mprotect(p, P, 0x80));
	ret("mprotect 0", mprotect(p, 0, PROT_READ));
	ret("mprotect grows both", mprotect(p, P, PROT_READ | PROT_GROWSDOWN | PROT_GROWSUP));
	ret("mprotect growsdown plain", mprotect(p, P, PROT_READ | PROT_GROWSDOWN));
	ret("mprotect unmapped", mprotect((void *)0x20000000, P, PROT_READ));

	fd = open("f", O_RDWR | O_CREAT | O_TRUNC, 0600);
	ret("write", write(fd, "hello", 5));
	ro = open("f", O_RDONLY);
	result("shared rw of ro", mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0));
	result("private rw of ro", q = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0));
	q[0] = 'J';
	printf("%.5s\n", q);
	result("shared ro", q = mmap(NULL, 2 * P, PROT_READ, MAP_SHARED, ro, 0));
	ret("make it writable", mprotect(q, P, PROT_READ | PROT_WRITE));
	printf("past the end %s, in last page %d\n", touch(q + P, 0), q[100]);
	result("offset unaligned", mmap(NULL, P, PROT_READ, MAP_SHARED, ro, 100));
	result("offset beyond", p = mmap(NULL, P, PROT_READ, MAP_SHARED, ro, 16 * P));
	printf("there %s\n", touch(p, 0));
	result("offset overflow", mmap(NULL, 2 * P, PROT_READ, MAP_SHARED, ro, -P));
	result("shared rw", p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	p[1] = 'E';
	printf("seen by other map %.5s\n", q);
	{
		char buf[6] = "";
		pread(fd, buf, 5, 0);
		printf("seen by read %s\n", buf);
		pwrite(fd, "L", 1, 2);
		printf("write seen by map %.5s\n", p);
	}
	ret("msync", msync(p, P, MS_SYNC));
	ret("msync both", msync(p, P, MS_SYNC | MS_ASYNC));
	ret("msync bad", msync(p, P, 64));
	ret("msync unaligned", msync(p + 1, P, MS_SYNC));
	ret("msync unmapped", msync((void *)0x20000000, P, MS_SYNC));
	ret("ftruncate", ftruncate(fd, 2 * P));
	printf("grown %s\n", touch(q + P, 0));
	ret("ftruncate", ftruncate(fd, 0));
	printf("shrunk %s\n", touch(q, 0));
	result("validate", mmap(NULL, P, PROT_READ, MAP_SHARED_VALIDATE, fd, 0));
	result("validate sync", mmap(NULL, P, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
	result("write only fd", mmap(NULL, P, PROT_READ, MAP_PRIVATE, open("f", O_WRONLY), 0));
	result("directory", mmap(NULL, P, PROT_READ, MAP_PRIVATE, open(".", O_RDONLY), 0));
	result("O_PATH", mmap(NULL, P, PROT_READ, MAP_PRIVATE, open("f", O_PATH), 0));
	{
		int pipefd[2];
		pipe(pipefd);
		result("pipe", mmap(NULL, P, PROT_READ, MAP_PRIVATE, pipefd[0], 0));
	}
	result("/dev/zero private", p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE,
					     open("/dev/zero", O_RDWR), 0));
	printf("%s %d\n", touch(p, 1), p[1]);
	result("/dev/null", mmap(NULL, P, PROT_READ, MAP_PRIVATE, open("/dev/null", O_RDWR), 0));
	result("/dev/zero shared",
	       p = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, open("/dev/zero", O_RDWR), 0));
	result("shared anonymous",
	       q = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	fflush(stdout);
	if (fork() == 0) {
		p[0] = 11;
		q[0] = 12;
		_exit(0);
	}
	wait(NULL);
	printf("over fork %d %d\n", p[0], q[0]);
	unlink("f");
	return 0;
}
