/*
 * --strace. The table's argument kinds say how to print each argument; guest
 * memory is read again for it, so a racing guest may see other bytes printed
 * than the call used: this is a debugging aid, not an audit log. Calls that do
 * not return (exit) are printed before they run.
 */
#include "sentry/sys/strace.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/flags.h"

#define SHOWN_BYTES 48

static bool enabled;

struct text {
	char *buf;
	size_t size, len;
};

static void put(struct text *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void put(struct text *x, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (x->len + 1 >= x->size)
		return;
	va_start(ap, fmt);
	n = vsnprintf(x->buf + x->len, x->size - x->len, fmt, ap);
	va_end(ap);
	x->len = min(x->len + (size_t)max(n, 0), x->size - 1);
}

static void put_bytes(struct text *x, const unsigned char *bytes, size_t n, bool more)
{
	put(x, "\"");
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == '\n')
			put(x, "\\n");
		else if (bytes[i] == '"' || bytes[i] == '\\')
			put(x, "\\%c", bytes[i]);
		else if (isprint(bytes[i]))
			put(x, "%c", bytes[i]);
		else
			put(x, "\\%o", bytes[i]);
	}
	put(x, more ? "\"..." : "\"");
}

static void put_string(struct text *x, struct task *t, uint64_t addr)
{
	char path[4096];
	ssize_t n = addr ? copyin_string(t, path, sizeof(path), UADDR(addr)) : -EFAULT;

	if (!addr)
		put(x, "NULL");
	else if (n < 0)
		put(x, "%#llx", (unsigned long long)addr);
	else
		put_bytes(x, (unsigned char *)path, (size_t)min(n, (ssize_t)256), n > 256);
}

static void put_buffer(struct text *x, struct task *t, uint64_t addr, uint64_t len)
{
	unsigned char bytes[SHOWN_BYTES];
	size_t n = min((size_t)len, sizeof(bytes));

	if (!addr || copyin(t, bytes, UADDR(addr), n))
		put(x, addr ? "%#llx" : "NULL", (unsigned long long)addr);
	else
		put_bytes(x, bytes, n, len > n);
}

static void put_strings(struct text *x, struct task *t, uint64_t addr)
{
	if (!addr) {
		put(x, "NULL");
		return;
	}
	put(x, "[");
	for (int i = 0; i < 16; i++) {
		uint64_t p;

		if (copyin(t, &p, UADDR(addr + 8 * (uint64_t)i), 8) || !p)
			break;
		put(x, i ? ", " : "");
		put_string(x, t, p);
	}
	put(x, "]");
}

static void put_timespec(struct text *x, struct task *t, uint64_t addr)
{
	int64_t ts[2];

	if (!addr || copyin(t, ts, UADDR(addr), sizeof(ts)))
		put(x, addr ? "%#llx" : "NULL", (unsigned long long)addr);
	else
		put(x, "{%lld.%09lld}", (long long)ts[0], (long long)ts[1]);
}

static void put_file_name(struct text *x, struct task *t, int fd)
{
	char name[256];
	struct file *f = fd_get(t->files, fd);

	if (!f)
		return;
	if (f->path.dentry && path_name(&f->path, NULL, name, sizeof(name)) > 0)
		put(x, "<%s>", name);
	else if (anon_inode_name(f->inode))
		put(x, "<%s>", anon_inode_name(f->inode));
	file_put(f);
}

static void put_fd(struct text *x, struct task *t, int fd)
{
	put(x, "%d", fd);
	if (fd >= 0 && t->files)
		put_file_name(x, t, fd);
}

static void put_scalar(struct text *x, const struct arg_desc *d, uint64_t v)
{
	char buf[256];

	switch (d->kind) {
	case ARG_INT:
	case ARG_PID:
		put(x, "%d", (int)v);
		break;
	case ARG_UINT:
		put(x, "%u", (unsigned int)v);
		break;
	case ARG_LONG:
		put(x, "%lld", (long long)v);
		break;
	case ARG_SIZE:
		put(x, "%llu", (unsigned long long)v);
		break;
	case ARG_OCTAL:
		put(x, "%#o", (unsigned int)v);
		break;
	case ARG_SIGNAL:
		put(x, "%s", signal_name((int)v, buf));
		break;
	case ARG_FLAGS:
		put(x, "%s", flags_format(d->flags, v, buf, sizeof(buf)));
		break;
	case ARG_IOCTL:
		put(x, "%s", flags_format(names_ioctl, v, buf, sizeof(buf)));
		break;
	default:
		put(x, v ? "%#llx" : "0", (unsigned long long)v);
	}
}

static void put_arg(struct text *x, struct task *t, const struct arg_desc *d, uint64_t v,
		    uint64_t next, bool done, long result)
{
	switch (d->kind) {
	case ARG_FD:
		put_fd(x, t, (int)v);
		break;
	case ARG_DIRFD:
		if ((int)v == AT_FDCWD)
			put(x, "AT_FDCWD");
		else
			put_fd(x, t, (int)v);
		break;
	case ARG_PATH:
	case ARG_STRING:
		put_string(x, t, v);
		break;
	case ARG_BUF_IN:
		put_buffer(x, t, v, next);
		break;
	case ARG_BUF_OUT:
		put_buffer(x, t, done && result > 0 ? v : 0, (uint64_t)result);
		break;
	case ARG_ARGV:
		put_strings(x, t, v);
		break;
	case ARG_TIMESPEC_IN:
		put_timespec(x, t, v);
		break;
	default:
		put_scalar(x, d, v);
	}
}

void strace_format_call(struct task *t, uint64_t nr, const struct sysargs *a, bool done,
			long result, char *buf, size_t size)
{
	const struct syscall_desc *d = nr < PF_NSYSCALLS ? &syscall_table[nr] : NULL;
	struct text x = {buf, size, 0};

	if (!d || !d->name) {
		put(&x, "syscall_%llu(%#llx, %#llx, %#llx", (unsigned long long)nr,
		    (unsigned long long)a->v[0], (unsigned long long)a->v[1],
		    (unsigned long long)a->v[2]);
		return;
	}
	put(&x, "%s(", d->name);
	for (int i = 0; i < 6 && d->args[i].kind != ARG_END; i++) {
		put(&x, i ? ", " : "");
		put_arg(&x, t, &d->args[i], a->v[i], i < 5 ? a->v[i + 1] : 0, done, result);
	}
}

void strace_print(struct task *t, uint64_t nr, const struct sysargs *a, long result, uint64_t ns)
{
	char line[2048], err[16];
	struct text x = {line, sizeof(line) - 1, 0};

	put(&x, "[%d] %.15s ", t->tid, t->comm);
	strace_format_call(t, nr, a, true, result, line + x.len, sizeof(line) - 128 - x.len);
	x.len = strlen(line);
	if (result < 0 && result > -4096)
		put(&x, ") = -1 %s", errno_name((int)-result, err));
	else
		put(&x, result > 0xffff ? ") = %#lx" : ") = %ld", result);
	put(&x, " <%llu.%06llu>", (unsigned long long)(ns / NSEC_PER_SEC),
	    (unsigned long long)(ns % NSEC_PER_SEC / NSEC_PER_USEC));
	line[x.len++] = '\n';
	log_raw(line, x.len);
}

void strace_enable(void)
{
	enabled = true;
}

bool strace_enabled(void)
{
	return enabled;
}
