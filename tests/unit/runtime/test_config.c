/* link: runtime/config.c runtime/config_get.c runtime/config_hooks.c runtime/config_mounts.c runtime/config_process.c runtime/config_seccomp.c runtime/error.c runtime/hooks.c runtime/json_text.c runtime/spawn.c runtime/state.c runtime/process_ref.c common/host.c common/host_setup.c common/mem.c common/log.c */
/* What a configuration is turned into (its errors: tests/integration/runtime_config.sh). */
#include <check.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "runtime/command.h"
#include "runtime/config.h"

/* hooks.c wants it for warnings. */
void command_log(const struct global_options *g, const char *level, const char *text)
{
}

static struct config c;
static struct error e;

static void teardown(void)
{
	config_free(&c);
	error_clear(&e);
}

static int parse(const char *extra, const char *process_extra)
{
	char text[4096];
	json_t *json;

	snprintf(
	    text, sizeof(text),
	    "{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"/\"},\"process\":{\"args\":[\"a\"],"
	    "\"cwd\":\"/\"%s}%s}",
	    process_extra, extra);
	json = json_loads(text, 0, NULL);
	ck_assert_ptr_nonnull(json);
	return config_from_json(json, "test.json", NULL, "/bundle", &c, &e);
}

static json_int_t process_number(const char *key)
{
	return json_integer_value(json_object_get(c.process.request, key));
}

START_TEST(the_smallest_configuration)
{
	ck_assert_int_eq(parse("", ""), 0);
	ck_assert_str_eq(c.rootfs, "/");
	ck_assert(!c.readonly);
	ck_assert_uint_eq(c.nmounts, 0);
	ck_assert_str_eq(c.process.cwd, "/");
	ck_assert(!c.process.terminal);
	ck_assert_int_eq(process_number("uid"), 0);
	ck_assert_int_eq(process_number("umask"), 022);
	ck_assert_int_eq(c.limits.memory, -1);
	ck_assert_int_eq(c.limits.pids, -1);
}
END_TEST

START_TEST(a_relative_root_lies_in_the_bundle)
{
	json_t *json = json_pack("{ss,s{ss},s{s[s],ss}}", "ociVersion", "1.1.0", "root", "path",
				 "..", "process", "args", "a", "cwd", "/");

	ck_assert_int_eq(config_from_json(json, "t", NULL, "/usr", &c, &e), 0);
	ck_assert_str_eq(c.rootfs, "/usr/..");
}
END_TEST

START_TEST(mount_options_become_flags_and_data)
{
	ck_assert_int_eq(
	    parse(
		",\"mounts\":[{\"destination\":\"/a\",\"type\":\"tmpfs\",\"options\":"
		"[\"ro\",\"nosuid\",\"mode=755\",\"noexec\",\"exec\",\"size=1k\",\"rprivate\"]},"
		"{\"destination\":\"/b\",\"source\":\"/x\",\"options\":[\"rbind\",\"ro\",\"rw\"]},"
		"{\"destination\":\"/c\",\"source\":\"/x\",\"type\":\"bind\"}]",
		""),
	    0);
	ck_assert_uint_eq(c.nmounts, 3);
	ck_assert_uint_eq(c.mounts[0].flags, MS_RDONLY | MS_NOSUID);
	ck_assert_uint_eq(c.mounts[0].propagation, MS_PRIVATE | MS_REC);
	ck_assert_str_eq(c.mounts[0].data, "mode=755,size=1k");
	ck_assert(!c.mounts[0].bind);
	ck_assert_uint_eq(c.mounts[1].flags, MS_BIND | MS_REC);
	ck_assert(c.mounts[1].bind);
	ck_assert(c.mounts[2].bind);
}
END_TEST

START_TEST(capabilities_become_bits)
{
	const json_t *caps;

	ck_assert_int_eq(parse("",
			       ",\"capabilities\":{\"bounding\":[\"CAP_CHOWN\",\"CAP_SYS_ADMIN\","
			       "\"CAP_CHECKPOINT_RESTORE\",\"CAP_FROM_THE_FUTURE\"],\"effective\":"
			       "[\"CAP_KILL\"]}"),
			 0);
	caps = json_object_get(c.process.request, "capabilities");
	ck_assert_int_eq(
	    json_integer_value(json_object_get(caps, "bounding")),
	    (json_int_t)(BIT(CAP_CHOWN) | BIT(CAP_SYS_ADMIN) | BIT(CAP_CHECKPOINT_RESTORE)));
	ck_assert_int_eq(json_integer_value(json_object_get(caps, "effective")),
			 (json_int_t)BIT(CAP_KILL));
	ck_assert_int_eq(json_integer_value(json_object_get(caps, "ambient")), 0);
	for (int cap = 0; cap <= CAP_LAST_CAP; cap++) {
		char name[64];

		ck_assert_ptr_nonnull(config_cap_name(cap));
		snprintf(name, sizeof(name), "CAP_%s", config_cap_name(cap));
		ck_assert_uint_eq(config_cap_bit(name), BIT(cap));
	}
	ck_assert_ptr_null(config_cap_name(CAP_LAST_CAP + 1));
	ck_assert_uint_eq(config_cap_bit("CHOWN"), 0);
}
END_TEST

