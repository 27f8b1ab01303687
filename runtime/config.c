#include "runtime/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/host_setup.h"
#include "common/mem.h"
#include "runtime/config_get.h"

#define CONFIG_MAX (16u << 20)

static int check_version(const struct source *s, const struct place *top)
{
	const char *version = "";
	int r = get_string(s, top, "ociVersion", true, &version);

	if (r == 0 && strncmp(version, "1.", 2) != 0)
		return bad_field(s, top, "ociVersion", "version \"%s\" is not supported (1.x is)",
				 version);
	return r;
}

/* What other platforms have, and what would need a real Linux kernel. */
static int check_unsupported(const struct source *s, const struct place *top)
{
	static const char *const platforms[] = {"windows", "solaris", "vm", "zos"};

	for (size_t i = 0; i < ARRAY_SIZE(platforms); i++)
		if (json_object_get(top->o, platforms[i]))
			return bad_field(s, top, platforms[i],
					 "this runtime runs Linux containers only");
	return 0;
}

static int parse_root(const struct source *s, const struct place *top, struct config *c)
{
	struct place p = {.name = "root"};
	const char *path = NULL;
	struct stat st;
	int r = get_object(s, top, "root", &p.o);

	if (r < 0)
		return r;
	if (!p.o)
		return bad_field(s, top, "root", "is missing");
	r = get_string(s, &p, "path", true, &path);
	if (r == 0)
		r = get_bool(s, &p, "readonly", &c->readonly);
	if (r < 0)
		return r;
	if (!*path)
		return bad_field(s, &p, "path", "is empty");
	c->rootfs = path[0] == '/' ? xstrdup(path) : xasprintf("%s/%s", c->bundle, path);
	if (stat(c->rootfs, &st) < 0)
		return bad_field(s, &p, "path", "%s: %s", c->rootfs,
				 errno == ENOENT ? "no such file or directory" : strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return bad_field(s, &p, "path", "%s is not a directory", c->rootfs);
	return 0;
}

static int parse_names(const struct source *s, const struct place *top, struct config *c)
{
	int r = get_string(s, top, "hostname", false, &c->hostname);

	if (r == 0)
		r = get_string(s, top, "domainname", false, &c->domainname);
	if (r == 0 && c->hostname && strlen(c->hostname) > 64)
		return bad_field(s, top, "hostname", "is longer than 64 bytes");
	if (r == 0 && c->domainname && strlen(c->domainname) > 64)
		return bad_field(s, top, "domainname", "is longer than 64 bytes");
	return r;
}

static int parse_namespace(const struct source *s, const json_t *o, size_t i, struct config *c,
			   unsigned int *seen)
{
	static const char *const types[] = {"pid", "network", "mount",	"ipc",
					    "uts", "user",    "cgroup", "time"};
	SCOPED_FREE char *name = xasprintf("linux.namespaces[%zu]", i);
	const struct place p = {o, name};
	const char *type = "", *path = NULL;
	size_t n = 0;
	int r;

	if (!json_is_object(o))
		return bad_field(s, &p, NULL, "must be an object");
	r = get_string(s, &p, "type", true, &type);
	if (r == 0)
		r = get_path(s, &p, "path", false, &path);
	if (r < 0)
		return r;
	while (n < ARRAY_SIZE(types) && strcmp(types[n], type) != 0)
		n++;
	if (n == ARRAY_SIZE(types))
		return bad_field(s, &p, "type", "unknown namespace \"%s\"", type);
	if (*seen & BIT(n))
		return bad_field(s, &p, "type", "namespace \"%s\" is named twice", type);
	*seen |= (unsigned int)BIT(n);
	if (strcmp(type, "network") == 0) {
		c->new_net = true;
		c->net_path = path;
	}
	return 0;
}

static int parse_namespaces(const struct source *s, const struct place *linux_place,
			    struct config *c)
{
	const json_t *array = NULL, *v;
	unsigned int seen = 0;
	size_t i;
	int r = get_array(s, linux_place, "namespaces", &array);

	json_array_foreach(array, i, v)
	{
		if (r < 0)
			break;
		r = parse_namespace(s, v, i, c, &seen);
	}
	return r;
}

static int parse_device(const struct source *s, const json_t *o, size_t i, json_t *out)
{
	SCOPED_FREE char *name = xasprintf("linux.devices[%zu]", i);
	const struct place p = {o, name};
	const char *path = "", *type = "";
	int64_t major = 0, minor = 0, mode = 0666, uid = 0, gid = 0;
	unsigned int format;
	int r;

	if (!json_is_object(o))
		return bad_field(s, &p, NULL, "must be an object");
	r = get_path(s, &p, "path", true, &path);
	if (r == 0)
		r = get_string(s, &p, "type", true, &type);
	if (r < 0)
		return r;
	if (strlen(type) != 1 || !strchr("cubp", type[0]))
		return bad_field(s, &p, "type", "must be c, u, b or p, is \"%s\"", type);
	r = get_int(s, &p, "major", type[0] != 'p', 0, 4095, &major);
	if (r == 0)
		r = get_int(s, &p, "minor", type[0] != 'p', 0, 1 << 20, &minor);
	if (r == 0)
		r = get_int(s, &p, "fileMode", false, 0, 0177777, &mode);
	if (r == 0)
		r = get_int(s, &p, "uid", false, 0, UINT32_MAX - 1, &uid);
	if (r == 0)
		r = get_int(s, &p, "gid", false, 0, UINT32_MAX - 1, &gid);
	format = type[0] == 'p' ? S_IFIFO : type[0] == 'b' ? S_IFBLK : S_IFCHR;
	json_array_append_new(out, json_pack("{ss,sI,sI,sI,sI,sI}", "path", path, "mode",
					     (json_int_t)(format | (mode & 07777)), "major",
					     (json_int_t)major, "minor", (json_int_t)minor, "uid",
					     (json_int_t)uid, "gid", (json_int_t)gid));
	return r;
}

static int parse_devices(const struct source *s, const struct place *linux_place, struct config *c)
{
	const json_t *array = NULL, *v;
	size_t i;
	int r = get_array(s, linux_place, "devices", &array);

	c->devices = json_array();
	json_array_foreach(array, i, v)
	{
		if (r < 0)
			break;
		r = parse_device(s, v, i, c->devices);
	}
	return r;
}

static int get_limit(const struct source *s, const struct place *p, const char *key, int64_t *out)
{
	return get_int(s, p, key, false, -1, INT64_MAX, out);
}

static int parse_memory(const struct source *s, const struct place *resources,
			struct config_limits *l)
{
	struct place p = {.name = "linux.resources.memory"};
	int r = get_object(s, resources, "memory", &p.o);

	if (r == 0)
		r = get_limit(s, &p, "limit", &l->memory);
	if (r == 0)
		r = get_limit(s, &p, "swap", &l->swap);
	if (r == 0)
		r = get_limit(s, &p, "reservation", &l->reservation);
	if (r == 0 && l->memory > 0 && l->swap > 0 && l->swap < l->memory)
		return bad_field(s, &p, "swap", "must not be less than memory.limit");
	return r;
}

static int parse_cpu(const struct source *s, const struct place *resources, struct config_limits *l)
{
	struct place p = {.name = "linux.resources.cpu"};
	int r = get_object(s, resources, "cpu", &p.o);

	if (r == 0)
		r = get_limit(s, &p, "shares", &l->cpu_shares);
	if (r == 0)
		r = get_limit(s, &p, "quota", &l->cpu_quota);
	if (r == 0)
		r = get_limit(s, &p, "period", &l->cpu_period);
	if (r == 0)
		r = get_string(s, &p, "cpus", false, &l->cpus);
	return r == 0 ? get_string(s, &p, "mems", false, &l->mems) : r;
}

static int parse_limits(const struct source *s, const struct place *resources,
			struct config_limits *l)
{
	struct place pids = {.name = "linux.resources.pids"};
	int r;

	*l = (struct config_limits){-1, -1, -1, -1, -1, -1, -1, NULL, NULL};
	if (!resources->o)
		return 0;
	r = parse_memory(s, resources, l);
	if (r == 0)
		r = parse_cpu(s, resources, l);
	if (r == 0)
		r = get_object(s, resources, "pids", &pids.o);
	return r == 0 ? get_limit(s, &pids, "limit", &l->pids) : r;
}

static int parse_resources(const struct source *s, const struct place *linux_place,
			   struct config *c)
{
	struct place p = {.name = "linux.resources"};
	int r = get_object(s, linux_place, "resources", &p.o);

	return r == 0 ? parse_limits(s, &p, &c->limits) : r;
}

int config_resources_parse(const json_t *o, const char *file, struct config_limits *l,
			   struct error *e)
{
	const struct source s = {.file = file, .e = e};
	const struct place p = {o, "linux.resources"};

	if (!json_is_object(o))
		return error_set(e, -EINVAL, "%s: must be a JSON object", file);
	return parse_limits(&s, &p, l);
}

/* Without id translation in the gofer only the identity can be honoured. */
static int check_mappings(const struct source *s, const struct place *p, const char *key)
{
	const json_t *array = NULL, *o;
	size_t i;
	int r = get_array(s, p, key, &array);

	json_array_foreach(array, i, o)
	{
		if (json_integer_value(json_object_get(o, "hostID")) !=
		    json_integer_value(json_object_get(o, "containerID")))
			return bad_field(s, p, key,
					 "element %zu: only identity mappings are supported", i);
	}
	return r;
}

static int check_refused(const struct source *s, const struct place *p)
{
	static const char *const refused[] = {"intelRdt", "timeOffsets", "personality"};

	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		if (json_object_get(p->o, refused[i]))
			return bad_field(s, p, refused[i], "is not supported");
	return 0;
}

static int parse_sysctl(const struct source *s, const struct place *linux_place, struct config *c)
{
	struct place p = {.name = "linux.sysctl"};
	const char *key;
	json_t *v;
	int r = get_object(s, linux_place, "sysctl", &p.o);

	if (r < 0)
		return r;
	c->sysctl = p.o;
	json_object_foreach((json_t *)p.o, key, v)
	{
		if (!json_is_string(v))
			return bad_field(s, &p, key, "must be a string");
		if (strchr(key, '/') || strstr(key, ".."))
			return bad_field(s, &p, key, "is not the name of a sysctl");
	}
	return 0;
}

static int parse_linux(const struct source *s, const struct place *top, struct config *c)
{
	struct place p = {.name = "linux"};
	int r = get_object(s, top, "linux", &p.o);

	if (r == 0)
		r = parse_namespaces(s, &p, c);
	if (r == 0)
		r = parse_devices(s, &p, c);
	if (r == 0)
		r = parse_resources(s, &p, c);
	if (r == 0)
		r = get_string(s, &p, "cgroupsPath", false, &c->cgroups_path);
	if (r == 0 && c->cgroups_path && strstr(c->cgroups_path, ".."))
		r = bad_field(s, &p, "cgroupsPath", "must not contain \"..\"");
	if (r == 0)
		r = get_strings(s, &p, "maskedPaths", &c->masked);
	if (r == 0)
		r = get_strings(s, &p, "readonlyPaths", &c->read_only_paths);
	if (r == 0)
		r = check_mappings(s, &p, "uidMappings");
	if (r == 0)
		r = check_mappings(s, &p, "gidMappings");
	if (r == 0)
		r = check_refused(s, &p);
	return r == 0 ? parse_sysctl(s, &p, c) : r;
}

static int parse_rest(const struct source *s, const struct place *top, struct config *c)
{
	struct place linux_place = {.name = "linux"};
	const json_t *process = NULL;
	int r = get_object(s, top, "process", &process);

	if (r < 0)
		return r;
	if (!process)
		return bad_field(s, top, "process", "is missing");
	r = config_process_parse(process, c->file, "process", &c->process, s->e);
	if (r == 0)
		r = get_object(s, top, "linux", &linux_place.o);
	if (r == 0 && linux_place.o)
		r = config_seccomp_parse(s, &linux_place, c->process.request);
	if (r == 0)
		r = config_mounts_parse(s, c);
	if (r == 0)
		r = get_object(s, top, "hooks", &c->hooks);
	if (r == 0)
		r = config_hooks_check(s, c->hooks);
	return r == 0 ? get_object(s, top, "annotations", &c->annotations) : r;
}

char *config_where(const struct config *c, const char *field)
{
	return field_where(c->file, c->given, field);
}

int config_from_json(json_t *json, const char *name, json_t *given, const char *bundle,
		     struct config *c, struct error *e)
{
	struct place top = {json, ""};
	struct source s = {.e = e};
	int r;

	*c = (struct config){
	    .json = json, .given = given, .file = xstrdup(name), .bundle = xstrdup(bundle)};
	s.file = c->file;
	s.given = given;
	if (!json_is_object(json))
		return error_set(e, -EINVAL, "%s: must be a JSON object", c->file);
	r = check_version(&s, &top);
	if (r == 0)
		r = check_unsupported(&s, &top);
	if (r == 0)
		r = parse_root(&s, &top, c);
	if (r == 0)
		r = parse_names(&s, &top, c);
	if (r == 0)
		r = parse_linux(&s, &top, c);
	return r == 0 ? parse_rest(&s, &top, c) : r;
}

static int absolute_bundle(const char *bundle, char **out, struct error *e)
{
	char buf[PATH_MAX];

	if (!realpath(bundle, buf))
		return error_errno(e, -errno, "--bundle %s", bundle);
	*out = xstrdup(buf);
	return 0;
}

/* jansson has no unsigned 64-bit numbers; above INT64_MAX stands "unlimited", which is -1. */
static void clip_huge_numbers(char *text)
{
	bool in_string = false;

	for (char *p = text; *p; p++) {
		size_t digits;

		if (in_string && *p == '\\' && p[1])
			p++;
		else if (*p == '"')
			in_string = !in_string;
		if (in_string)
			continue;
		digits = strspn(p, "0123456789");
		if (digits > 19 || (digits == 19 && strncmp(p, "9223372036854775807", 19) > 0)) {
			memset(p, ' ', digits);
			memcpy(p, "-1", 2);
		}
		if (digits)
			p += digits - 1;
	}
}

int config_load(const char *bundle, const char *config_file, struct config *c, struct error *e)
{
	SCOPED_FREE char *dir = NULL, *path = NULL, *text = NULL;
	json_error_t jerr;
	json_t *json;
	int r = absolute_bundle(bundle, &dir, e);

	*c = (struct config){0};
	if (r < 0)
		return r;
	path = config_file ? xstrdup(config_file) : xasprintf("%s/config.json", dir);
	r = host_read_file(AT_FDCWD, path, CONFIG_MAX, &text);
	if (r < 0)
		return error_errno(e, r, "cannot read %s", path);
	clip_huge_numbers(text);
	json = json_loads(text, JSON_ALLOW_NUL, &jerr);
	if (!json)
		return error_set(e, -EINVAL, "%s: line %d, column %d: %s", path, jerr.line,
				 jerr.column, jerr.text);
	return config_from_json(json, path, NULL, dir, c, e);
}

void config_free(struct config *c)
{
	for (size_t i = 0; i < c->nmounts; i++)
		free(c->mounts[i].data);
	free(c->mounts);
	config_process_free(&c->process);
	json_decref(c->devices);
	json_decref(c->json);
	json_decref(c->given);
	free(c->file);
	free(c->bundle);
	free(c->rootfs);
	*c = (struct config){0};
}
