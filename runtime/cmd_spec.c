/* spec: a config.json to start from; features: what this runtime understands. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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

int cmd_spec(const struct global_options *g, int argc, char **argv, struct error *e)
{
	static const struct option long_options[] = {{"bundle", required_argument, NULL, 'b'}, {0}};
	SCOPED_FREE char *path = NULL;
	SCOPED_FD int fd = -1;
	const char *bundle = ".";
	int c, r;

	while ((c = getopt_long(argc, argv, "+b:", long_options, NULL)) != -1) {
		if (c != 'b')
			return error_set(e, -EINVAL, "spec: unknown option");
		bundle = optarg;
	}
	path = xasprintf("%s/config.json", bundle);
	fd = host_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0644);
	if (fd == -EEXIST)
		return error_set(e, fd, "%s exists already; remove it first", path);
	r = fd < 0 ? fd : host_write_full(fd, default_config, strlen(default_config));
	return r < 0 ? error_errno(e, r, "cannot write %s", path) : 0;
}

static json_t *mount_options(void)
{
	return json_pack("[ssssssssssssssssssss]", "bind", "rbind", "ro", "rw", "nosuid", "suid",
			 "nodev", "dev", "noexec", "exec", "noatime", "relatime", "strictatime",
			 "private", "rprivate", "shared", "rshared", "slave", "rslave",
			 "unbindable");
}

int cmd_features(const struct global_options *g, int argc, char **argv, struct error *e)
{
	json_t *caps = json_array(), *o;
	SCOPED_FREE char *text = NULL;

	for (int cap = 0; config_cap_name(cap); cap++)
		json_array_append_new(caps, json_sprintf("CAP_%s", config_cap_name(cap)));
	o = json_pack("{ss,ss,so,s{s[sssssss],so,s{sb,sb,sb,sb,sb},s{sb},s{sb},s{sb}},s{ss}}",
		      "ociVersionMin", "1.0.0", "ociVersionMax", OCI_VERSION, "mountOptions",
		      mount_options(), "linux", "namespaces", "pid", "network", "mount", "ipc",
		      "uts", "cgroup", "user", "capabilities", caps, "cgroup", "v1", 1, "v2", 1,
		      "systemd", 0, "systemdUser", 0, "rdma", 0, "seccomp", "enabled", 0,
		      "apparmor", "enabled", 0, "selinux", "enabled", 0, "annotations",
		      "org.garrison.version", GARRISON_VERSION);
	text = o ? json_dumps(o, JSON_INDENT(2)) : NULL;
	json_decref(o);
	if (!text)
		return error_set(e, -ENOMEM, "features: cannot format");
	puts(text);
	return 0;
}
