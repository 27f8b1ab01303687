/*
 * do: a command in a sandbox, without a bundle. The root is the host's (or
 * --rootfs) under a memory overlay, so nothing that the command does to it
 * stays; the current directory is visible and writable, at its own name.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/command.h"
#include "runtime/config.h"
#include "runtime/launch.h"
#include "runtime/process_options.h"
#include "runtime/relay.h"
#include "runtime/run.h"

struct options {
	struct process_options process;
	const char *rootfs, *id, *hostname;
	bool rw;
	json_t *mounts; /* array of strings, or NULL; owned */
	char **argv;
};

static const struct option_def do_options[] = {
    {"rootfs", 0, "DIR", "its root (default: the host's), beneath a memory overlay",
     OPT_STRING(struct options, rootfs)},
    {"rw", 0, NULL, "no overlay: writes go to the root itself", OPT_FLAG(struct options, rw)},
    {"overlay", 0, NULL, NULL},
    {"mount", 0, "SOURCE:DESTINATION[:ro]", "show a file or directory of the host",
     OPT_LIST(struct options, mounts)},
    OPT_INCLUDE(process_options_table, struct options, process),
    {"hostname", 0, "NAME", "(default: garrison)", OPT_STRING(struct options, hostname)},
    {"id", 0, "ID", "the container's ID (default: a new one)", OPT_STRING(struct options, id)},
    {0},
};

static json_t *new_mount(const char *type, const char *source, const char *destination,
			 const char *options)
{
	json_t *list = json_array();
	SCOPED_FREE char *copy = xstrdup(options);
	char *save;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		json_array_append_new(list, json_string(p));
	return json_pack("{ss,so,so,so}", "type", type, "source", json_string_nocheck(source),
			 "destination", json_string_nocheck(destination), "options", list);
}

/* SOURCE:DESTINATION[:ro] */
static int add_mount(const char *arg, json_t *list, struct error *e)
{
	SCOPED_FREE char *copy = xstrdup(arg);
	char *to = strchr(copy, ':'), *opts;
	bool readonly;

	if (!to || copy[0] != '/' || to[1] != '/')
		return error_set(e, -EINVAL, "do: --mount %s: must be /SOURCE:/DESTINATION[:ro]",
				 arg);
	*to++ = '\0';
	opts = strchr(to, ':');
	if (opts)
		*opts++ = '\0';
	readonly = opts && strcmp(opts, "ro") == 0;
	if (opts && !readonly && strcmp(opts, "rw") != 0)
		return error_set(e, -EINVAL, "do: --mount %s: unknown option \"%s\" (ro or rw)",
				 arg, opts);
	json_array_append_new(list, new_mount("bind", copy, to, readonly ? "rbind,ro" : "rbind"));
	return 0;
}

static json_t *environment(const struct options *o)
{
	static const char *const inherited[] = {"TERM", "LANG",	   "LC_ALL", "HOME",
						"USER", "COLUMNS", "LINES"};
	const char *path = o->rootfs ? NULL : getenv("PATH");
	SCOPED_FREE char *setting =
	    xasprintf("PATH=%s",
		      path ? path : "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
	json_t *env = json_array();

	env_set(env, setting);
	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++) {
		const char *v = getenv(inherited[i]);
		SCOPED_FREE char *one = v ? xasprintf("%s=%s", inherited[i], v) : NULL;

		if (one)
			env_set(env, one);
	}
	if (!getenv("HOME"))
		env_set(env, "HOME=/root");
	return env;
}

static json_t *all_caps(void)
{
	json_t *list = json_array();

	for (int cap = 0; config_cap_name(cap); cap++)
		json_array_append_new(list, json_sprintf("CAP_%s", config_cap_name(cap)));
	return json_pack("{sO,sO,so}", "bounding", list, "effective", list, "permitted", list);
}

/* The command itself and what the options say are put in later: they need not be UTF-8. */
static json_t *process(const char *cwd)
{
	return json_pack("{s[s],so,sb,so}", "args", "sh", "cwd", json_string_nocheck(cwd),
			 "noNewPrivileges", 0, "capabilities", all_caps());
}

static json_t *standard_mounts(void)
{
	static const char *const list[][4] = {
	    {"proc", "proc", "/proc", "nosuid,nodev,noexec"},
	    {"sysfs", "sysfs", "/sys", "nosuid,nodev,noexec,ro"},
	    {"tmpfs", "tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k"},
	    {"devpts", "devpts", "/dev/pts",
	     "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"},
	    {"tmpfs", "shm", "/dev/shm", "nosuid,nodev,mode=1777,size=65536k"},
	    {"mqueue", "mqueue", "/dev/mqueue", "nosuid,noexec,nodev"},
	    {"tmpfs", "tmpfs", "/tmp", "nosuid,nodev,mode=1777"},
	};
	json_t *mounts = json_array();

	for (size_t i = 0; i < ARRAY_SIZE(list); i++)
		json_array_append_new(mounts,
				      new_mount(list[i][0], list[i][1], list[i][2], list[i][3]));
	return mounts;
}

