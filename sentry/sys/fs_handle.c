/* name_to_handle_at(2), open_by_handle_at(2): no file system here has handles that outlive its
 * dentries, and opening by handle needs a capability over the host. */
#include <errno.h>

#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/fs_at.h"

long sys_name_to_handle_at(struct task *t, const struct sysargs *a)
{
	int flags = (int)a->v[4];
	struct path path;
	long err;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	err = fs_at_lookup(
	    t, (int)a->v[0], UADDR(a->v[1]),
	    (flags & AT_EMPTY_PATH) | (flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW), &path);
	if (err < 0)
		return err;
	path_put(&path);
	return -EOPNOTSUPP;
}

long sys_open_by_handle_at(struct task *t, const struct sysargs *a)
{
	return -EPERM;
}
