/* memfd_create(2), fcntl(2) seals. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

int main(void)
{
	char link[100] = "", path[64], name[300], text[10] = "";
	int fd = memfd_create("some name", MFD_ALLOW_SEALING | MFD_CLOEXEC), fd2;
	struct stat st;
	char *p, *q;

	printf("create %s flags %d %#x\n", err(fd), fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	readlink(path, link, sizeof(link) - 1);
	printf("link %s\n", link);
	printf("write %zd\n", write(fd, "hello", 5));
	fstat(fd, &st);
	printf("mode %o size %ld nlink %d\n", st.st_mode, (long)st.st_size, (int)st.st_nlink);
	printf("truncate %s\n", err(ftruncate(fd, 10000)));
	printf("seek end %ld\n", (long)lseek(fd, 0, SEEK_END));
	printf("data %ld hole %ld\n", (long)lseek(fd, 0, SEEK_DATA), (long)lseek(fd, 0, SEEK_HOLE));
	printf("pread %zd %s\n", pread(fd, text, 5, 0), text);
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	printf("map %s\n", err(p == MAP_FAILED ? -1 : 0));
	memcpy(p, "HELLO", 5);
	pread(fd, text, 5, 0);
	printf("through the map %s\n", text);
	pwrite(fd, "abc", 3, 0);
	printf("map sees %.5s\n", p);
	printf("seals %#x\n", fcntl(fd, F_GET_SEALS));
	printf("seal write while mapped %s\n", err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)));
	printf("seal grow %s\n", err(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW)));
	printf("grow %s, shrink %s\n", err(ftruncate(fd, 20000)), err(ftruncate(fd, 9000)));
	printf("write over the end %s\n", err(pwrite(fd, "x", 1, 9000)));
	printf("seal shrink %s\n", err(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)));
	printf("shrink %s\n", err(ftruncate(fd, 100)));
	munmap(p, 8192);
	printf("seal write %s\n", err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)));
	printf("write %s\n", err(pwrite(fd, "x", 1, 0)));
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	printf("writable map %s\n", err(p == MAP_FAILED ? -1 : 0));
	p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	printf("read-only map %s\n", err(p == MAP_FAILED ? -1 : 0));
	q = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	printf("private map %s %.3s\n", err(q == MAP_FAILED ? -1 : 0), q);
	printf("seal seal %s\n", err(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL)));
	printf("more seals %s\n", err(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)));
	printf("seals %#x\n", fcntl(fd, F_GET_SEALS));
	fd2 = open(path, O_RDONLY);
	printf("reopen %s\n", err(fd2));
	printf("seals need write access %s\n", err(fcntl(fd2, F_ADD_SEALS, F_SEAL_SHRINK)));
	fd = memfd_create("", 0);
	printf("plain %s seals %#x add %s\n", err(fd), fcntl(fd, F_GET_SEALS),
	       err(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE)));
	printf("fallocate %s\n", err(fallocate(fd, 0, 0, 8192)));
	printf("punch %s\n",
	       err(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096)));
	fstat(fd, &st);
	printf("size %ld blocks %ld\n", (long)st.st_size, (long)st.st_blocks);
	printf("bad flags %s\n", err(memfd_create("x", 0x100)));
	memset(name, 'n', sizeof(name));
	name[249] = 0;
	printf("longest name %s\n", err(memfd_create(name, 0)));
	name[249] = 'n';
	name[250] = 0;
	printf("too long a name %s\n", err(memfd_create(name, 0)));
	printf("seals of a pipe %s\n", err(fcntl(0, F_GET_SEALS)));
	fd = memfd_create("exec", 0);
	printf("chmod %s\n", err(fchmod(fd, 0700)));
	fstat(fd, &st);
	printf("mode %o\n", st.st_mode & 07777);
	return 0;
}
