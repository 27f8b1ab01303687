/*
 * /proc/PID/timens_offsets (time_namespaces(7)): how far the clocks of the
 * namespace meant for children are ahead; to be set until somebody is in it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/host_clock.h"
#include "common/mem.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/proc/proc.h"

#define TEXT_MAX 4096
#define OFFSET_MAX (INT64_MAX / (int64_t)NSEC_PER_SEC / 2)

static int time_of(struct file *f, struct nsproxy **out)
{
	struct proc_subject s;
	int r = proc_subject_get(proc_node_of(pseudo_inode_of(f->inode)), &s);

	if (r < 0)
		return r;
	*out = task_get_namespaces(s.t);
	proc_subject_put(&s);
	return *out ? 0 : -ESRCH;
}

static void show_offset(struct text *out, const char *name, int64_t ns)
{
	int64_t sec = ns / (int64_t)NSEC_PER_SEC, rest = ns % (int64_t)NSEC_PER_SEC;

	if (rest < 0) {
		sec--;
		rest += (int64_t)NSEC_PER_SEC;
	}
	text_printf(out, "%-10s %10lld %9lld\n", name, (long long)sec, (long long)rest);
}

static ssize_t offsets_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct nsproxy *p;
	struct text t = {0};
	ssize_t r = time_of(f, &p);

	if (r < 0)
		return r;
	mutex_lock(&p->time_for_children->lock);
	show_offset(&t, "monotonic", p->time_for_children->monotonic);
	show_offset(&t, "boottime", p->time_for_children->boottime);
	mutex_unlock(&p->time_for_children->lock);
	nsproxy_put(p);
	n = *pos < 0 || (size_t)*pos >= t.len ? 0 : min(n, t.len - (size_t)*pos);
	if (n)
		memcpy(buf, t.buf + *pos, n);
	text_fini(&t);
	*pos += (off_t)n;
	return (ssize_t)n;
}

struct offsets {
	bool set[2]; /* monotonic, boottime */
	int64_t ns[2];
};

static int parse_line(const char *line, struct offsets *out)
{
	char name[16], tail;
	long long sec, ns;
	int which;

	if (sscanf(line, "%15s %lld %lld %c", name, &sec, &ns, &tail) != 3)
		return -EINVAL;
	if (!strcmp(name, "monotonic") || !strcmp(name, "1"))
		which = 0;
	else if (!strcmp(name, "boottime") || !strcmp(name, "7"))
		which = 1;
	else
		return -EINVAL;
	if (ns < 0 || ns >= (long long)NSEC_PER_SEC)
		return -EINVAL;
	if (sec > OFFSET_MAX || sec < -OFFSET_MAX)
		return -ERANGE;
	out->ns[which] = sec * (int64_t)NSEC_PER_SEC + ns;
	out->set[which] = true;
	/* No clock may show a time before its start, or one beyond all bounds. */
	sec = (int64_t)host_clock_ns(which ? CLOCK_BOOTTIME : CLOCK_MONOTONIC) + out->ns[which];
	return sec < 0 || sec / (int64_t)NSEC_PER_SEC > OFFSET_MAX ? -ERANGE : 0;
}

static int store(struct time_ns *ns, const struct offsets *o)
{
	SCOPED_LOCK(&ns->lock);

	if (ns->entered)
		return -EACCES;
	if (o->set[0])
		ns->monotonic = o->ns[0];
	if (o->set[1])
		ns->boottime = o->ns[1];
	return 0;
}

static int set_offsets(struct file *f, char *text)
{
	struct offsets o = {{false}};
	struct nsproxy *p;
	char *line;
	int r = 0;

	while (r == 0 && (line = strsep(&text, "\n")))
		if (*line)
			r = parse_line(line, &o);
	if (r == 0)
		r = time_of(f, &p);
	if (r < 0)
		return r;
	r = cred_ns_capable(f->cred, p->time_for_children->ns.owner, CAP_SYS_TIME)
		? store(p->time_for_children, &o)
		: -EPERM;
	nsproxy_put(p);
	return r;
}

static ssize_t offsets_write(struct file *f, const void *buf, size_t n, off_t *pos)
{
	char text[TEXT_MAX];
	int r;

	if (*pos || n >= sizeof(text))
		return -EINVAL;
	memcpy(text, buf, n);
	text[n] = '\0';
	r = set_offsets(f, text);
	if (r < 0)
		return r;
	*pos += (off_t)n;
	return (ssize_t)n;
}

static const struct file_ops file_ops = {
    .read = offsets_read, .write = offsets_write, .release = pseudo_file_release};
const struct pseudo_ops proc_timens_offsets_ops = {
    .file_ops = &file_ops,
    .refresh = proc_node_refresh,
    .release = proc_node_release,
};
