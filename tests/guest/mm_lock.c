/* The mlock family against RLIMIT_MEMLOCK, without the privilege. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define P 4096UL

static void ret(const char *what, long r)
{
	printf("%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
}

static void show_locked(void)
{
	char line[200];
	FILE *f = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "VmLck", 5) == 0)
			fputs(line, stdout);
	fclose(f);
}

static void limit(unsigned long n)
{
	struct rlimit r = {n, 64 * P};

	ret("setrlimit", setrlimit(RLIMIT_MEMLOCK, &r));
}

int main(void)
{
	char *p;

	if (setuid(12345))
		return 1;
	prctl(PR_SET_DUMPABLE, 1);
	p = mmap(NULL, 64 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	limit(8 * P);
	ret("mlock", mlock(p + 10, P));
	show_locked();
	ret("mlock again", mlock(p, 2 * P));
	show_locked();
	ret("mlock too much", mlock(p, 9 * P));
	ret("mlock overlap counts once", mlock(p, 8 * P));
	show_locked();
	ret("munlock", munlock(p + P, P));
	show_locked();
	ret("dontneed locked", madvise(p, P, MADV_DONTNEED));
	ret("msync invalidate locked", msync(p, P, MS_INVALIDATE));
	ret("mlock2 bad", syscall(SYS_mlock2, p, P, 8));
	ret("munlock all of it", munlock(p, 64 * P));
	ret("mlock2 onfault", syscall(SYS_mlock2, p, P, 1));
	show_locked();
	munlock(p, P);
	ret("MAP_LOCKED",
	    (long)mmap(NULL, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) == -1
		? -1
		: 0);
	ret("MAP_LOCKED too much", (long)mmap(NULL, 9 * P, PROT_READ,
					      MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) == -1
				       ? -1
				       : 0);
	munmap(p + 20 * P, P);
	ret("mlock over a hole", mlock(p + 19 * P, 3 * P));
	show_locked();
	ret("mlockall none", mlockall(0));
	ret("mlockall bad", mlockall(64));
	ret("mlockall onfault alone", mlockall(4));
	ret("mlockall current", mlockall(MCL_CURRENT));
	ret("munlockall", munlockall());
	show_locked();
	limit(0);
	ret("mlock with no limit left", mlock(p, P));
	ret("mlockall", mlockall(MCL_FUTURE));
	return 0;
}
