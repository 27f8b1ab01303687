/* User and group ids, capabilities, securebits: who may change what, and what follows. */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *err(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}

/* Each test in a child of its own: raw syscalls, so that libc does not interfere. */
static void in_child(const char *name, void (*fn)(void))
{
	pid_t p;

	fflush(stdout);
	p = fork();
	if (p == 0) {
		printf("-- %s\n", name);
		fn();
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, NULL, 0);
}

static void ids(const char *what)
{
	uid_t r, e, s;
	gid_t rg, eg, sg;

	getresuid(&r, &e, &s);
	getresgid(&rg, &eg, &sg);
	printf("%s: uid %d %d %d fs %d gid %d %d %d fs %d\n", what, r, e, s,
	       (int)syscall(SYS_setfsuid, -1), rg, eg, sg, (int)syscall(SYS_setfsgid, -1));
}

struct caps {
	uint64_t e, p, i;
};

static struct caps caps(void)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2];

	syscall(SYS_capget, &h, d);
	return (struct caps){d[0].effective | (uint64_t)d[1].effective << 32,
			     d[0].permitted | (uint64_t)d[1].permitted << 32,
			     d[0].inheritable | (uint64_t)d[1].inheritable << 32};
}

static long set_caps(struct caps c)
{
	struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct d[2] = {
	    {(uint32_t)c.e, (uint32_t)c.p, (uint32_t)c.i},
	    {(uint32_t)(c.e >> 32), (uint32_t)(c.p >> 32), (uint32_t)(c.i >> 32)}};

	return syscall(SYS_capset, &h, d);
}

static void show_caps(const char *what)
{
	struct caps c = caps();

	/* Which ones there are depends on the container: only a few are named. */
	printf("%s: chown %d%d setuid %d%d kill %d%d\n", what, (int)(c.e >> CAP_CHOWN) & 1,
	       (int)(c.p >> CAP_CHOWN) & 1, (int)(c.e >> CAP_SETUID) & 1,
	       (int)(c.p >> CAP_SETUID) & 1, (int)(c.e >> CAP_KILL) & 1,
	       (int)(c.p >> CAP_KILL) & 1);
}

static void root_setuid(void)
{
	show_caps("root");
	printf("setuid 1000 %s\n", err(syscall(SYS_setuid, 1000)));
	ids("after");
	show_caps("after");
	printf("back %s\n", err(syscall(SYS_setuid, 0)));
	printf("setgid %s\n", err(syscall(SYS_setgid, 1)));
	printf("setgroups %s\n", err(syscall(SYS_setgroups, 0, NULL)));
	printf("dumpable %d\n", prctl(PR_GET_DUMPABLE));
}

static void seteuid_test(void)
{
	printf("setresuid -1 1000 -1 %s\n", err(syscall(SYS_setresuid, -1, 1000, -1)));
	ids("euid");
	show_caps("euid");
	printf("setuid 5 %s\n", err(syscall(SYS_setuid, 5)));
	printf("back %s\n", err(syscall(SYS_setresuid, -1, 0, -1)));
	show_caps("back");
	printf("setreuid 7 8 %s\n", err(syscall(SYS_setreuid, 7, 8)));
	ids("7 8");
	printf("swap %s\n", err(syscall(SYS_setreuid, 8, 7)));
	ids("swapped");
	printf("foreign %s\n", err(syscall(SYS_setreuid, 9, -1)));
	printf("setresuid foreign %s\n", err(syscall(SYS_setresuid, 7, 8, 9)));
}

