/*
 * The syscall table: one entry per number yields dispatch, the stub's copy
 * rules, --strace, the ENOSYS warning and docs/compatibility.md.
 */
#ifndef GARRISON_SENTRY_SYS_SYSCALL_H
#define GARRISON_SENTRY_SYS_SYSCALL_H

#include "sentry/kernel/task.h"

struct sysargs {
	uint64_t v[6];
};

/* Every guest syscall: >= 0, -errno, or a restart code. Arguments are raw registers: an int
 * is (int)a->v[0], an address UADDR(a->v[1]). */
typedef long syscall_fn(struct task *t, const struct sysargs *a);

/* What an argument is: for --strace and for the stub's copying. */
enum arg_kind {
	ARG_END,
	ARG_INT, /* signed decimal */
	ARG_UINT,
	ARG_LONG,
	ARG_HEX,
	ARG_OCTAL, /* a mode */
	ARG_SIZE,
	ARG_ADDR,
	ARG_FD,
	ARG_DIRFD,     /* AT_FDCWD decoded */
	ARG_PATH,      /* string, copied by the stub */
	ARG_STRING,    /* another string, copied by the stub */
	ARG_BUF_IN,    /* bytes that the call reads; length is the next argument */
	ARG_BUF_OUT,   /* bytes that the call writes; length is the result */
	ARG_STRUCT_IN, /* fixed size in .size of the argument */
	ARG_STRUCT_OUT,
	ARG_FLAGS, /* decoded by .flags */
	ARG_SIGNAL,
	ARG_PID,
	ARG_ARGV,
	ARG_TIMESPEC_IN,
	ARG_SOCKADDR,
	ARG_IOCTL,
	ARG_POLLFDS,
	ARG_IOV,
};

struct arg_desc {
	uint8_t kind;
	uint16_t size;		       /* ARG_STRUCT_*: bytes */
	const struct flag_name *flags; /* ARG_FLAGS; ends with name NULL */
};

struct flag_name {
	uint64_t value, mask; /* mask 0: single bits */
	const char *name;
};

enum syscall_status {
	SC_MISSING, /* no entry: -ENOSYS with a warning */
	SC_FULL,
	SC_PARTIAL, /* `note` says what is missing */
	SC_REFUSED, /* answered with -refuse_errno, as a Linux built without it would */
};

struct syscall_desc {
	const char *name;
	syscall_fn *fn;
	enum syscall_status status;
	int refuse_errno;
	const char *note;
	struct arg_desc args[6];
};

extern const struct syscall_desc syscall_table[PF_NSYSCALLS];

/* Runs the call that the stopped task made and stores the result (run.c calls it). */
void syscall_dispatch(struct task *t);

#endif
