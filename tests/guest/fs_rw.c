/* Reading and writing: positions, vectors, holes, limits, bad buffers. */
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include "tests/guest/fs_util.h"

static unsigned int sum(const void *p, size_t n)
{
	const unsigned char *s = p;
	unsigned int h = 17;

	while (n--)
		h = h * 31 + *s++;
	return h;
}

static void basics(int fd)
{
	char buf[64] = "";

	SHOW(write(fd, "hello world", 11));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(read(fd, buf, 10));
	SHOW(lseek(fd, -5, SEEK_END));
	SHOW(read(fd, buf, 10));
	printf("%s\n", buf);
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, -100, SEEK_CUR));
	SHOW(lseek(fd, 0, 77));
	SHOW(lseek(fd, 1000, SEEK_SET));
	SHOW(read(fd, buf, 10));
	SHOW(pread(fd, buf, 5, 6));
	printf("%.5s\n", buf);
	SHOW(pread(fd, buf, 5, -1));
	SHOW(pread(fd, buf, 5, 11));
	SHOW(pwrite(fd, "W", 1, 6));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(read(fd, NULL, 0));
	SHOW(write(fd, NULL, 0));
	SHOW(read(fd, NULL, 5));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(read(fd, (void *)8, 5));
	SHOW(write(fd, (void *)8, 5));
	SHOW(read(fd, buf, (size_t)-1));
	SHOW(read(-1, buf, 1));
	SHOW(read(999, buf, 1));
}

static void vectors(int fd)
{
	char a[4] = "", b[8] = "";
	struct iovec in[3] = {{"one", 3}, {"", 0}, {"twotwo", 6}};
	struct iovec out[2] = {{a, 3}, {b, 6}};

	SHOW(ftruncate(fd, 0));
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(writev(fd, in, 3));
	SHOW(preadv(fd, out, 2, 0));
	printf("%.3s %.6s\n", a, b);
	SHOW(preadv(fd, out, 2, 5));
	SHOW(pwritev(fd, in, 1, 20));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(writev(fd, in, -1));
	SHOW(writev(fd, in, 1025));
	SHOW(writev(fd, (void *)8, 1));
	SHOW(writev(fd, in, 0));
	SHOW(preadv2(fd, out, 2, 0, 0));
	SHOW(pwritev2(fd, in, 1, 0, RWF_APPEND));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(preadv2(fd, out, 1, 0, 0x4000));
	in[0].iov_len = (size_t)-1;
	SHOW(writev(fd, in, 1));
}

static void big(int fd)
{
	size_t n = 1 << 20;
	char *p = malloc(n), *q = malloc(n);

	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 7 + i / 4096);
	ftruncate(fd, 0);
	lseek(fd, 0, SEEK_SET);
	SHOW(write(fd, p, n));
	SHOW(write(fd, p, 70000));
	SHOW(write(fd, p, 65537));
	lseek(fd, 0, SEEK_SET);
	memset(q, 0, n);
	SHOW(read(fd, q, n));
	printf("same %d\n", !memcmp(p, q, n));
	memset(q, 0, n);
	SHOW(pread(fd, q, 65536, 3));
	printf("sum %x\n", sum(q, 65536));
	SHOW(pread(fd, q, n, (off_t)n));
	printf("sum %x\n", sum(q, 135537));
	free(p);
	free(q);
}

static void holes(int fd)
{
	char buf[4096];
	struct stat st;

	ftruncate(fd, 0);
	SHOW(pwrite(fd, "end", 3, 1 << 20));
	fstat(fd, &st);
	printf("size %ld, few blocks %d\n", (long)st.st_size, st.st_blocks < 64);
	memset(buf, 1, sizeof(buf));
	SHOW(pread(fd, buf, sizeof(buf), 4096));
	printf("sum %x\n", sum(buf, sizeof(buf)));
	SHOW(lseek(fd, 0, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 1 << 20, SEEK_HOLE));
	SHOW(lseek(fd, 2 << 20, SEEK_DATA));
	SHOW(lseek(fd, 2 << 20, SEEK_HOLE));
	SHOW(ftruncate(fd, 10));
	SHOW(ftruncate(fd, 4096));
	SHOW(pread(fd, buf, 4096, 0));
	printf("sum %x\n", sum(buf, sizeof(buf)));
	SHOW(ftruncate(fd, -1));
	/* beyond 4 GiB */
	SHOW(pwrite(fd, "far", 3, 5L << 30));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(pread(fd, buf, 10, 5L << 30));
	printf("%.3s\n", buf);
	SHOW(pwrite(fd, "x", 1, INT64_MAX));
	ftruncate(fd, 0);
}

static void allocate(int fd)
{
	char buf[16];
	struct stat st;

	SHOW(fallocate(fd, 0, 0, 100000));
	fstat(fd, &st);
	printf("size %ld, blocks enough %d\n", (long)st.st_size, st.st_blocks * 512 >= 100000);
	SHOW(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 200000));
	fstat(fd, &st);
	printf("size %ld\n", (long)st.st_size);
	SHOW(pwrite(fd, "0123456789", 10, 8190));
	SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096));
	SHOW(pread(fd, buf, 10, 8190));
	printf("%d %d %d %d\n", buf[0], buf[1], buf[2], buf[9]);
	SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 10));
	SHOW(fallocate(fd, 0, 0, 0));
	SHOW(fallocate(fd, 0, -1, 10));
	SHOW(fallocate(0, 0x8000, 0, 10) < 0);
	SHOW(posix_fallocate(fd, 0, 300000));
}