static void note_given(json_t *given, const char *field, const char *option, const char *value)
{
	SCOPED_FREE char *text = xasprintf("%s %s", option, value);

	json_object_set_new(given, field, json_string_nocheck(text));
}

/* The mounts of the options, and which of the configuration's fields each one became. */
static int user_mounts(const struct options *o, json_t *mounts, json_t *given, struct error *e)
{
	const json_t *value;
	size_t i;

	json_array_foreach(o->mounts, i, value)
	{
		SCOPED_FREE char *field = xasprintf("mounts[%zu]", json_array_size(mounts));
		int r = add_mount(json_string_value(value), mounts, e);

		if (r < 0)
			return r;
		note_given(given, field, "--mount", json_string_value(value));
	}
	return 0;
}

static json_t *configuration(const struct options *o, const char *here, json_t *mounts)
{
	bool bind = !o->rootfs && strcmp(here, "/") != 0;

	if (bind)
		json_array_append_new(mounts, new_mount("bind", here, here, "rbind"));
	return json_pack("{ss,so,s{so},ss,sO}", "ociVersion", OCI_VERSION, "process",
			 process(bind ? here : "/"), "root", "path",
			 json_string_nocheck(o->rootfs ? o->rootfs : "/"), "hostname",
			 o->hostname ? o->hostname : "garrison", "mounts", mounts);
}

static int configure(const struct options *o, const char *here, struct config *c, struct error *e)
{
	json_t *given = json_object(), *mounts = standard_mounts(), *json;
	int r;

	if (o->rootfs)
		note_given(given, "root.path", "--rootfs", o->rootfs);
	if (o->hostname)
		note_given(given, "hostname", "--hostname", o->hostname);
	json = configuration(o, here, mounts);
	r = user_mounts(o, mounts, given, e);
	json_decref(mounts);
	if (r < 0 || !json) {
		json_decref(json);
		json_decref(given);
		return r < 0 ? r : error_set(e, -EINVAL, "do: --hostname: is not UTF-8");
	}
	r = config_from_json(json, "do", given, here, c, e);
	if (r < 0)
		return r;
	json_object_set_new(c->process.request, "env", environment(o));
	c->process.terminal = o->process.tty;
	r = process_options_apply(&o->process, o->argv, c->process.request, e);
	return r < 0 ? error_wrap(e, "do") : 0;
}

/* A directory that was deleted is as good as none. */
static void current_directory(char *buf, size_t size)
{
	if (!getcwd(buf, size) || buf[0] != '/')
		strcpy(buf, "/");
}

static int run(const struct global_options *g, const struct options *o, struct error *e)
{
	unsigned short tag = (unsigned short)(host_realtime_ns() >> 10);
	/* The pid alone might meet what a killed `do` of the same pid left behind. */
	SCOPED_FREE char *id = o->id ? xstrdup(o->id) : xasprintf("do-%d-%04x", (int)getpid(), tag);
	char here[PATH_MAX];
	struct config c = {0};
	struct launch l = {.g = g,
			   .config = &c,
			   .control = -1,
			   .overlay = !o->rw,
			   .no_cgroup = true,
			   .init = true};
	int r;

	l.console = (struct console){-1, -1};
	l.state.dir_fd = -1;
	current_directory(here, sizeof(here));
	r = check_id(id, e);
	if (r == 0)
		r = configure(o, here, &c, e);
	if (r == 0)
		r = run_foreground(&l, id, NULL, e);
	launch_free(&l);
	config_free(&c);
	if (r >= 0)
		relay_die_alike(l.status);
	return r;
}

static int do_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.id = NULL};
	int r = options_parse(&cmd_do.line, &o, argc, argv, e);

	if (r >= 0) {
		o.argv = argv + r;
		r = run(g, &o, e);
	}
	process_options_free(&o.process);
	json_decref(o.mounts);
	return r;
}

const struct command cmd_do = {
    {"do", "[--] COMMAND...", "run a command in a sandbox of its own",
     .description =
	 "Needs no bundle: the root is the host's, read-only beneath a memory overlay; the\n"
	 "current directory is there, writable; /tmp is an empty one.",
     .options = do_options},
    do_main};
