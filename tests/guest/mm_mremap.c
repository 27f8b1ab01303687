/* mremap, brk, madvise: contents that move, grow, vanish and return. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096UL

static void result(const char *what, void *p)
{
	printf("%s: %s\n", what, p == MAP_FAILED ? strerrorname_np(errno) : "ok");
}

static void ret(const char *what, long r)
{
	printf("%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
}

static char *anon(size_t pages, int flags)
{
	return mmap(NULL, pages * P, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
}

static int resident(void *p)
{
	unsigned char v = 9;

	return mincore(p, P, &v) ? -1 : v & 1;
}

static void test_mremap(void)
{
	char *p = anon(16, MAP_PRIVATE), *q, *t;

	for (int i = 0; i < 16; i++)
		p[i * P] = (char)(i + 1);
	result("shrink", q = mremap(p, 16 * P, 8 * P, 0));
	printf("same %d, content %d\n", q == p, p[7 * P]);
	mmap(p + 8 * P, P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	result("grow without moving", mremap(p, 8 * P, 12 * P, 0));
	result("grow", q = mremap(p, 8 * P, 64 * P, MREMAP_MAYMOVE));
	printf("moved %d content %d %d fresh %d\n", q != p, q[0], q[7 * P], q[20 * P]);
	t = anon(70, MAP_PRIVATE);
	result("fixed", mremap(q, 64 * P, 70 * P, MREMAP_MAYMOVE | MREMAP_FIXED, t));
	printf("content %d %d\n", t[0], t[69 * P]);
	result("fixed overlapping", mremap(t, 8 * P, 8 * P, MREMAP_MAYMOVE | MREMAP_FIXED, t + P));
	result("fixed alone", mremap(t, 8 * P, 8 * P, MREMAP_FIXED, t + 32 * P));
	result("unaligned", mremap(t + 1, P, P, MREMAP_MAYMOVE));
	result("to 0", mremap(t, P, 0, MREMAP_MAYMOVE));
	result("bad flag", mremap(t, P, P, 64));
	result("unmapped", mremap((void *)0x30000000, P, 2 * P, MREMAP_MAYMOVE));
	result("over the end", mremap(t + 69 * P, 2 * P, 3 * P, MREMAP_MAYMOVE));
	result("old 0 of private", mremap(t, 0, P, MREMAP_MAYMOVE));
	munmap(t + 4 * P, P);
	result("over a hole, growing", mremap(t, 8 * P, 9 * P, MREMAP_MAYMOVE));
	result("dontunmap", q = mremap(t, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
	printf("new %d old %d\n", q[0], t[0]);
	result("dontunmap growing", mremap(t, 2 * P, 3 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));

	p = anon(4, MAP_SHARED);
	p[0] = 5;
	result("old 0 of shared", q = mremap(p, 0, 4 * P, MREMAP_MAYMOVE));
	q[1] = 6;
	printf("alias %d %d\n", q[0], p[1]);
}

static void test_brk(void)
{
	char *base = sbrk(0), *p;

	p = sbrk(10 * P);
	printf("grows %d\n", p == base);
	memset(base, 7, 10 * P);
	printf("shrinks %d\n", sbrk(-(long)(9 * P)) == base + 10 * P);
	printf("kept %d\n", base[100]);
	sbrk(9 * P);
	printf("fresh again %d\n", base[5 * P]);
	printf("below the start: unchanged %d\n", syscall(SYS_brk, 4096) == (long)(base + 10 * P));
	sbrk(-(long)(10 * P));
}

static void test_madvise(void)
{
	char *p = anon(8, MAP_PRIVATE);

	memset(p, 1, 8 * P);
	ret("dontneed", madvise(p + P, P, MADV_DONTNEED));
	printf("zero %d neighbour %d\n", p[P], p[2 * P]);
	ret("willneed", madvise(p, P, MADV_WILLNEED));
	ret("free", madvise(p, P, MADV_FREE));
	ret("bad advice", madvise(p, P, 77));
	ret("unaligned", madvise(p + 1, P, MADV_NORMAL));
	ret("length 0", madvise(p, 0, MADV_DONTNEED));
	ret("wrap", madvise(p, -P, MADV_NORMAL));
	ret("remove private", madvise(p, P, MADV_REMOVE));
	munmap(p + 4 * P, P);
	ret("dontneed over a hole", madvise(p + 3 * P, 3 * P, MADV_DONTNEED));
	printf("done on both sides %d %d\n", p[3 * P], p[5 * P]);
	ret("normal over a hole", madvise(p + 3 * P, 3 * P, MADV_NORMAL));
	ret("populate read", madvise(p, P, MADV_POPULATE_READ));
	ret("populate write", madvise(p, P, MADV_POPULATE_WRITE));
	ret("populate hole", madvise(p + 4 * P, P, MADV_POPULATE_READ));
	ret("cold", madvise(p, P, MADV_COLD));
	ret("pageout", madvise(p, P, MADV_PAGEOUT));

	p = anon(4, MAP_PRIVATE);
	memset(p, 3, 4 * P);
	ret("dontfork", madvise(p, P, MADV_DONTFORK));
	ret("wipeonfork", madvise(p + P, P, MADV_WIPEONFORK));
	fflush(stdout);
	if (fork() == 0) {
		unsigned char v;

		printf("child: dontfork %s, wiped %d, kept %d\n",
		       mincore(p, P, &v) ? strerrorname_np(errno) : "there", p[P], p[2 * P]);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	ret("dofork", madvise(p, P, MADV_DOFORK));
	ret("keeponfork", madvise(p + P, P, MADV_KEEPONFORK));
	fflush(stdout);
	if (fork() == 0) {
		printf("child: %d %d\n", p[0], p[P]);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	p = anon(2, MAP_SHARED);
	p[0] = p[P] = 1;
	ret("wipeonfork shared", madvise(p, P, MADV_WIPEONFORK));
	ret("remove shared", madvise(p, P, MADV_REMOVE));
	printf("%d %d\n", p[0], p[P]);
	ret("free shared", madvise(p, P, MADV_FREE));
}

static void test_mincore(void)
{
	char *p = anon(4, MAP_PRIVATE);
	unsigned char v[4];

	p[P] = 1;
	printf("mincore %d %d\n", resident(p), resident(p + P));
	ret("mincore unaligned", mincore(p + 1, P, v));
	munmap(p + 2 * P, P);
	ret("mincore hole", mincore(p, 4 * P, v));
	ret("mincore bad vec", mincore(p, P, (void *)8));
}

static void test_limits(void)
{
	struct rlimit as = {256 << 20, 256 << 20}, data = {64 << 20, RLIM_INFINITY};

	fflush(stdout);
	if (fork() == 0) {
		setrlimit(RLIMIT_AS, &as);
		result("beyond RLIMIT_AS",
		       mmap(NULL, 300 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		result("within",
		       mmap(NULL, 100 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	if (fork() == 0) {
		char *p;

		setrlimit(RLIMIT_DATA, &data);
		result("data beyond RLIMIT_DATA", mmap(NULL, 80 << 20, PROT_READ | PROT_WRITE,
						       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		result("no data",
		       p = mmap(NULL, 80 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
		ret("becomes data", mprotect(p, 80 << 20, PROT_READ | PROT_WRITE));
		result("shared is no data", mmap(NULL, 80 << 20, PROT_READ | PROT_WRITE,
						 MAP_SHARED | MAP_ANONYMOUS, -1, 0));
		printf("brk %d\n", sbrk(80 << 20) == (void *)-1);
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

int main(void)
{
	test_mremap();
	test_brk();
	test_madvise();
	test_mincore();
	test_limits();
	return 0;
}