static void gids(void)
{
	gid_t list[4] = {30, 10, 20, 10}, out[8];
	int n;

	printf("setgroups %s\n", err(syscall(SYS_setgroups, 4, list)));
	n = getgroups(8, out);
	printf("groups %d:", n);
	for (int i = 0; i < n; i++)
		printf(" %d", out[i]);
	printf("\ntoo small %s\n", err(getgroups(2, out)));
	printf("setregid %s\n", err(syscall(SYS_setregid, 5, 6)));
	ids("gids");
	printf("setresgid %s\n", err(syscall(SYS_setresgid, 1, 2, 3)));
	ids("gids");
	printf("setfsgid old %d\n", (int)syscall(SYS_setfsgid, 77));
	ids("fsgid");
	printf("too many %s\n", err(syscall(SYS_setgroups, 70000, list)));
}

static void fs_ids(void)
{
	printf("setfsuid old %d\n", (int)syscall(SYS_setfsuid, 1000));
	ids("fsuid");
	show_caps("fsuid");
	printf("setfsuid old %d\n", (int)syscall(SYS_setfsuid, 0));
	show_caps("back");
}

static void keep(void)
{
	printf("keepcaps %d %s %d\n", prctl(PR_GET_KEEPCAPS), err(prctl(PR_SET_KEEPCAPS, 1)),
	       prctl(PR_GET_KEEPCAPS));
	syscall(SYS_setuid, 1000);
	show_caps("kept");
	struct caps c = caps();
	c.e = c.p & (1ULL << CAP_KILL);
	printf("raise %s\n", err(set_caps(c)));
	show_caps("raised");
	c.p = c.e;
	printf("drop %s\n", err(set_caps(c)));
	c.p |= 1ULL << CAP_CHOWN;
	printf("regain %s\n", err(set_caps(c)));
	c = caps();
	c.i = 1ULL << CAP_KILL;
	printf("inheritable %s\n", err(set_caps(c)));
	printf("ambient raise %s is set %d\n",
	       err(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0)),
	       prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
	printf("ambient other %s\n",
	       err(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0)));
	c.i = 0;
	set_caps(c);
	printf("ambient follows %d\n",
	       prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0));
}

static void bounding(void)
{
	printf("bset kill %d drop %s", prctl(PR_CAPBSET_READ, CAP_KILL),
	       err(prctl(PR_CAPBSET_DROP, CAP_KILL)));
	printf(" then %d\n", prctl(PR_CAPBSET_READ, CAP_KILL));
	printf("bad %s\n", err(prctl(PR_CAPBSET_READ, 200)));
	struct caps c = caps();
	c.i |= 1ULL << CAP_KILL;
	printf("inherit dropped %s\n", err(set_caps(c)));
}

static void securebits(void)
{
	printf("get %d\n", prctl(PR_GET_SECUREBITS));
	printf("set %s",
	       err(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_KEEP_CAPS_LOCKED)));
	printf(" %#x\n", prctl(PR_GET_SECUREBITS));
	printf("locked %s\n", err(prctl(PR_SET_KEEPCAPS, 1)));
	syscall(SYS_setresuid, 1000, 1000, 1000);
	show_caps("no fixup");
}

static void versions(void)
{
	struct __user_cap_header_struct h = {0x12345678, 0};
	struct __user_cap_data_struct d[2];

	printf("bad version %s", err(syscall(SYS_capget, &h, d)));
	printf(" -> %#x\n", h.version);
	h = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, 999999};
	printf("nobody %s\n", err(syscall(SYS_capget, &h, d)));
	h.pid = getpid() + 100000;
	printf("other %s\n", err(syscall(SYS_capset, &h, d)));
	printf("no_new_privs %d %s", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
	       err(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	printf(" %d unset %s\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
	       err(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0)));
	printf("setuid -1 %s\n", err(syscall(SYS_setuid, -1)));
}

int main(void)
{
	in_child("setuid", root_setuid);
	in_child("seteuid", seteuid_test);
	in_child("gids", gids);
	in_child("fs ids", fs_ids);
	in_child("keep", keep);
	in_child("bounding", bounding);
	in_child("versions", versions);
	if (prctl(PR_CAPBSET_READ, CAP_SETPCAP) == 1)
		in_child("securebits", securebits);
	return 0;
}
