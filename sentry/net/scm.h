/*
 * What travels with a message: open files (SCM_RIGHTS) and the sender's identity
 * (SCM_CREDENTIALS). Files in flight may form cycles (a socket in its own queue),
 * which references alone would never free: scm.c collects them.
 */
#ifndef GARRISON_SENTRY_NET_SCM_H
#define GARRISON_SENTRY_NET_SCM_H

#include "sentry/fs/file.h"

#define SCM_MAX_FILES 253

struct account;
struct socket;

struct scm_files {
	struct list node; /* on the list of what waits to be dropped */
	unsigned int n;
	bool in_flight;
	struct account *payer; /* while in flight: whom they are counted for */
	struct file *file[];   /* owned */
};

struct scm {
	struct scm_files *files; /* owned; NULL: none */
	bool has_creds;
	int pid;
	uint32_t uid, gid;
	/* IP: what the sender asked for, or what arrived; 0: the default, else value + 1 */
	uint16_t ttl, tos;
};

/* Drops the files. Bounded stack, however deep sockets are nested in queues. */
void scm_fini(struct scm *scm);
void scm_files_drop(struct scm_files *files);
/* A further reference on each file, for MSG_PEEK. NULL: no memory. */
struct scm_files *scm_files_dup(const struct scm_files *files) MUST_CHECK;

/* Before files go into a queue, and after they left it (or are dropped from it). -ETOOMANYREFS
 * if more than `limit` files of the payer are in flight. */
int scm_attach(struct scm_files *files, uint64_t limit) MUST_CHECK;
void scm_detach(struct scm_files *files);

/* Held while a message with files is taken from a queue, so that the collector sees all
 * queues at one moment. Before any socket's lock. */
void scm_lock(void);
void scm_unlock(void);
/* Looks for cycles if any file is in flight. No lock held. Called when a socket is released. */
void scm_collect(void);

#endif
