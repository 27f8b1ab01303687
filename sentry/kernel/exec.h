/*
 * Loading of a program into a fresh space (kernel/exec_load.c), used by execve
 * of a task (kernel/exec.c) and by task_start for a container's first program.
 */
#ifndef GARRISON_SENTRY_KERNEL_EXEC_H
#define GARRISON_SENTRY_KERNEL_EXEC_H

#include "sentry/kernel/container.h"
#include "sentry/kernel/lifecycle.h"

/* Who execs. All borrowed. */
struct exec_request {
	struct pf_zygote *zygote;
	const struct walk_env *env; /* for the interpreters' names */
	const struct cred *cred;
	struct exec_args *args;
	struct mm_limits limits; /* of the process: stack, as, data */
	uint64_t personality;
	bool traced; /* set-user-ID and file capabilities do not count then */
};

/* A program ready to run. All owned. */
struct exec_image {
	struct pf_thread *pt; /* stopped at the entry point; the calling thread drives it */
	struct mm *mm;	      /* owns the space */
	struct cred *cred;
	bool secure; /* AT_SECURE: ids or capabilities were gained */
	char comm[16];
	uint64_t personality;
};

/* 0 or -errno; nothing of the caller has changed yet. */
int exec_load(const struct exec_request *req, struct exec_image *out) MUST_CHECK;
/* Gives back an image that will not be used. */
void exec_image_fini(struct exec_image *image);

/* Credentials after execve of `file` (capabilities(7), "Transformation of capabilities during
 * execve()"): owned in *out. -EPERM for a file whose capabilities cannot all be had. */
int exec_creds(const struct cred *old, struct file *file, bool traced, struct cred **out,
	       bool *secure) MUST_CHECK;

/* --- for exec_load.c only: the initial stack (kernel/exec_stack.c) -------------------------- */

struct exec_entry {
	uint64_t entry, phdr, phnum, interp_base, program_entry; /* addresses in the guest */
	uint64_t stack_top;					 /* page-aligned */
	bool secure;
};
/* -E2BIG when the strings do not fit a quarter of the stack limit, or one is too long. */
int exec_check_args(const struct exec_args *args, uint64_t stack_limit) MUST_CHECK;
/* Writes strings, vectors and auxv below e->stack_top; fills mm's fields. *sp: the first rsp. */
int exec_build_stack(struct mm *mm, const struct exec_args *args, const struct cred *cred,
		     const struct exec_entry *e, bool randomise, uint64_t *sp) MUST_CHECK;

#endif
