/* memfd_create(2). */
#include "sentry/fs/memfd.h"

#include <errno.h>
#include <linux/memfd.h>

#include "common/host_memfd.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fd_new.h"

#define KNOWN (MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC)

long sys_memfd_create(struct task *t, const struct sysargs *a)
{
	unsigned int flags = (unsigned int)a->v[1];
	char name[MEMFD_NAME_MAX + 1];
	struct file *f;
	ssize_t len;
	int err;

	if (flags & MFD_HUGETLB)
		return -ENOSYS; /* as a Linux built without hugetlbfs */
	if ((flags & ~KNOWN) || ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL)))
		return -EINVAL;
	len = copyin_string(t, name, sizeof(name), UADDR(a->v[0]));
	if (len < 0)
		return len == -ENAMETOOLONG ? -EINVAL : len;
	err = memfd_new(t->cred, name, flags, &f);
	return err ? err : fd_new(t, f, flags & MFD_CLOEXEC);
}
