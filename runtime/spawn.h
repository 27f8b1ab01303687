/* Starting our own programs: vfork-like, with exactly the fds that are named. */
#ifndef GARRISON_RUNTIME_SPAWN_H
#define GARRISON_RUNTIME_SPAWN_H

#include "runtime/error.h"

#define SPAWN_MAX_FDS 300

struct spawn {
	const char *program; /* name in libexec, or an absolute path */
	char *const *argv;
	char *const *envp; /* NULL: none */
	int stdio[3];	   /* -1: /dev/null */
	const int *fds;	   /* kept under their numbers */
	size_t nfds;
	const int *join; /* cgroup.procs fds to write "0" to before the exec */
	size_t njoin;
	int clone_flags; /* CLONE_NEWPID, ...; with CLONE_NEWNET its loopback is brought up */
	int net_ns;	 /* a network namespace to enter; 0: none */
	int ctty;	 /* becomes the controlling terminal of a new session; -1: none */
	const char *cwd; /* NULL: "/" */
};

/* The pid, or -errno. When it returns the child has exec'ed. */
MUST_CHECK int spawn(const struct spawn *s, struct error *e);
/* Where a program of ours lies: beside the running binary (../libexec/garrison). Owned. */
char *spawn_find(const char *program);

#endif