static void append(void)
{
	int a = open("app", O_CREAT | O_WRONLY | O_APPEND, 0644);
	int b = open("app", O_WRONLY | O_APPEND);
	struct stat st;

	for (int i = 0; i < 100; i++) {
		if (write(a, "aaaa", 4) != 4 || write(b, "bb", 2) != 2)
			printf("append failed\n");
	}
	fstat(a, &st);
	printf("size %ld\n", (long)st.st_size);
	close(a);
	close(b);
}

static void parallel_append(void)
{
	struct stat st;

	for (int i = 0; i < 4; i++)
		if (fork() == 0) {
			int fd = open("par", O_CREAT | O_WRONLY | O_APPEND, 0644);

			for (int k = 0; k < 250; k++)
				if (write(fd, "12345678", 8) != 8)
					_exit(1);
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	stat("par", &st);
	printf("size %ld\n", (long)st.st_size);
}

static volatile sig_atomic_t xfsz;
static void on_xfsz(int sig)
{
	xfsz++;
}

static void limits(void)
{
	struct rlimit lim, old;
	char buf[200] = "";
	int fd = open("lim", O_CREAT | O_RDWR | O_TRUNC, 0644);

	getrlimit(RLIMIT_FSIZE, &old);
	lim = old;
	lim.rlim_cur = 100;
	signal(SIGXFSZ, on_xfsz);
	setrlimit(RLIMIT_FSIZE, &lim);
	SHOW(write(fd, buf, 60));
	SHOW(write(fd, buf, 60));
	printf("signals %d\n", xfsz);
	SHOW(write(fd, buf, 60));
	printf("signals %d\n", xfsz);
	SHOW(ftruncate(fd, 101));
	printf("signals %d\n", xfsz);
	SHOW(ftruncate(fd, 100));
	SHOW(pwrite(fd, buf, 10, 95));
	SHOW(fallocate(fd, 0, 0, 200));
	printf("signals %d\n", xfsz);
	setrlimit(RLIMIT_FSIZE, &old);
	close(fd);
}

static void access_modes(void)
{
	int r = open("f", O_RDONLY), w = open("f", O_WRONLY), d = open(".", O_RDONLY);
	char buf[8];
	int n;

	SHOW(write(r, "x", 1));
	SHOW(read(w, buf, 1));
	SHOW(write(r, "x", 0));
	SHOW(read(w, buf, 0));
	SHOW(ftruncate(r, 0));
	SHOW(read(d, buf, 8));
	SHOW(write(d, buf, 8));
	SHOW(fallocate(r, 0, 0, 10));
	SHOW(ftruncate(d, 0));
	SHOW(truncate(".", 0));
	SHOW(truncate("none", 0));
	SHOW(truncate("f", -1));
	SHOW(truncate("f", 123));
	lseek(r, 100, SEEK_SET);
	SHOW(ioctl(r, FIONREAD, &n));
	printf("%d\n", n);
	SHOW(fsync(r));
	SHOW(fdatasync(w));
	SHOW(fsync(d));
	SHOW(syncfs(r));
	SHOW(sync_file_range(w, 0, 10, SYNC_FILE_RANGE_WRITE));
	SHOW(sync_file_range(w, -1, 10, 0));
	SHOW(posix_fadvise(r, 0, 0, POSIX_FADV_DONTNEED));
	SHOW(posix_fadvise(r, 0, 0, 77));
	SHOW(readahead(r, 0, 10));
	SHOW(readahead(w, 0, 10));
	close(r);
	close(w);
	close(d);
}

static void pipes(void)
{
	char buf[8];
	int p[2];

	pipe(p);
	SHOW(lseek(p[0], 0, SEEK_CUR));
	SHOW(pread(p[0], buf, 1, 0));
	SHOW(pwrite(p[1], buf, 1, 0));
	SHOW(read(p[1], buf, 1));
	SHOW(write(p[0], buf, 1));
	SHOW(ftruncate(p[1], 0));
	SHOW(fsync(p[1]));
	SHOW(fallocate(p[1], 0, 0, 1));
	SHOW(posix_fadvise(p[0], 0, 0, 0));
	SHOW(write(p[1], "abc", 3));
	SHOW(read(p[0], (void *)8, 3));
	SHOW(fchmod(p[0], 0600));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	SHOW(write(p[1], "abc", 3));
	close(p[1]);
}

/* A buffer whose second page is not there. */
static void half_a_buffer(int fd)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(p + 4096, 4096);
	memset(p, 'h', 4096);
	ftruncate(fd, 0);
	lseek(fd, 0, SEEK_SET);
	SHOW(write(fd, p + 4096, 10));
	SHOW(write(fd, p, 4096));
	SHOW(pread(fd, p + 4096, 10, 0));
	SHOW(pread(fd, p + 4090, 6, 0));
	munmap(p, 4096);
}

int main(void)
{
	int fd;

	fs_begin();
	fd = open("f", O_CREAT | O_RDWR, 0644);
	basics(fd);
	vectors(fd);
	big(fd);
	holes(fd);
	allocate(fd);
	half_a_buffer(fd);
	close(fd);
	append();
	parallel_append();
	limits();
	access_modes();
	pipes();
	fs_end();
	return 0;
}
