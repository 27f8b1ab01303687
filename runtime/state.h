/*
 * The state of a container on disk: <root>/<id>/state.json, replaced atomically.
 *
 * The directory is the lock: every command that changes something holds flock(2)
 * on it. It holds also control.sock (the sentry's listening socket) and, once the
 * container has ended, exit-status (written by its monitor).
 *
 * state.json is first written before anything is started, and names what is to
 * be removed; so whatever is killed in between, `delete --force` finds it.
 */
#ifndef GARRISON_RUNTIME_STATE_H
#define GARRISON_RUNTIME_STATE_H

#include <jansson.h>

#include "runtime/command.h"

/* A host process: a pid and its start time, so that a reused pid is not mistaken for it. */
struct process_ref {
	int pid; /* 0: none */
	uint64_t start_time;
};

struct state {
	char *id, *dir;
	int dir_fd; /* locked while open, if asked for */
	char *bundle, *rootfs, *created;
	json_t *annotations; /* or NULL */
	json_t *cgroup_dirs; /* array of strings: to be removed */
	char *cgroup_path;
	json_t *hooks; /* the configuration's, or NULL */
	int owner;     /* uid */
	bool started, terminal, paused;
	struct process_ref monitor, sentry, gofer;
};

enum container_status {
	STATUS_CREATING,
	STATUS_CREATED,
	STATUS_RUNNING,
	STATUS_PAUSED,
	STATUS_STOPPED
};
const char *status_name(enum container_status s);

/* Makes the directory and locks it; -EEXIST if the ID is taken. */
MUST_CHECK int state_new(const struct global_options *g, const char *id, struct state *st,
			 struct error *e);
/* Reads an existing one, locked if `lock`. -ENOENT: "container ... does not exist". */
MUST_CHECK int state_load(const struct global_options *g, const char *id, bool lock,
			  struct state *st, struct error *e);
/* For a command that stays: others may work on the container meanwhile. */
void state_unlock(struct state *st);
bool state_try_lock(struct state *st);
MUST_CHECK int state_lock(struct state *st, struct error *e);
MUST_CHECK int state_save(struct state *st, struct error *e);
/* Removes the directory with all that is in it. */
MUST_CHECK int state_remove(struct state *st, struct error *e);
void state_free(struct state *st);

enum container_status state_status(const struct state *st);
/* The JSON that OCI's state command and hooks see. Owned. */
json_t *state_to_oci(const struct state *st);
/* What the monitor left: a wait status, or -ENOENT. */
int state_exit_status(const struct state *st);

struct process_ref process_ref_of(int pid);
bool process_alive(const struct process_ref *p);
/* SIGKILL, and waits until it is gone (its own memory is freed, a zombie is enough). */
int process_kill_wait(const struct process_ref *p);

int check_id(const char *id, struct error *e);

#endif
