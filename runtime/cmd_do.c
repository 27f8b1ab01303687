/*
 * do: a command in a sandbox, without a bundle. The root is the host's (or
 * --rootfs) under a memory overlay, so nothing that the command does to it
 * stays; the current directory is visible and writable, at its own name.
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/command.h"
#include "runtime/config.h"
#include "runtime/launch.h"
#include "runtime/run.h"

enum { OPT_ROOTFS = 256, OPT_OVERLAY, OPT_RW, OPT_ID, OPT_HOSTNAME, OPT_MOUNT };

static const struct option long_options[] = {
    {"rootfs", required_argument, NULL, OPT_ROOTFS},
    {"overlay", no_argument, NULL, OPT_OVERLAY},
    {"rw", no_argument, NULL, OPT_RW},
    {"id", required_argument, NULL, OPT_ID},
    {"hostname", required_argument, NULL, OPT_HOSTNAME},
    {"mount", required_argument, NULL, OPT_MOUNT},
    {"tty", no_argument, NULL, 't'},
    {"env", required_argument, NULL, 'e'},
    {"cwd", required_argument, NULL, 'w'},
    {"workdir", required_argument, NULL, 'w'},
    {"user", required_argument, NULL, 'u'},
    {NULL, 0, NULL, 0},
};

struct options {
	const char *rootfs, *cwd, *id, *hostname;
	bool rw, tty;
	unsigned int uid, gid;
	json_t *env, *mounts;
	char **argv;
};

static int parse_user(const char *arg, struct options *o, struct error *e)
{
	char rest;

	if (sscanf(arg, "%u:%u%c", &o->uid, &o->gid, &rest) == 2)
		return 0;
	if (sscanf(arg, "%u%c", &o->uid, &rest) == 1) {
		o->gid = o->uid;
		return 0;
	}
	return error_set(e, -EINVAL, "do: --user %s: must be UID or UID:GID", arg);
}

static json_t *new_mount(const char *type, const char *source, const char *destination,
			 const char *options)
{
	json_t *list = json_array();
	SCOPED_FREE char *copy = xstrdup(options);
	char *save;

	for (char *p = strtok_r(copy, ",", &save); p; p = strtok_r(NULL, ",", &save))
		json_array_append_new(list, json_string(p));
	return json_pack("{ss,ss,ss,so}", "type", type, "source", source, "destination",
			 destination, "options", list);
}

/* SOURCE:DESTINATION[:ro] */
static int parse_mount(const char *arg, struct options *o, struct error *e)
{
	SCOPED_FREE char *copy = xstrdup(arg);
	char *to = strchr(copy, ':'), *opts;

	if (!to || copy[0] != '/' || to[1] != '/')
		return error_set(e, -EINVAL, "do: --mount %s: must be /SOURCE:/DESTINATION[:ro]",
				 arg);
	*to++ = '\0';
	opts = strchr(to, ':');
	if (opts)
		*opts++ = '\0';
	json_array_append_new(
	    o->mounts,
	    new_mount("bind", copy, to, opts && strcmp(opts, "ro") == 0 ? "rbind,ro" : "rbind"));
	return 0;
}

static int set_option(struct options *o, int c, struct error *e)
{
	switch (c) {
	case OPT_ROOTFS:
		o->rootfs = optarg;
		return 0;
	case OPT_OVERLAY: /* it is the default */
		o->rw = false;
		return 0;
	case OPT_RW:
		o->rw = true;
		return 0;
	case OPT_ID:
		o->id = optarg;
		return 0;
	case OPT_HOSTNAME:
		o->hostname = optarg;
		return 0;
	case OPT_MOUNT:
		return parse_mount(optarg, o, e);
	case 't':
		o->tty = true;
		return 0;
	case 'e':
		json_array_append_new(o->env, json_string(optarg));
		return 0;
	case 'w':
		o->cwd = optarg;
		return 0;
	case 'u':
		return parse_user(optarg, o, e);
	}
	return error_set(e, -EINVAL, "do: unknown or incomplete option");
}

static int parse(struct options *o, int argc, char **argv, struct error *e)
{
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "+te:w:u:", long_options, NULL)) != -1)
		r = set_option(o, c, e);
	if (r == 0 && optind >= argc)
		r = error_set(e, -EINVAL, "do: command missing");
	o->argv = argv + optind;
	return r;
}

