/*
 * OCI hooks: programs of the configuration that are run at points of a
 * container's life, with its state on stdin. A hook that fails stops what is
 * under way, except poststart and poststop, which only warn.
 */
#ifndef GARRISON_RUNTIME_HOOKS_H
#define GARRISON_RUNTIME_HOOKS_H

#include "runtime/state.h"

/* Runs all hooks of one kind ("prestart", ...) in order. status is what the state says. */
MUST_CHECK int hooks_run(const struct state *st, const char *kind, enum container_status status,
			 struct error *e);
/* prestart, createRuntime and createContainer: are there any; run them. */
bool hooks_at_create(const json_t *hooks);
MUST_CHECK int hooks_run_create(const struct state *st, struct error *e);
/* The same for kinds whose failure only is a warning on the log. */
void hooks_run_warn(const struct global_options *g, const struct state *st, const char *kind,
		    enum container_status status);

#endif
