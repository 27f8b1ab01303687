/* System calls about the system as a whole: names, memory, randomness, power. */
#include <errno.h>
#include <linux/reboot.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/random.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include "common/host_random.h"
#include "common/host_sched.h"
#include "sentry/abi/version.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

long sys_uname(struct task *t, const struct sysargs *a)
{
	struct uts_ns *uts = t->ns->uts;
	struct utsname u = {GUEST_OSTYPE, "", GUEST_OSRELEASE, GUEST_VERSION, "x86_64", ""};

	mutex_lock(&uts->lock);
	memcpy(u.nodename, uts->hostname, sizeof(u.nodename));
	memcpy(u.domainname, uts->domainname, sizeof(u.domainname));
	mutex_unlock(&uts->lock);
	if ((t->personality & 0xff) == PER_LINUX32)
		strcpy(u.machine, "i686");
	if (t->personality & UNAME26)
		strcpy(u.release, "2.6.66");
	return copyout_late(t, UADDR(a->v[0]), &u, sizeof(u));
}

static long set_name(struct task *t, const struct sysargs *a, char *name)
{
	struct uts_ns *uts = t->ns->uts;
	char new[65] = "";
	int len = (int)a->v[1];

	if (!task_ns_capable(t, uts->ns.owner, CAP_SYS_ADMIN))
		return -EPERM;
	if (len < 0 || len > 64)
		return -EINVAL;
	if (copyin(t, new, UADDR(a->v[0]), (size_t)len) < 0)
		return -EFAULT;
	mutex_lock(&uts->lock);
	memcpy(name, new, sizeof(new));
	mutex_unlock(&uts->lock);
	return 0;
}

long sys_sethostname(struct task *t, const struct sysargs *a)
{
	return set_name(t, a, t->ns->uts->hostname);
}

long sys_setdomainname(struct task *t, const struct sysargs *a)
{
	return set_name(t, a, t->ns->uts->domainname);
}

long sys_personality(struct task *t, const struct sysargs *a)
{
	uint64_t old = t->personality;

	if ((uint32_t)a->v[0] != 0xffffffff)
		t->personality = (uint32_t)a->v[0];
	return (long)old;
}

long sys_sysinfo(struct task *t, const struct sysargs *a)
{
	struct container *c = t->container;
	struct host_sysinfo h;
	struct sysinfo si = {.mem_unit = 1};
	int r = host_sysinfo(&h);

	if (r < 0)
		return r;
	if (c->memory_limit && c->memory_limit < h.total_ram) {
		h.total_ram = c->memory_limit;
		h.free_ram = min(h.free_ram, h.total_ram);
		h.total_swap = h.free_swap = 0;
	}
	loadavg_get(c, si.loads);
	si.uptime = (long)h.uptime + t->ns->time->boottime / (int64_t)NSEC_PER_SEC;
	si.totalram = h.total_ram;
	si.freeram = h.free_ram;
	si.sharedram = h.shared_ram;
	si.bufferram = h.buffer_ram;
	si.totalswap = h.total_swap;
	si.freeswap = h.free_swap;
	si.procs = (unsigned short)min(container_count_tasks(c), 65535);
	return copyout_late(t, UADDR(a->v[0]), &si, sizeof(si));
}

long sys_getrandom(struct task *t, const struct sysargs *a)
{
	size_t n = min(a->v[1], (uint64_t)0x1ffffff), done = 0;
	unsigned int flags = (unsigned int)a->v[2];
	char buf[4096] __attribute__((uninitialized));

	if (flags & ~(unsigned int)(GRND_NONBLOCK | GRND_RANDOM | 4 /* GRND_INSECURE */))
		return -EINVAL;
	if ((flags & (GRND_RANDOM | 4)) == (GRND_RANDOM | 4))
		return -EINVAL;
	while (done < n) {
		size_t part = min(n - done, sizeof(buf));

		host_random(buf, part);
		if (copyout(t, uaddr_add(UADDR(a->v[0]), done), buf, part) < 0)
			return done ? (long)done : -EFAULT;
		done += part;
		if (done < n && task_interrupted(t))
			break;
	}
	return (long)done;
}

/* The kernel's log is the host's: to the privileged it looks empty. */
long sys_syslog(struct task *t, const struct sysargs *a)
{
	int type = (int)a->v[0];

	if (!task_capable(t, CAP_SYSLOG))
		return -EPERM;
	if (type < 0 || type > 10)
		return -EINVAL;
	if (type >= 2 && type <= 4 && (!a->v[1] || (int)a->v[2] < 0))
		return -EINVAL;
	return 0;
}

/* As in a pid namespace: init dies, with the signal that tells its starter what was asked for. */
static long end_init(struct task *t, int sig)
{
	struct process *init;

	mutex_lock(&tasklist);
	init = task_pids(t)->init;
	/* The command, where init has no program: its oldest child. */
	if (init && init->passive)
		init = list_empty(&init->children)
			   ? NULL
			   : list_first(&init->children, struct process, sibling);
	if (init && !init->zombie) {
		mutex_lock(&init->sighand->lock);
		process_group_exit_locked(init, sig);
		mutex_unlock(&init->sighand->lock);
	}
	mutex_unlock(&tasklist);
	return 0;
}

long sys_reboot(struct task *t, const struct sysargs *a)
{
	uint32_t magic2 = (uint32_t)a->v[1];

	if (!task_ns_capable(t, task_pids(t)->ns.owner, CAP_SYS_BOOT))
		return -EPERM;
	if ((uint32_t)a->v[0] != LINUX_REBOOT_MAGIC1 ||
	    (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
	     magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	switch ((uint32_t)a->v[2]) {
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2:
		return end_init(t, SIGHUP);
	case LINUX_REBOOT_CMD_HALT:
	case LINUX_REBOOT_CMD_POWER_OFF:
		return end_init(t, SIGINT);
	}
	return -EINVAL;
}

long sys_vhangup(struct task *t, const struct sysargs *a)
{
	return task_capable(t, CAP_SYS_TTY_CONFIG) ? 0 : -EPERM;
}
