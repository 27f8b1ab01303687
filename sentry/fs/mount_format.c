/* Text of /proc/PID/mounts, mountinfo and mountstats (proc_pid_mountinfo(5)). */
#include <limits.h>
#include <stdio.h>
#include <sys/sysmacros.h>

#include "common/mem.h"
#include "sentry/fs/mount_internal.h"

static const struct {
	unsigned long flag;
	const char *name;
} flag_names[] = {
    {MS_NOSUID, ",nosuid"},	      {MS_NODEV, ",nodev"},	      {MS_NOEXEC, ",noexec"},
    {MS_NOATIME, ",noatime"},	      {MS_NODIRATIME, ",nodiratime"}, {MS_RELATIME, ",relatime"},
    {MS_NOSYMFOLLOW, ",nosymfollow"},
};

static void put_flags(FILE *out, unsigned long flags)
{
	fputs(flags & MS_RDONLY ? "ro" : "rw", out);
	if (!(flags & (MS_NOATIME | MS_STRICTATIME)))
		flags |= MS_RELATIME;
	for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
		if (flags & flag_names[i].flag)
			fputs(flag_names[i].name, out);
}

/* Space, tab, newline and backslash in octal. */
static void put_escaped(FILE *out, const char *s)
{
	for (; *s; s++)
		if (strchr(" \t\n\\", *s))
			fprintf(out, "\\%03o", (unsigned char)*s);
		else
			fputc(*s, out);
}

/* A guest may have chosen them. */
static void put_own_options(FILE *out, struct superblock *sb)
{
	char buf[PATH_MAX + 64] = "";

	if (sb->ops && sb->ops->show_options)
		sb->ops->show_options(sb, buf, sizeof(buf));
	if (*buf && *buf != ',')
		fputc(',', out);
	put_escaped(out, buf);
}

static void put_super_options(FILE *out, struct superblock *sb)
{
	fputs(sb->flags & SB_RDONLY ? "ro" : "rw", out);
	put_own_options(out, sb);
}

static void put_propagation(FILE *out, const struct mount *m)
{
	if (m->propagation & MS_SHARED)
		fprintf(out, " shared:%d", m->group);
	if (m->master)
		fprintf(out, " master:%d", m->master->group);
	if (m->propagation & MS_UNBINDABLE)
		fputs(" unbindable", out);
}

/* Which part of the superblock is mounted. */
static void put_root(FILE *out, struct mount *m, char *buf)
{
	if (dentry_name(m->root, buf, PATH_MAX) > 0)
		put_escaped(out, buf);
	else
		fputc('/', out);
}

static void put_info(FILE *out, struct mount *m, const char *place, char *buf)
{
	fprintf(out, "%d %d %u:%u ", m->id, m->parent ? m->parent->id : 1, major(m->sb->dev),
		minor(m->sb->dev));
	put_root(out, m, buf);
	fputc(' ', out);
	put_escaped(out, place);
	fputc(' ', out);
	put_flags(out, m->flags);
	put_propagation(out, m);
	fprintf(out, " - %s ", m->sb->type);
	put_escaped(out, m->sb->source);
	fputc(' ', out);
	put_super_options(out, m->sb);
	fputc('\n', out);
}

static void put_line(FILE *out, struct mount *m, const char *place)
{
	put_escaped(out, m->sb->source);
	fputc(' ', out);
	put_escaped(out, place);
	fprintf(out, " %s ", m->sb->type);
	put_flags(out, m->flags | (m->sb->flags & SB_RDONLY ? MS_RDONLY : 0));
	put_own_options(out, m->sb);
	fputs(" 0 0\n", out);
}

static void put_stats(FILE *out, struct mount *m, const char *place)
{
	fputs("device ", out);
	put_escaped(out, m->sb->source);
	fputs(" mounted on ", out);
	put_escaped(out, place);
	fprintf(out, " with fstype %s\n", m->sb->type);
}

static void put_mount(FILE *out, struct mount *m, const struct path *root, int which, char *buf)
{
	struct path p = {m, m->root};
	char *place = buf, *other = buf + PATH_MAX;

	/* What cannot be reached from the root is not shown. */
	if (path_name(&p, root, place, PATH_MAX) < 0 || *place != '/')
		return;
	if (which == MOUNT_FORMAT_INFO)
		put_info(out, m, place, other);
	else if (which == MOUNT_FORMAT_STATS)
		put_stats(out, m, place);
	else
		put_line(out, m, place);
}

char *mount_ns_format(struct mount_ns *ns, const struct path *root, int which)
{
	SCOPED_FREE char *buf = xmalloc(2 * PATH_MAX);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	struct mount *m;

	if (!out)
		return xstrdup("");
	mutex_lock(&mount_lock);
	list_for_each (m, &ns->mounts, all)
		put_mount(out, m, root, which, buf);
	mutex_unlock(&mount_lock);
	fclose(out);
	return text;
}
