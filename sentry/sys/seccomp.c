/* seccomp(2): see kernel/seccomp.c. */
#include "sentry/kernel/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>

#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"

static long action_avail(struct task *t, uaddr from)
{
	uint32_t action;

	if (copyin(t, &action, from, sizeof(action)) < 0)
		return -EFAULT;
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	}
	return -EOPNOTSUPP;
}

static long notif_sizes(struct task *t, uaddr to)
{
	struct seccomp_notif_sizes sizes = {sizeof(struct seccomp_notif),
					    sizeof(struct seccomp_notif_resp),
					    sizeof(struct seccomp_data)};

	return copyout(t, to, &sizes, sizeof(sizes));
}

long sys_seccomp(struct task *t, const struct sysargs *a)
{
	unsigned int flags = (unsigned int)a->v[1];
	uaddr arg = UADDR(a->v[2]);

	switch ((unsigned int)a->v[0]) {
	case SECCOMP_SET_MODE_STRICT:
		return flags || arg.va ? -EINVAL : seccomp_set_strict(t);
	case SECCOMP_SET_MODE_FILTER:
		return seccomp_set_filter(t, flags, arg);
	case SECCOMP_GET_ACTION_AVAIL:
		return flags ? -EINVAL : action_avail(t, arg);
	case SECCOMP_GET_NOTIF_SIZES:
		return flags ? -EINVAL : notif_sizes(t, arg);
	}
	return -EINVAL;
}