START_TEST(limits_and_user)
{
	const json_t *limit;

	ck_assert_int_eq(parse("",
			       ",\"rlimits\":[{\"type\":\"RLIMIT_NOFILE\",\"soft\":5,\"hard\":-1}],"
			       "\"user\":{\"uid\":4294967294,\"gid\":7,\"umask\":63,"
			       "\"additionalGids\":[1,2]},\"noNewPrivileges\":true,"
			       "\"oomScoreAdj\":-5,\"terminal\":true,"
			       "\"consoleSize\":{\"height\":3,\"width\":4}"),
			 0);
	limit = json_array_get(json_object_get(c.process.request, "rlimits"), 0);
	ck_assert_int_eq(json_integer_value(json_object_get(limit, "type")), RLIMIT_NOFILE);
	ck_assert_int_eq(json_integer_value(json_object_get(limit, "hard")), -1);
	ck_assert_int_eq(process_number("uid"), 4294967294);
	ck_assert_int_eq(process_number("umask"), 63);
	ck_assert_int_eq(process_number("oomScoreAdj"), -5);
	ck_assert_uint_eq(json_array_size(json_object_get(c.process.request, "groups")), 2);
	ck_assert(json_is_true(json_object_get(c.process.request, "noNewPrivileges")));
	ck_assert_int_eq(c.process.rows, 3);
	ck_assert_int_eq(c.process.cols, 4);
}
END_TEST

START_TEST(resources_and_devices)
{
	const json_t *d;

	ck_assert_int_eq(
	    parse(",\"linux\":{\"cgroupsPath\":\"/x/y\",\"devices\":[{\"path\":\"/dev/f\",\"type\":"
		  "\"c\",\"major\":10,\"minor\":229,\"fileMode\":438,\"uid\":1}],\"resources\":{"
		  "\"memory\":{\"limit\":1000,\"swap\":2000},\"pids\":{\"limit\":9},\"cpu\":{"
		  "\"quota\":50000,\"period\":100000,\"cpus\":\"0-1\"}},\"uidMappings\":[{"
		  "\"hostID\":0,\"containerID\":0,\"size\":10}],\"sysctl\":{\"net.x\":\"1\"}}",
		  ""),
	    0);
	ck_assert_str_eq(c.cgroups_path, "/x/y");
	ck_assert_int_eq(c.limits.memory, 1000);
	ck_assert_int_eq(c.limits.swap, 2000);
	ck_assert_int_eq(c.limits.pids, 9);
	ck_assert_int_eq(c.limits.cpu_quota, 50000);
	ck_assert_str_eq(c.limits.cpus, "0-1");
	d = json_array_get(c.devices, 0);
	ck_assert_int_eq(json_integer_value(json_object_get(d, "mode")), 020000 | 0666);
	ck_assert_int_eq(json_integer_value(json_object_get(d, "minor")), 229);
	ck_assert_uint_eq(json_object_size(c.sysctl), 1);
}
END_TEST

START_TEST(errors_name_file_and_field)
{
	ck_assert_int_eq(
	    parse(",\"linux\":{\"uidMappings\":[{\"hostID\":100000,\"containerID\":0}]}", ""),
	    -EINVAL);
	ck_assert_str_eq(e.text, "test.json: linux.uidMappings: element 0: only identity mappings "
				 "are supported");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("config");
	TCase *t = tcase_create("config");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, NULL, teardown);
	tcase_add_test(t, the_smallest_configuration);
	tcase_add_test(t, a_relative_root_lies_in_the_bundle);
	tcase_add_test(t, mount_options_become_flags_and_data);
	tcase_add_test(t, capabilities_become_bits);
	tcase_add_test(t, limits_and_user);
	tcase_add_test(t, resources_and_devices);
	tcase_add_test(t, errors_name_file_and_field);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
