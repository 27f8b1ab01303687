/* process_vm_readv and process_vm_writev: data, partial copies, permissions. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void ret(const char *what, long r)
{
	if (r < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, r);
}

int main(void)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char buf[9000] = "", a[4] = "", b[8] = "";
	struct iovec l = {buf, sizeof(buf)}, r = {p, 10};
	struct iovec l2[2] = {{a, 3}, {b, 7}}, r2[2] = {{p, 4}, {p + 100, 4}};
	int pid;

	strcpy(p, "parent data");
	strcpy(p + 100, "second");
	munmap(p + 4096, 4096);
	pid = fork();
	if (pid == 0) {
		strcpy(p, "child  data");
		pause();
		_exit(0);
	}
	while (process_vm_readv(pid, &l, 1, &r, 1, 0) < 0 || memcmp(buf, "child", 5))
		usleep(1000);
	ret("read", process_vm_readv(pid, &l, 1, &r, 1, 0));
	printf("%.11s|\n", buf);
	ret("scatter", process_vm_readv(pid, l2, 2, r2, 2, 0));
	printf("%s|%s|\n", a, b);
	r.iov_len = 8192;
	ret("into the hole", process_vm_readv(pid, &l, 1, &r, 1, 0));
	r.iov_base = p + 4096;
	ret("from the hole", process_vm_readv(pid, &l, 1, &r, 1, 0));
	r = (struct iovec){p, 5};
	ret("flags", process_vm_readv(pid, &l, 1, &r, 1, 1));
	ret("nobody", process_vm_readv(999999, &l, 1, &r, 1, 0));
	ret("local hole", process_vm_readv(pid, &(struct iovec){p + 4096, 5}, 1, &r, 1, 0));
	strcpy(buf, "WRITE");
	l.iov_len = 5;
	ret("write", process_vm_writev(pid, &l, 1, &r, 1, 0));
	memset(buf, 0, 20);
	l.iov_len = sizeof(buf);
	r.iov_len = 11;
	ret("read back", process_vm_readv(pid, &l, 1, &r, 1, 0));
	printf("%.11s|\n", buf);
	ret("self", process_vm_readv(getpid(), &l, 1, &r, 1, 0));
	fflush(stdout);
	if (fork() == 0) {
		setgid(77);
		setuid(77);
		ret("another user", process_vm_readv(pid, &l, 1, &r, 1, 0));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	kill(pid, SIGKILL);
	wait(NULL);
	ret("gone", process_vm_readv(pid, &l, 1, &r, 1, 0));
	return 0;
}