static json_t *environment(const struct options *o)
{
	static const char *const inherited[] = {"TERM", "LANG",	   "LC_ALL", "HOME",
						"USER", "COLUMNS", "LINES"};
	const char *path = o->rootfs ? NULL : getenv("PATH");
	json_t *env = json_array();

	json_array_append_new(
	    env, json_sprintf("PATH=%s", path ? path
					      : "/usr/local/sbin:/usr/local/bin:/usr/sbin:"
						"/usr/bin:/sbin:/bin"));
	for (size_t i = 0; i < ARRAY_SIZE(inherited); i++) {
		const char *v = getenv(inherited[i]);

		if (v)
			json_array_append_new(env, json_sprintf("%s=%s", inherited[i], v));
	}
	if (!getenv("HOME"))
		json_array_append_new(env, json_string("HOME=/root"));
	json_array_extend(env, o->env);
	return env;
}

static json_t *all_caps(void)
{
	json_t *list = json_array();

	for (int cap = 0; config_cap_name(cap); cap++)
		json_array_append_new(list, json_sprintf("CAP_%s", config_cap_name(cap)));
	return json_pack("{sO,sO,so}", "bounding", list, "effective", list, "permitted", list);
}

static json_t *process(const struct options *o, const char *cwd)
{
	json_t *args = json_array();

	for (char **a = o->argv; *a; a++)
		json_array_append_new(args, json_string(*a));
	return json_pack("{so,so,ss,sb,so,s{si,si}}", "args", args, "env", environment(o), "cwd",
			 cwd, "terminal", o->tty, "capabilities", all_caps(), "user", "uid",
			 (int)o->uid, "gid", (int)o->gid);
}

static json_t *mounts(struct options *o, const char *bind_cwd)
{
	json_t *list = json_array();

	json_array_append_new(list, new_mount("proc", "proc", "/proc", "nosuid,nodev,noexec"));
	json_array_append_new(list, new_mount("sysfs", "sysfs", "/sys", "nosuid,nodev,noexec,ro"));
	json_array_append_new(
	    list, new_mount("tmpfs", "tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k"));
	json_array_append_new(list,
			      new_mount("devpts", "devpts", "/dev/pts",
					"nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"));
	json_array_append_new(
	    list, new_mount("tmpfs", "shm", "/dev/shm", "nosuid,nodev,mode=1777,size=65536k"));
	json_array_append_new(list,
			      new_mount("mqueue", "mqueue", "/dev/mqueue", "nosuid,noexec,nodev"));
	json_array_append_new(list, new_mount("tmpfs", "tmpfs", "/tmp", "nosuid,nodev,mode=1777"));
	if (bind_cwd)
		json_array_append_new(list, new_mount("bind", bind_cwd, bind_cwd, "rbind"));
	json_array_extend(list, o->mounts);
	return list;
}

static json_t *configuration(struct options *o, const char *here)
{
	bool bind = !o->rootfs && strcmp(here, "/") != 0;
	const char *cwd = o->cwd ? o->cwd : bind ? here : "/";

	return json_pack("{ss,so,s{ss},ss,so}", "ociVersion", OCI_VERSION, "process",
			 process(o, cwd), "root", "path", o->rootfs ? o->rootfs : "/", "hostname",
			 o->hostname ? o->hostname : "garrison", "mounts",
			 mounts(o, bind ? here : NULL));
}

static int run(const struct global_options *g, struct options *o, struct error *e)
{
	unsigned short tag = (unsigned short)(host_realtime_ns() >> 10);
	/* The pid alone might meet what a killed `do` of the same pid left behind. */
	SCOPED_FREE char *id = o->id ? xstrdup(o->id) : xasprintf("do-%d-%04x", (int)getpid(), tag);
	char here[PATH_MAX];
	struct config c = {0};
	struct launch l = {
	    .g = g, .config = &c, .control = -1, .overlay = !o->rw, .no_cgroup = true};
	int r;

	l.console = (struct console){-1, -1};
	l.state.dir_fd = -1;
	if (!getcwd(here, sizeof(here)))
		return error_errno(e, -errno, "do: cannot find the current directory");
	r = check_id(id, e);
	if (r == 0)
		r = config_from_json(configuration(o, here), "garrison do", here, &c, e);
	if (r == 0)
		r = run_foreground(&l, id, NULL, e);
	launch_free(&l);
	config_free(&c);
	return r;
}

int cmd_do(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.env = json_array(), .mounts = json_array()};
	int r = parse(&o, argc, argv, e);

	if (r == 0)
		r = run(g, &o, e);
	json_decref(o.env);
	json_decref(o.mounts);
	return r;
}
