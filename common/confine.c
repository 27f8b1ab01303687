#include "common/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common/host_setup.h"
#include "common/log.h"

int confine_fds(const int *keep, size_t n)
{
	unsigned int from = 3;

	/* The gaps between the kept ones, in rising order. */
	for (;;) {
		int next = -1;
		int r;

		for (size_t i = 0; i < n; i++)
			if (keep[i] >= (int)from && (next < 0 || keep[i] < next))
				next = keep[i];
		if (next == (int)from) {
			from++;
			continue;
		}
		r = host_close_range(from, next < 0 ? ~0U : (unsigned int)next - 1);
		if (r < 0 || next < 0)
			return r;
		from = (unsigned int)next + 1;
	}
}

/* An empty, read-only tmpfs becomes the root; the old one is gone from this namespace. */
static int empty_root(const char **what)
{
	static const char place[] = "/proc"; /* exists wherever we can run */
	int r;

	*what = "make mounts private";
	r = host_mount("", "/", "", MS_REC | MS_PRIVATE, NULL);
	if (r < 0)
		return r;
	*what = "mount an empty root";
	r = host_mount("none", place, "tmpfs", MS_NODEV | MS_NOEXEC | MS_NOSUID | MS_RDONLY,
		       "nr_inodes=2,size=4k,mode=0555");
	if (r < 0)
		return r;
	*what = "enter the empty root";
	r = host_chdir(place);
	if (r < 0)
		return r;
	r = host_pivot_root(".", ".");
	if (r < 0)
		return r;
	*what = "detach the old root";
	r = host_umount2(".", MNT_DETACH | UMOUNT_NOFOLLOW);
	if (r < 0)
		return r;
	return host_chdir("/");
}

static int drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		int r;

		if (keep & BIT(cap))
			continue;
		r = host_prctl(PR_CAPBSET_DROP, (unsigned long)cap, 0);
		if (r == -EINVAL)
			break; /* behind the kernel's last one */
		if (r < 0)
			return r;
	}
	return 0;
}

/* All sets but permitted and effective are emptied; root has no powers by its number. */
static int drop_capabilities(uint64_t keep, const char **what)
{
	const unsigned long bits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
				   SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
				   SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
	int r;

	*what = "clear ambient capabilities";
	r = host_prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0);
	if (r < 0)
		return r;
	*what = "set securebits";
	r = host_prctl(PR_SET_SECUREBITS, bits, 0);
	if (r < 0)
		return r;
	*what = "drop bounding capabilities";
	r = drop_bounding(0);
	if (r < 0)
		return r;
	*what = "drop capabilities";
	r = host_capset(keep);
	if (r < 0)
		return r;
	*what = "set no_new_privs";
	return host_prctl(PR_SET_NO_NEW_PRIVS, 1, 0);
}

#define MANY_FDS (1U << 20) /* fs.nr_open, as Linux has it by default */

/* The sentry's descriptors are all its guests' (core/account.h): with the privilege for it, beyond
 * the hard limit. */
static bool raise_nofile_beyond(const struct rlimit *l)
{
	struct rlimit more = {MANY_FDS, MANY_FDS};

	return l->rlim_max < MANY_FDS && host_setrlimit(RLIMIT_NOFILE, &more) == 0;
}

/* Best effort: a limit of the caller's shell must not become the guest's. */
static void relax_limits(void)
{
	static const int all[] = {RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_FSIZE,  RLIMIT_AS,
				  RLIMIT_DATA,	RLIMIT_CPU,    RLIMIT_MEMLOCK};
	const struct rlimit no_core = {0, 0};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		struct rlimit l;

		if (host_getrlimit(all[i], &l) < 0)
			continue;
		if (all[i] == RLIMIT_NPROC && geteuid() == 0) {
			struct rlimit inf = {RLIM_INFINITY, RLIM_INFINITY};

			if (host_setrlimit(all[i], &inf) == 0)
				continue;
		}
		if (all[i] == RLIMIT_NOFILE && raise_nofile_beyond(&l))
			continue;
		l.rlim_cur = l.rlim_max;
		if (host_setrlimit(all[i], &l) < 0)
			log_debug("cannot raise limit %d", all[i]);
	}
	if (host_setrlimit(RLIMIT_CORE, &no_core) < 0)
		log_debug("cannot clear RLIMIT_CORE");
}

/* Our uid, and no other, exists in the new user namespace. */
static int write_id_maps(uid_t uid, gid_t gid)
{
	char line[64];
	int r;

	snprintf(line, sizeof(line), "%d %u 1", CONFINED_UID, (unsigned)uid);
	r = host_write_file(AT_FDCWD, "/proc/self/uid_map", line);
	if (r < 0)
		return r;
	r = host_write_file(AT_FDCWD, "/proc/self/setgroups", "deny");
	if (r < 0)
		return r;
	snprintf(line, sizeof(line), "%d %u 1", CONFINED_UID, (unsigned)gid);
	return host_write_file(AT_FDCWD, "/proc/self/gid_map", line);
}

static int new_user_namespace(int spaces, const char **what)
{
	uid_t uid;
	gid_t gid;
	int r;

	*what = "give up root";
	if (geteuid() == 0) {
		r = host_setids(CONFINED_UID, CONFINED_UID);
		if (r < 0)
			return r;
	}
	uid = geteuid();
	gid = getegid();
	/* /proc/self belongs to root after the change of uid unless we are dumpable. */
	r = host_prctl(PR_SET_DUMPABLE, 1, 0);
	if (r < 0)
		return r;
	*what = "unshare user and other namespaces";
	r = host_unshare(CLONE_NEWUSER | spaces);
	if (r < 0)
		return r;
	*what = "write the uid and gid maps";
	return write_id_maps(uid, gid);
}

int confine_sentry_world(const char **what)
{
	const int spaces =
	    CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	int r;

	relax_limits();
	r = new_user_namespace(spaces, what);
	if (r < 0)
		return r;
	r = empty_root(what);
	if (r < 0)
		return r;
	return drop_capabilities(0, what);
}

static int confine_gofer_world(const char **what)
{
	const uint64_t keep = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_DAC_READ_SEARCH) |
			      BIT(CAP_FOWNER) | BIT(CAP_FSETID) | BIT(CAP_MKNOD) | BIT(CAP_SETFCAP);
	const int spaces = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
	int r;

	relax_limits();
	*what = "unshare namespaces";
	r = host_unshare(spaces);
	if (r < 0)
		return r;
	r = empty_root(what);
	if (r < 0)
		return r;
	return drop_capabilities(keep, what);
}

int confine_gofer(const char **what)
{
	int r = confine_gofer_world(what);

	if (r < 0)
		return r;
	*what = "make the process undumpable";
	r = host_prctl(PR_SET_DUMPABLE, 0, 0);
	if (r < 0)
		return r;
	return confine_gofer_calls(what);
}
