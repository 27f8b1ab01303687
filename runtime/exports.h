/* The file trees that a container's gofer serves: opened here, one channel each. */
#ifndef GARRISON_RUNTIME_EXPORTS_H
#define GARRISON_RUNTIME_EXPORTS_H

#include "runtime/error.h"

#define EXPORTS_MAX 100

struct export
{
	int root;	/* O_PATH fd of the tree (or file), owned */
	int gofer_end;	/* owned */
	int sentry_end; /* owned */
	bool readonly, shared, is_file;
};

struct exports {
	struct export list[EXPORTS_MAX];
	size_t n;
};

/* Opens path and adds it; its index, or -errno. recursive: with the mounts below it. */
MUST_CHECK int exports_add(struct exports *x, const char *path, bool readonly, bool shared,
			   bool recursive, struct error *e);
void exports_close(struct exports *x);

#endif
