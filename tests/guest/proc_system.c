/* /proc and /sys about the system: what programs parse must be there and well formed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

static char *slurp(const char *path)
{
	static char buf[1 << 18];
	int fd = open(path, O_RDONLY);
	ssize_t n, sum = 0;

	if (fd < 0) {
		snprintf(buf, sizeof(buf), "<%s>", strerrorname_np(errno));
		return buf;
	}
	while ((n = read(fd, buf + sum, sizeof(buf) - 1 - (size_t)sum)) > 0)
		sum += n;
	buf[sum] = 0;
	close(fd);
	return buf;
}

static void keys(const char *path, const char *const *want)
{
	char *text = slurp(path);

	for (; *want; want++)
		printf("%s %s %s\n", path, *want, strstr(text, *want) ? "there" : "missing");
}

static void number(const char *path)
{
	char *text = slurp(path), *end;

	(void)!strtoll(text, &end, 10);
	printf("%s number %d ends %d\n", path, end > text, *end == '\n' || *end == '\t');
}

static int count(const char *text, const char *what)
{
	int n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static void processors(void)
{
	static const char *const info[] = {"processor\t: 0",
					   "model name\t:", "flags\t\t:", "cpu cores\t:", NULL};
	char *text = slurp("/proc/cpuinfo");
	cpu_set_t set;

	printf("cpuinfo has as many as sysconf: %d\n",
	       (count(text, "\nprocessor\t") + (strncmp(text, "processor\t", 10) == 0)) ==
		   sysconf(_SC_NPROCESSORS_ONLN));
	printf("stat too: %d\n",
	       count(slurp("/proc/stat"), "\ncpu") == sysconf(_SC_NPROCESSORS_ONLN));
	printf("conf %d\n", sysconf(_SC_NPROCESSORS_CONF) >= sysconf(_SC_NPROCESSORS_ONLN));
	sched_getaffinity(0, sizeof(set), &set);
	printf("affinity %d\n", CPU_COUNT(&set) <= sysconf(_SC_NPROCESSORS_ONLN));
	keys("/proc/cpuinfo", info);
	number("/sys/devices/system/cpu/cpu0/topology/core_id");
	number("/sys/devices/system/cpu/cpu0/topology/physical_package_id");
	printf("online starts at %c\n", *slurp("/sys/devices/system/cpu/online"));
	printf("possible starts at %c\n", *slurp("/sys/devices/system/cpu/possible"));
	printf("node %s", slurp("/sys/devices/system/node/online"));
}

static void memory(void)
{
	static const char *const info[] = {
	    "MemTotal:", "MemFree:",	  "MemAvailable:",    "Buffers:",
	    "\nCached:", "SwapTotal:",	  "SwapFree:",	      "Shmem:",
	    "Slab:",	 "SReclaimable:", "HugePages_Total:", "Hugepagesize:",
	    NULL};
	unsigned long total = 0, avail = 0;
	struct sysinfo si;
	char *text;

	keys("/proc/meminfo", info);
	text = slurp("/proc/meminfo");
	sscanf(text, "MemTotal: %lu kB", &total);
	sscanf(strstr(text, "MemAvailable:"), "MemAvailable: %lu kB", &avail);
	sysinfo(&si);
	printf("agrees with sysinfo %d, available below total %d\n",
	       total == si.totalram * si.mem_unit / 1024, avail <= total);
}

static void times(void)
{
	unsigned long long btime = 0;
	double up, idle, load[3];
	struct timespec ts;
	int running, all, last;
	char *p;

	printf("uptime %d\n", sscanf(slurp("/proc/uptime"), "%lf %lf", &up, &idle));
	clock_gettime(CLOCK_BOOTTIME, &ts);
	printf("is CLOCK_BOOTTIME %d\n", up - (double)ts.tv_sec < 2 && up - (double)ts.tv_sec > -2);
	p = strstr(slurp("/proc/stat"), "btime ");
	sscanf(p, "btime %llu", &btime);
	printf("btime %d\n", llabs((long long)btime + ts.tv_sec - time(NULL)) < 3);
	printf("loadavg %d\n", sscanf(slurp("/proc/loadavg"), "%lf %lf %lf %d/%d %d", &load[0],
				      &load[1], &load[2], &running, &all, &last));
	printf("running %d all %d\n", running >= 1, all >= 1);
}

static void names(void)
{
	struct utsname u;
	char want[200];

	uname(&u);
	printf("ostype %s", slurp("/proc/sys/kernel/ostype"));
	sprintf(want, "%s\n", u.release);
	printf("osrelease agrees %d\n", strcmp(slurp("/proc/sys/kernel/osrelease"), want) == 0);
	sprintf(want, "%s\n", u.nodename);
	printf("hostname agrees %d\n", strcmp(slurp("/proc/sys/kernel/hostname"), want) == 0);
	sprintf(want, "Linux version %s ", u.release);
	printf("version %d\n", strncmp(slurp("/proc/version"), want, strlen(want)) == 0);
}

static void sysctl(void)
{
	static const char *const numbers[] = {"kernel/pid_max",
					      "kernel/cap_last_cap",
					      "kernel/ngroups_max",
					      "kernel/threads-max",
					      "kernel/random/entropy_avail",
					      "kernel/random/poolsize",
					      "kernel/randomize_va_space",
					      "kernel/shmmax",
					      "kernel/shmall",
					      "kernel/shmmni",
					      "kernel/msgmax",
					      "kernel/overflowuid",
					      "vm/overcommit_memory",
					      "vm/max_map_count",
					      "vm/swappiness",
					      "vm/mmap_min_addr",
					      "fs/file-max",
					      "fs/nr_open",
					      "fs/pipe-max-size",
					      "fs/inotify/max_user_watches",
					      "fs/inotify/max_user_instances",
					      "fs/mqueue/msg_max",
					      "net/core/somaxconn",
					      "net/ipv4/ip_local_port_range",
					      "net/ipv4/tcp_keepalive_time"};
	char path[200], a[64], b[64];

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		sprintf(path, "/proc/sys/%s", numbers[i]);
		number(path);
	}
	snprintf(a, sizeof(a), "%s", slurp("/proc/sys/kernel/random/uuid"));
	snprintf(b, sizeof(b), "%s", slurp("/proc/sys/kernel/random/uuid"));
	printf("uuid length %zu version %c fresh %d\n", strlen(a), a[14], strcmp(a, b) != 0);
	snprintf(a, sizeof(a), "%s", slurp("/proc/sys/kernel/random/boot_id"));
	printf("boot_id length %zu same %d\n", strlen(a),
	       strcmp(a, slurp("/proc/sys/kernel/random/boot_id")) == 0);
}

static void directory(const char *path, const char *const *want)
{
	DIR *d = opendir(path);
	struct dirent *e;

	for (; *want; want++) {
		int found = 0;

		rewinddir(d);
		while ((e = readdir(d)))
			found |= strcmp(e->d_name, *want) == 0;
		printf("%s lists %s %d\n", path, *want, found);
	}
	closedir(d);
}

static void tree(void)
{
	static const char *const proc[] = {".",	     "..",  "self",    "thread-self", "sys",
					   "mounts", "net", "cpuinfo", "1",	      NULL};
	static const char *const sys[] = {"class", "devices", "fs", "kernel", "block", "bus", NULL};
	static const char *const files[] = {
	    "filesystems", "devices",	     "swaps",		"partitions",  "misc",
	    "mounts",	   "self/mountinfo", "self/mountstats", "vmstat",      "diskstats",
	    "interrupts",  "key-users",	     "cgroups",		"net/dev",     "net/tcp",
	    "net/unix",	   "net/udp",	     "net/route",	"sysvipc/shm", "tty/drivers"};
	struct statfs fs;
	struct stat st;
	char path[100];

	directory("/proc", proc);
	directory("/sys", sys);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		sprintf(path, "/proc/%s", files[i]);
		printf("%s %s\n", path,
		       open(path, O_RDONLY) < 0 ? strerrorname_np(errno) : "opens");
	}
	statfs("/proc", &fs);
	printf("proc magic %lx\n", (long)fs.f_type);
	statfs("/sys", &fs);
	printf("sys magic %lx\n", (long)fs.f_type);
	stat("/proc/version", &st);
	printf("proc file mode %o size %ld\n", st.st_mode, (long)st.st_size);
	printf("filesystems %d %d %d\n",
	       strstr(slurp("/proc/filesystems"), "nodev\ttmpfs\n") != NULL,
	       strstr(slurp("/proc/filesystems"), "nodev\tproc\n") != NULL,
	       strstr(slurp("/proc/filesystems"), "nodev\tsysfs\n") != NULL);
	printf("proc is mounted %d\n", strstr(slurp("/proc/mounts"), " /proc proc ") != NULL);
	printf("thp %d\n",
	       strchr(slurp("/sys/kernel/mm/transparent_hugepage/enabled"), '[') != NULL);
	number("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages");
	printf("lo %s", slurp("/sys/class/net/lo/mtu"));
}

static void reading(void)
{
	char all[8192], part[8192];
	int fd = open("/proc/filesystems", O_RDONLY), n = (int)read(fd, all, sizeof(all)), m = 0;

	lseek(fd, 0, SEEK_SET);
	while (read(fd, part + m, 1) == 1)
		m++;
	printf("byte by byte the same %d\n", n > 0 && m == n && !memcmp(all, part, (size_t)n));
	printf("pread %zd\n", pread(fd, part, 5, 3));
	printf("the same %d\n", !memcmp(all + 3, part, 5));
	printf("at the end %zd\n", read(fd, part, 5));
	printf("seek end %s\n", lseek(fd, 0, SEEK_END) < 0 ? strerrorname_np(errno) : "ok");
	printf("write %s\n", write(fd, "x", 1) < 0 ? strerrorname_np(errno) : "ok");
	printf("truncate %s\n", ftruncate(fd, 0) < 0 ? strerrorname_np(errno) : "ok");
}

static void devices(void)
{
	char buf[64] = "unchanged";
	int fd;

	fd = open("/dev/null", O_RDWR);
	printf("null %zd %zd seek %ld\n", write(fd, buf, 5), read(fd, buf, 5),
	       (long)lseek(fd, 100, SEEK_SET));
	fd = open("/dev/zero", O_RDWR);
	printf("zero %zd %d %zd\n", read(fd, buf, 5), buf[0] | buf[4], write(fd, buf, 7));
	fd = open("/dev/full", O_RDWR);
	printf("full %s %zd\n", write(fd, buf, 5) < 0 ? strerrorname_np(errno) : "ok",
	       read(fd, buf, 5));
	fd = open("/dev/urandom", O_RDWR);
	memset(buf, 0, sizeof(buf));
	printf("urandom %zd %d\n", read(fd, buf, 64), memchr(buf, 0, 64) == NULL || 1);
	fd = open("/dev/random", O_RDWR);
	printf("random %zd\n", read(fd, buf, 16));
	printf("stdin %d fd %d\n", access("/dev/stdin", F_OK), access("/dev/fd/0", F_OK));
}

int main(void)
{
	processors();
	memory();
	times();
	names();
	sysctl();
	tree();
	reading();
	devices();
	return 0;
}
