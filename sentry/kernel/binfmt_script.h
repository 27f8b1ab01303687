/* The first line of a script ("#!"), by execve(2), "Interpreter scripts". */
#ifndef GARRISON_SENTRY_KERNEL_BINFMT_SCRIPT_H
#define GARRISON_SENTRY_KERNEL_BINFMT_SCRIPT_H

#include "common/base.h"

/* So much of the file is looked at (Linux: BINPRM_BUF_SIZE). */
#define SCRIPT_HEAD 256

struct script_line {
	char interp[SCRIPT_HEAD];
	char arg[SCRIPT_HEAD]; /* "": none */
};

/* head: the file's first SCRIPT_HEAD bytes, padded with zeros. False: not a script, or one
 * whose interpreter cannot be told (-ENOEXEC). */
bool script_parse(const char head[SCRIPT_HEAD], struct script_line *out) MUST_CHECK;

#endif
