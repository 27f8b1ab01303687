/* spec: a config.json to start from; features: what this runtime understands. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/command.h"
#include "runtime/config.h"

static const char default_config[] =
    "{\n"
    "  \"ociVersion\": \"" OCI_VERSION "\",\n"
    "  \"process\": {\n"
    "    \"terminal\": true,\n"
    "    \"user\": {\"uid\": 0, \"gid\": 0},\n"
    "    \"args\": [\"sh\"],\n"
    "    \"env\": [\n"
    "      \"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",\n"
    "      \"TERM=xterm\"\n"
    "    ],\n"
    "    \"cwd\": \"/\",\n"
    "    \"capabilities\": {\n"
    "      \"bounding\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"],\n"
    "      \"effective\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"],\n"
    "      \"permitted\": [\"CAP_AUDIT_WRITE\", \"CAP_KILL\", \"CAP_NET_BIND_SERVICE\"]\n"
    "    },\n"
    "    \"rlimits\": [{\"type\": \"RLIMIT_NOFILE\", \"hard\": 1024, \"soft\": 1024}],\n"
    "    \"noNewPrivileges\": true\n"
    "  },\n"
    "  \"root\": {\"path\": \"rootfs\", \"readonly\": true},\n"
    "  \"hostname\": \"garrison\",\n"
    "  \"mounts\": [\n"
    "    {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},\n"
    "    {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\",\n"
    "     \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]},\n"
    "    {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\", "
    "\"mode=0620\", \"gid=5\"]},\n"
    "    {\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\", \"size=65536k\"]},\n"
    "    {\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": \"mqueue\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"nodev\"]},\n"
    "    {\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\",\n"
    "     \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]}\n"
    "  ],\n"
    "  \"linux\": {\n"
    "    \"resources\": {\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]},\n"
    "    \"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"network\"}, {\"type\": \"ipc\"},\n"
    "                   {\"type\": \"uts\"}, {\"type\": \"mount\"}, {\"type\": \"cgroup\"}],\n"
    "    \"maskedPaths\": [\"/proc/acpi\", \"/proc/kcore\", \"/proc/keys\", "
    "\"/proc/latency_stats\",\n"
    "                    \"/proc/timer_list\", \"/proc/timer_stats\", \"/proc/sched_debug\",\n"
    "                    \"/sys/firmware\", \"/proc/scsi\"],\n"
    "    \"readonlyPaths\": [\"/proc/bus\", \"/proc/fs\", \"/proc/irq\", \"/proc/sys\",\n"
    "                      \"/proc/sysrq-trigger\"]\n"
    "  }\n"
    "}\n";

struct options {
	const char *bundle;
};

static const struct option_def spec_options[] = {
    {"bundle", 'b', "DIR", "where to write it (default: the current directory)",
     OPT_STRING(struct options, bundle)},
    {0},
};

static int spec_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	struct options o = {.bundle = "."};
	int r = options_parse(&cmd_spec.line, &o, argc, argv, e);
	SCOPED_FREE char *path = NULL;
	SCOPED_FD int fd = -1;

	if (r < 0)
		return r;
	path = xasprintf("%s/config.json", o.bundle);
	fd = host_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd == -EEXIST)
		return error_set(e, fd, "%s exists already; remove it first", path);
	r = fd < 0 ? fd : host_write_full(fd, default_config, strlen(default_config));
	return r < 0 ? error_errno(e, r, "cannot write %s", path) : 0;
}

const struct command cmd_spec = {
    {"spec", NULL, "write a default config.json", .options = spec_options}, spec_main};

static json_t *mount_options(void)
{
	return json_pack("[ssssssssssssssssssss]", "bind", "rbind", "ro", "rw", "nosuid", "suid",
			 "nodev", "dev", "noexec", "exec", "noatime", "relatime", "strictatime",
			 "private", "rprivate", "shared", "rshared", "slave", "rslave",
			 "unbindable");
}

static int features_main(const struct global_options *g, int argc, char **argv, struct error *e)
{
	SCOPED_FREE char *text = NULL;
	json_t *caps, *o;
	int r = options_parse(&cmd_features.line, NULL, argc, argv, e);

	if (r < 0)
		return r;
	caps = json_array();
	for (int cap = 0; config_cap_name(cap); cap++)
		json_array_append_new(caps, json_sprintf("CAP_%s", config_cap_name(cap)));
	o = json_pack("{ss,ss,so,s{s[sssssss],so,s{sb,sb,sb,sb,sb},s{sb},s{sb},s{sb}},s{ss}}",
		      "ociVersionMin", "1.0.0", "ociVersionMax", OCI_VERSION, "mountOptions",
		      mount_options(), "linux", "namespaces", "pid", "network", "mount", "ipc",
		      "uts", "cgroup", "user", "capabilities", caps, "cgroup", "v1", 1, "v2", 1,
		      "systemd", 0, "systemdUser", 0, "rdma", 0, "seccomp", "enabled", 1,
		      "apparmor", "enabled", 0, "selinux", "enabled", 0, "annotations",
		      "org.garrison.version", GARRISON_VERSION);
	text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	json_decref(o);
	if (!text)
		return error_set(e, -ENOMEM, "features: cannot format");
	puts(text);
	return 0;
}

const struct command cmd_features = {{"features", NULL, "print the supported OCI features as JSON"},
				     features_main};
