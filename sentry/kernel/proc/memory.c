/* cmdline, environ, auxv, mem and pagemap: what lies in the subject's memory. */
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "common/mem.h"
#include "sentry/kernel/may_access.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/ptrace.h"

#define AREA_MAX (8ULL << 20)

/* Adds guest memory [start, end), as far as it can be read. */
static void add_area(struct mm *mm, uint64_t start, uint64_t end, struct text *out)
{
	char buf[4096];

	end = min(end, start + AREA_MAX);
	while (start < end) {
		size_t n = min((size_t)(end - start), sizeof(buf));
		ssize_t r = pf_space_read(mm->space, UADDR(start), buf, n);

		if (r <= 0)
			return;
		text_add(out, buf, (size_t)r);
		start += (size_t)r;
	}
}

struct areas {
	uint64_t arg_start, arg_end, env_start, env_end;
};

static struct areas areas_of(struct mm *mm)
{
	SCOPED_LOCK(&mm->lock);

	return (struct areas){mm->arg_start, mm->arg_end, mm->env_start, mm->env_end};
}

/* A program that overwrote the end of its arguments set a title: it may reach into the
 * environment, and ends at the first NUL there (proc_pid_cmdline(5)). */
int proc_show_cmdline(const struct proc_subject *s, struct text *out)
{
	struct mm *mm = task_get_mm(s->t);
	struct areas a;
	size_t len;

	if (!mm)
		return 0;
	a = areas_of(mm);
	if (a.arg_end > a.arg_start) {
		add_area(mm, a.arg_start, a.arg_end, out);
		if (out->len && out->buf[out->len - 1] != '\0') {
			len = strnlen(out->buf, out->len);
			if (len == out->len && a.env_start == a.arg_end)
				add_area(mm, a.env_start, a.env_end, out);
			len = strnlen(out->buf, out->len);
			out->len = len < out->len ? len + 1 : len;
		}
	}
	mm_put(mm);
	return 0;
}

int proc_show_environ(const struct proc_subject *s, struct text *out)
{
	struct mm *mm = task_get_mm(s->t);
	struct areas a;

	if (!mm)
		return 0;
	a = areas_of(mm);
	if (a.env_end > a.env_start)
		add_area(mm, a.env_start, a.env_end, out);
	mm_put(mm);
	return 0;
}

int proc_show_auxv(const struct proc_subject *s, struct text *out)
{
	struct mm *mm = task_get_mm(s->t);
	size_t n = 0;

	if (!mm)
		return 0;
	mutex_lock(&mm->lock);
	while (n + 2 < ARRAY_SIZE(mm->auxv) && mm->auxv[n] != AT_NULL)
		n += 2;
	text_add(out, mm->auxv, (n + 2) * sizeof(mm->auxv[0]));
	mutex_unlock(&mm->lock);
	mm_put(mm);
	return 0;
}

/* --- mem --------------------------------------------------------------------------------------- */

static int mem_get(struct file *f, struct mm **out)
{
	struct proc_subject s;
	int r = proc_subject_get(proc_node_of(pseudo_inode_of(f->inode)), &s);

	if (r < 0)
		return r;
	/* Asked again at each access: an execve since the open may have gained privileges. */
	r = proc_may_access(&s, ACCESS_ATTACH | ACCESS_FSCREDS);
	*out = r == 0 ? task_get_mm(s.t) : NULL;
	proc_subject_put(&s);
	return r < 0 ? -EACCES : 0;
}

static ssize_t mem_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct mm *mm;
	ssize_t r = mem_get(f, &mm);

	if (r < 0 || !mm)
		return r;
	r = pf_space_read(mm->space, UADDR(*pos), buf, n);
	mm_put(mm);
	if (r > 0)
		*pos += r;
	return r == -EFAULT || r == 0 ? -EIO : r;
}

/* What page protections forbid only the tracer of a stopped task may write (breakpoints). */
static ssize_t mem_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	struct mm *mm;
	ssize_t r = mem_get(f, &mm);

	if (r < 0 || !mm)
		return r;
	r = pf_space_write(mm->space, UADDR(*pos), buf, n);
	if (r < 0)
		r = ptrace_poke_mm(task_current(), mm, UADDR(*pos), buf, n);
	mm_put(mm);
	if (r > 0)
		*pos += r;
	return r == -EFAULT || r == 0 ? -EIO : r;
}

/* Addresses are unsigned: any offset will do. */
static off_t mem_seek(struct file *f, off_t offset, int whence)
{
	if (whence == SEEK_CUR)
		offset = (off_t)((uint64_t)f->pos + (uint64_t)offset);
	else if (whence != SEEK_SET)
		return -EINVAL;
	f->pos = offset;
	return offset;
}

static const struct file_ops mem_file_ops = {
    .read = mem_read,
    .write = mem_write,
    .seek = mem_seek,
    .release = pseudo_file_release,
};

static int mem_open(struct pseudo_inode *p, const struct cred *cred, int flags)
{
	return proc_node_may_access(p, ACCESS_ATTACH | ACCESS_FSCREDS);
}

const struct pseudo_ops proc_mem_ops = {
    .file_ops = &mem_file_ops,
    .open = mem_open,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};

/* --- pagemap ------------------------------------------------------------------------------------- */

/* Eight bytes a page. Frame numbers are hidden, as from a reader without CAP_SYS_ADMIN, and
 * presence is not told: everything reads as not present. */
static ssize_t pagemap_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	uint64_t end = pf_max_addr() / GUEST_PAGE * 8;

	if (*pos < 0 || *pos % 8 || n % 8)
		return -EINVAL;
	if ((uint64_t)*pos >= end)
		return 0;
	n = min(n, (size_t)(end - (uint64_t)*pos));
	memset(buf, 0, n);
	*pos += (off_t)n;
	return (ssize_t)n;
}

static const struct file_ops pagemap_file_ops = {
    .read = pagemap_read, .seek = mem_seek, .release = pseudo_file_release};

static int pagemap_open(struct pseudo_inode *p, const struct cred *cred, int flags)
{
	return proc_node_may_access(p, ACCESS_READ | ACCESS_FSCREDS);
}

const struct pseudo_ops proc_pagemap_ops = {
    .file_ops = &pagemap_file_ops,
    .open = pagemap_open,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};
