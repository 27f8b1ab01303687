/* "mounts": options as in mount(8), sorted into flags and data. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "common/mem.h"
#include "runtime/config.h"
#include "runtime/config_get.h"

static const struct {
	const char *name;
	bool clear;
	unsigned long flag, propagation;
} options[] = {
    {"defaults", false, 0, 0},
    {"ro", false, MS_RDONLY, 0},
    {"rw", true, MS_RDONLY, 0},
    {"suid", true, MS_NOSUID, 0},
    {"nosuid", false, MS_NOSUID, 0},
    {"dev", true, MS_NODEV, 0},
    {"nodev", false, MS_NODEV, 0},
    {"exec", true, MS_NOEXEC, 0},
    {"noexec", false, MS_NOEXEC, 0},
    {"sync", false, MS_SYNCHRONOUS, 0},
    {"async", true, MS_SYNCHRONOUS, 0},
    {"dirsync", false, MS_DIRSYNC, 0},
    {"mand", false, MS_MANDLOCK, 0},
    {"nomand", true, MS_MANDLOCK, 0},
    {"atime", true, MS_NOATIME, 0},
    {"noatime", false, MS_NOATIME, 0},
    {"diratime", true, MS_NODIRATIME, 0},
    {"nodiratime", false, MS_NODIRATIME, 0},
    {"relatime", false, MS_RELATIME, 0},
    {"norelatime", true, MS_RELATIME, 0},
    {"strictatime", false, MS_STRICTATIME, 0},
    {"nostrictatime", true, MS_STRICTATIME, 0},
    {"silent", false, MS_SILENT, 0},
    {"loud", true, MS_SILENT, 0},
    {"bind", false, MS_BIND, 0},
    {"rbind", false, MS_BIND | MS_REC, 0},
    {"private", false, 0, MS_PRIVATE},
    {"rprivate", false, 0, MS_PRIVATE | MS_REC},
    {"shared", false, 0, MS_SHARED},
    {"rshared", false, 0, MS_SHARED | MS_REC},
    {"slave", false, 0, MS_SLAVE},
    {"rslave", false, 0, MS_SLAVE | MS_REC},
    {"unbindable", false, 0, MS_UNBINDABLE},
    {"runbindable", false, 0, MS_UNBINDABLE | MS_REC},
    /* Extensions of runc that mean nothing here, or the default. */
    {"rro", false, MS_RDONLY, 0},
    {"tmpcopyup", false, 0, 0},
    {"copy-symlink", false, 0, 0},
    {"nosymfollow", false, 0, 0},
};

static void append_data(struct config_mount *m, const char *option)
{
	char *data = xasprintf("%s%s%s", m->data, *m->data ? "," : "", option);

	free(m->data);
	m->data = data;
}

static void apply_option(struct config_mount *m, const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
		if (strcmp(options[i].name, name) != 0)
			continue;
		if (options[i].clear)
			m->flags &= ~options[i].flag;
		else
			m->flags |= options[i].flag;
		m->propagation |= options[i].propagation;
		return;
	}
	append_data(m, name);
}

static int check_type(const struct source *s, const struct place *p, struct config_mount *m)
{
	static const char *const known[] = {"proc",   "sysfs",	"tmpfs",   "devpts",
					    "mqueue", "cgroup", "cgroup2", "devtmpfs"};

	m->bind =
	    (m->flags & MS_BIND) || strcmp(m->type, "bind") == 0 || strcmp(m->type, "rbind") == 0;
	if (m->bind)
		return m->source && *m->source
			   ? 0
			   : bad_field(s, p, "source", "is missing; a bind mount needs one");
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i], m->type) == 0)
			return 0;
	if (!*m->type)
		return bad_field(s, p, "type", "is missing (or give the option \"bind\")");
	return bad_field(s, p, "type",
			 "file system type \"%s\" is not supported (bind, proc, sysfs, tmpfs, "
			 "devpts, mqueue, cgroup are)",
			 m->type);
}

static int parse_mount(const struct source *s, const json_t *o, size_t i, struct config_mount *m)
{
	SCOPED_FREE char *name = xasprintf("mounts[%zu]", i);
	const struct place p = {o, name};
	const json_t *opts = NULL, *v;
	size_t j;
	int r;

	*m = (struct config_mount){.type = "", .data = xstrdup("")};
	if (!json_is_object(o))
		return bad_field(s, &p, NULL, "must be an object");
	r = get_path(s, &p, "destination", true, &m->destination);
	if (r == 0)
		r = get_string(s, &p, "type", false, &m->type);
	if (r == 0)
		r = get_string(s, &p, "source", false, &m->source);
	if (r == 0)
		r = get_strings(s, &p, "options", &opts);
	if (r < 0)
		return r;
	json_array_foreach(opts, j, v) apply_option(m, json_string_value(v));
	return check_type(s, &p, m);
}

int config_mounts_parse(const struct source *s, struct config *c)
{
	const struct place top = {c->json, ""};
	const json_t *array = NULL;
	int r = get_array(s, &top, "mounts", &array);

	if (r < 0)
		return r;
	c->mounts = xmalloc((json_array_size(array) + 1) * sizeof(*c->mounts));
	for (size_t i = 0; r == 0 && i < json_array_size(array); i++) {
		r = parse_mount(s, json_array_get(array, i), i, &c->mounts[i]);
		c->nmounts++;
	}
	return r;
}
