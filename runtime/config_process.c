/* The "process" object: of config.json, and of exec --process. */
#include <errno.h>
#include <linux/capability.h>
#include <limits.h>
#include <string.h>
#include <sys/resource.h>

#include "common/mem.h"
#include "runtime/config.h"
#include "runtime/config_get.h"
#include "runtime/json_text.h"

static const char *const cap_names[] = {
    [CAP_CHOWN] = "CHOWN",
    [CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
    [CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH",
    [CAP_FOWNER] = "FOWNER",
    [CAP_FSETID] = "FSETID",
    [CAP_KILL] = "KILL",
    [CAP_SETGID] = "SETGID",
    [CAP_SETUID] = "SETUID",
    [CAP_SETPCAP] = "SETPCAP",
    [CAP_LINUX_IMMUTABLE] = "LINUX_IMMUTABLE",
    [CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
    [CAP_NET_BROADCAST] = "NET_BROADCAST",
    [CAP_NET_ADMIN] = "NET_ADMIN",
    [CAP_NET_RAW] = "NET_RAW",
    [CAP_IPC_LOCK] = "IPC_LOCK",
    [CAP_IPC_OWNER] = "IPC_OWNER",
    [CAP_SYS_MODULE] = "SYS_MODULE",
    [CAP_SYS_RAWIO] = "SYS_RAWIO",
    [CAP_SYS_CHROOT] = "SYS_CHROOT",
    [CAP_SYS_PTRACE] = "SYS_PTRACE",
    [CAP_SYS_PACCT] = "SYS_PACCT",
    [CAP_SYS_ADMIN] = "SYS_ADMIN",
    [CAP_SYS_BOOT] = "SYS_BOOT",
    [CAP_SYS_NICE] = "SYS_NICE",
    [CAP_SYS_RESOURCE] = "SYS_RESOURCE",
    [CAP_SYS_TIME] = "SYS_TIME",
    [CAP_SYS_TTY_CONFIG] = "SYS_TTY_CONFIG",
    [CAP_MKNOD] = "MKNOD",
    [CAP_LEASE] = "LEASE",
    [CAP_AUDIT_WRITE] = "AUDIT_WRITE",
    [CAP_AUDIT_CONTROL] = "AUDIT_CONTROL",
    [CAP_SETFCAP] = "SETFCAP",
    [CAP_MAC_OVERRIDE] = "MAC_OVERRIDE",
    [CAP_MAC_ADMIN] = "MAC_ADMIN",
    [CAP_SYSLOG] = "SYSLOG",
    [CAP_WAKE_ALARM] = "WAKE_ALARM",
    [CAP_BLOCK_SUSPEND] = "BLOCK_SUSPEND",
    [CAP_AUDIT_READ] = "AUDIT_READ",
    [CAP_PERFMON] = "PERFMON",
    [CAP_BPF] = "BPF",
    [CAP_CHECKPOINT_RESTORE] = "CHECKPOINT_RESTORE",
};

static const char *const limit_names[] = {
    [RLIMIT_CPU] = "CPU",	    [RLIMIT_FSIZE] = "FSIZE",
    [RLIMIT_DATA] = "DATA",	    [RLIMIT_STACK] = "STACK",
    [RLIMIT_CORE] = "CORE",	    [RLIMIT_RSS] = "RSS",
    [RLIMIT_NPROC] = "NPROC",	    [RLIMIT_NOFILE] = "NOFILE",
    [RLIMIT_MEMLOCK] = "MEMLOCK",   [RLIMIT_AS] = "AS",
    [RLIMIT_LOCKS] = "LOCKS",	    [RLIMIT_SIGPENDING] = "SIGPENDING",
    [RLIMIT_MSGQUEUE] = "MSGQUEUE", [RLIMIT_NICE] = "NICE",
    [RLIMIT_RTPRIO] = "RTPRIO",	    [RLIMIT_RTTIME] = "RTTIME",
};

const char *config_cap_name(int cap)
{
	return cap >= 0 && cap < (int)ARRAY_SIZE(cap_names) ? cap_names[cap] : NULL;
}

static int find_name(const char *name, const char *prefix, const char *const *names, size_t n)
{
	size_t skip = strlen(prefix);

	if (strncmp(name, prefix, skip) != 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (names[i] && strcmp(names[i], name + skip) == 0)
			return (int)i;
	return -1;
}

uint64_t config_cap_bit(const char *name)
{
	int cap = find_name(name, "CAP_", cap_names, ARRAY_SIZE(cap_names));

	return cap < 0 ? 0 : BIT(cap);
}

/* Unknown names are no error (the specification asks for a warning): newer kernels have more. */
static int parse_caps(const struct source *s, const struct place *process, json_t *out)
{
	static const char *const sets[] = {"bounding", "effective", "inheritable", "permitted",
					   "ambient"};
	struct place p = {.name = "process.capabilities"};
	json_t *caps = json_object();
	int r = get_object(s, process, "capabilities", &p.o);

	json_object_set_new(out, "capabilities", caps);
	for (size_t i = 0; r == 0 && p.o && i < ARRAY_SIZE(sets); i++) {
		const json_t *names = NULL, *v;
		uint64_t bits = 0;
		size_t j;

		r = get_strings(s, &p, sets[i], &names);
		json_array_foreach(names, j, v) bits |= config_cap_bit(json_string_value(v));
		json_object_set_new(caps, sets[i], json_integer((json_int_t)bits));
	}
	return r;
}

static int parse_limit(const struct source *s, const json_t *o, size_t i, json_t *out)
{
	SCOPED_FREE char *name = xasprintf("process.rlimits[%zu]", i);
	const struct place p = {o, name};
	const char *type = "";
	int64_t soft = 0, hard = 0;
	int r, number;

	if (!json_is_object(o))
		return bad_field(s, &p, NULL, "must be an object");
	r = get_string(s, &p, "type", true, &type);
	if (r < 0)
		return r;
	number = find_name(type, "RLIMIT_", limit_names, ARRAY_SIZE(limit_names));
	if (number < 0)
		return bad_field(s, &p, "type", "unknown resource limit \"%s\"", type);
	/* -1 is unlimited (config.c makes it of what does not fit into 63 bits). */
	r = get_int(s, &p, "soft", true, -1, INT64_MAX, &soft);
	if (r == 0)
		r = get_int(s, &p, "hard", true, -1, INT64_MAX, &hard);
	if (r == 0 && (uint64_t)soft > (uint64_t)hard)
		return bad_field(s, &p, "soft", "must not exceed hard");
	json_array_append_new(out, json_pack("{si,sI,sI}", "type", number, "soft", (json_int_t)soft,
					     "hard", (json_int_t)hard));
	return r;
}

static int parse_limits(const struct source *s, const struct place *process, json_t *out)
{
	const json_t *array = NULL, *v;
	json_t *list = json_array();
	size_t i;
	int r = get_array(s, process, "rlimits", &array);

	json_object_set_new(out, "rlimits", list);
	json_array_foreach(array, i, v)
	{
		if (r < 0)
			break;
		r = parse_limit(s, v, i, list);
	}
	return r;
}

static bool is_id(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 &&
	       json_integer_value(v) < UINT32_MAX;
}

static int parse_user(const struct source *s, const struct place *process, json_t *out)
{
	struct place p = {.name = "process.user"};
	const json_t *groups = NULL, *v;
	int64_t uid = 0, gid = 0, mask = 022;
	size_t i;
	int r = get_object(s, process, "user", &p.o);

	if (r < 0)
		return r;
	r = get_int(s, &p, "uid", false, 0, UINT32_MAX - 1, &uid);
	if (r == 0)
		r = get_int(s, &p, "gid", false, 0, UINT32_MAX - 1, &gid);
	if (r == 0)
		r = get_int(s, &p, "umask", false, 0, 0777, &mask);
	if (r == 0)
		r = get_array(s, &p, "additionalGids", &groups);
	json_array_foreach(groups, i, v) if (r == 0 && !is_id(v)) r =
	    bad_field(s, &p, "additionalGids", "element %zu must be a number from 0 to %u", i,
		      UINT32_MAX - 1);
	json_object_set_new(out, "uid", json_integer(uid));
	json_object_set_new(out, "gid", json_integer(gid));
	json_object_set_new(out, "umask", json_integer(mask));
	if (groups)
		json_object_set_new(out, "groups", json_deep_copy(groups));
	return r;
}

static int parse_command(const struct source *s, const struct place *p, struct config_process *cp)
{
	const json_t *args = NULL, *env = NULL;
	int r = get_strings(s, p, "args", &args);

	if (r < 0)
		return r;
	if (json_array_size(args) == 0)
		return bad_field(s, p, "args", "must name a command");
	if (!*json_string_value(json_array_get(args, 0)))
		return bad_field(s, p, "args", "element 0 (the command) is empty");
	r = get_strings(s, p, "env", &env);
	if (r == 0)
		r = get_path(s, p, "cwd", true, &cp->cwd);
	if (r < 0)
		return r;
	json_object_set_new(cp->request, "args", json_copy((json_t *)args));
	json_object_set_new(cp->request, "env", env ? json_copy((json_t *)env) : json_array());
	json_object_set_new(cp->request, "cwd", json_bytes(cp->cwd));
	return 0;
}

static int parse_terminal(const struct source *s, const struct place *process,
			  struct config_process *cp)
{
	struct place p = {.name = "process.consoleSize"};
	int64_t rows = 0, cols = 0;
	int r = get_bool(s, process, "terminal", &cp->terminal);

	if (r == 0)
		r = get_object(s, process, "consoleSize", &p.o);
	if (r < 0 || !p.o)
		return r;
	r = get_int(s, &p, "height", true, 0, USHRT_MAX, &rows);
	if (r == 0)
		r = get_int(s, &p, "width", true, 0, USHRT_MAX, &cols);
	cp->rows = (unsigned short)rows;
	cp->cols = (unsigned short)cols;
	return r;
}

static int parse_rest(const struct source *s, const struct place *p, struct config_process *cp)
{
	int64_t oom = INT64_MIN;
	bool nnp = false;
	int r = get_bool(s, p, "noNewPrivileges", &nnp);

	if (r == 0)
		r = get_int(s, p, "oomScoreAdj", false, -1000, 1000, &oom);
	json_object_set_new(cp->request, "noNewPrivileges", json_boolean(nnp));
	if (oom != INT64_MIN)
		json_object_set_new(cp->request, "oomScoreAdj", json_integer(oom));
	return r;
}

int config_process_parse(const json_t *o, const char *file, const char *name,
			 struct config_process *cp, struct error *e)
{
	const struct source s = {.file = file, .e = e};
	const struct place p = {o, name};
	int r;

	*cp = (struct config_process){.request = json_object()};
	if (!json_is_object(o))
		return bad_field(&s, &p, NULL, "must be an object");
	r = parse_command(&s, &p, cp);
	if (r == 0)
		r = parse_user(&s, &p, cp->request);
	if (r == 0)
		r = parse_caps(&s, &p, cp->request);
	if (r == 0)
		r = parse_limits(&s, &p, cp->request);
	if (r == 0)
		r = parse_terminal(&s, &p, cp);
	return r == 0 ? parse_rest(&s, &p, cp) : r;
}

void config_process_free(struct config_process *p)
{
	json_decref(p->request);
	p->request = NULL;
}
