/*
 * Files of the host: works in the current directory, which the sandbox shares
 * with the host (the fs_*.c tests work in /tmp, which may be a tmpfs).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void say(const char *what, long r)
{
	printf("%s: %s\n", what, r < 0 ? strerrorname_np(errno) : "ok");
}

static void show(const char *name)
{
	struct stat st;

	if (lstat(name, &st) < 0)
		printf("%s: %s\n", name, strerrorname_np(errno));
	else
		printf("%s: %o links %ld size %lld\n", name, st.st_mode, (long)st.st_nlink,
		       S_ISDIR(st.st_mode) ? 0LL : (long long)st.st_size);
}

static void unlinked_but_open(void)
{
	int fd = open("f", O_RDWR | O_CREAT, 0640);
	struct stat st;
	char buf[8] = "";

	say("write", write(fd, "hello", 5));
	show("f");
	say("link", link("f", "g"));
	show("g");
	say("unlink", unlink("f"));
	say("unlink", unlink("g"));
	say("pread", pread(fd, buf, 5, 0));
	fstat(fd, &st);
	printf("%s links %ld\n", buf, (long)st.st_nlink);
	say("fchmod", fchmod(fd, 0600));
	say("ftruncate", ftruncate(fd, 2));
	fstat(fd, &st);
	printf("%o size %lld\n", st.st_mode, (long long)st.st_size);
	close(fd);
	show("f");
}

static void shared_mapping(void)
{
	int fd = open("m", O_RDWR | O_CREAT, 0644), ro;
	char *p, buf[8] = "";

	say("ftruncate", ftruncate(fd, 8192));
	p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	strcpy(p + 4096, "mapped");
	say("pread", pread(fd, buf, 6, 4096));
	printf("%s\n", buf);
	say("pwrite", pwrite(fd, "M", 1, 4096));
	printf("%s\n", p + 4096);
	ro = open("m", O_RDONLY);
	say("mmap rdonly shared write",
	    mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED ? -1 : 0);
	close(ro);
	munmap(p, 8192);
	close(fd);
	show("m");
}

static void appends(void)
{
	int a = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644),
	    b = open("log", O_WRONLY | O_APPEND);

	for (int i = 0; i < 10; i++) {
		say("a", write(a, "a", 1));
		say("b", pwrite(b, "bb", 2, 0));
	}
	printf("position %lld\n", (long long)lseek(a, 0, SEEK_CUR));
	close(a);
	close(b);
	show("log");
}

static void holes(void)
{
	int fd = open("big", O_RDWR | O_CREAT, 0644);

	say("pwrite", pwrite(fd, "x", 1, 5LL << 30));
	printf("data %lld end %lld\n", (long long)lseek(fd, 0, SEEK_DATA),
	       (long long)lseek(fd, 0, SEEK_END));
	close(fd);
	show("big");
	say("truncate", truncate("big", 100));
	show("big");
}

static void directories(void)
{
	char name[300];
	struct dirent *e;
	DIR *d;
	int n = 0;

	say("mkdir", mkdir("many", 02755));
	for (int i = 0; i < 1500; i++) {
		snprintf(name, sizeof(name), "many/%04d", i);
		close(open(name, O_CREAT | O_WRONLY, 0600));
	}
	d = opendir("many");
	while ((e = readdir(d)))
		if (e->d_name[0] != '.') {
			snprintf(name, sizeof(name), "many/%s", e->d_name);
			n += unlink(name) == 0;
		}
	closedir(d);
	printf("removed %d\n", n);
	say("rename", rename("many", "few"));
	show("few");
	say("rmdir", rmdir("few"));
	say("rmdir", rmdir("few"));
	memset(name, 'n', 256);
	name[256] = 0;
	say("256 bytes", mkdir(name, 0755));
	name[255] = 0;
	say("255 bytes", mkdir(name, 0755));
	say("not UTF-8", mkdir("\xff\xfe\x80", 0755));
}

int main(void)
{
	umask(022);
	unlinked_but_open();
	shared_mapping();
	appends();
	holes();
	directories();
	return 0;
}
