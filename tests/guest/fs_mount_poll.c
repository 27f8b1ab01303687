/* poll of /proc/self/mounts and mountinfo tells of changes; fdinfo of inotify. */
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mount.h>

#include "tests/guest/fs_util.h"

static int mounts, info, ep;

static void look(const char *what)
{
	struct pollfd p[2] = {{mounts, POLLPRI | POLLIN, 0}, {info, POLLPRI, 0}};
	struct epoll_event e[2];
	int n = poll(p, 2, 0);

	printf("%s: poll %d, mounts %x, mountinfo %x, epoll %d\n", what, n, p[0].revents,
	       p[1].revents, epoll_wait(ep, e, 2, 0));
}

static void sleeper(void)
{
	struct pollfd p = {mounts, POLLPRI, 0};
	pid_t pid = fork();

	if (pid == 0) {
		usleep(50000);
		_exit(mount("none", "m", "tmpfs", 0, NULL) ? errno : 0);
	}
	printf("poll that sleeps: %d", poll(&p, 1, 5000));
	printf(" %x\n", p.revents);
	waitpid(pid, NULL, 0);
}

static void inotify_info(void)
{
	int fd = inotify_init1(0), wd, lines = 0;
	unsigned int mask, ignored;
	char path[64], line[512];
	FILE *f;

	inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE);
	inotify_add_watch(fd, "m", IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK);
	inotify_rm_watch(fd, inotify_add_watch(fd, "/", IN_OPEN));
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "inotify wd:%x ino:%*x sdev:%*x mask:%x ignored_mask:%x", &wd,
			   &mask, &ignored) == 3) {
			printf("wd %d mask %x ignored %x\n", wd, mask, ignored);
			lines++;
		}
	printf("%d watches\n", lines);
	fclose(f);
	close(fd);
}

int main(void)
{
	struct epoll_event e = {.events = EPOLLPRI | EPOLLET};

	fs_begin();
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		printf("no mount namespace: %s\n", strerrorname_np(errno));
	mkdir("m", 0755);
	inotify_info();
	mounts = open("/proc/self/mounts", O_RDONLY);
	info = open("/proc/self/mountinfo", O_RDONLY);
	ep = epoll_create1(0);
	e.data.fd = open("/proc/self/mountinfo", O_RDONLY);
	epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e);
	look("at first");
	sleeper();
	look("after it");
	look("again");
	umount("m");
	look("after umount");
	look("again");
	mount("m", "m", NULL, MS_BIND, NULL);
	look("after bind");
	mount(NULL, "m", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL);
	look("after remount");
	umount("m");
	look("after umount");
	fs_end();
	return 0;
}
