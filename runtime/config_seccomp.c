/*
 * "linux.seccomp": compiled with libseccomp into the classic BPF program that the
 * sentry runs on the guest's own calls. (The host's kernel never sees these calls.)
 *
 * As runc has it: names that this architecture lacks are skipped; several conditions
 * on one argument are alternatives; and calls newer than any that the profile
 * knows fail with ENOSYS, so that libraries fall back to older ones.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/host.h"
#include "common/mem.h"
#include "runtime/config.h"
#include "runtime/config_get.h"

#define MAX_ARGS 6

static int parse_action(const struct source *s, const struct place *p, const char *key,
			const char *errno_key, uint32_t *out)
{
	static const struct {
		const char *name;
		uint32_t action;
	} actions[] = {
	    {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
	    {"SCMP_ACT_LOG", SCMP_ACT_LOG},
	    {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO(0)},
	    {"SCMP_ACT_TRACE", SCMP_ACT_TRACE(0)},
	    {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
	    {"SCMP_ACT_KILL", SCMP_ACT_KILL_THREAD},
	    {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
	    {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
	};
	const char *name = "";
	int64_t number = EPERM;
	int r = get_string(s, p, key, true, &name);

	if (r == 0)
		r = get_int(s, p, errno_key, false, 0, 4095, &number);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(actions); i++) {
		if (strcmp(actions[i].name, name) != 0)
			continue;
		*out = actions[i].action;
		if (*out == SCMP_ACT_ERRNO(0) || *out == SCMP_ACT_TRACE(0))
			*out |= (uint32_t)number;
		return 0;
	}
	return r < 0 ? r : bad_field(s, p, key, "action \"%s\" is not supported", name);
}

static int parse_operator(const struct source *s, const struct place *p, enum scmp_compare *out)
{
	static const struct {
		const char *name;
		enum scmp_compare op;
	} operators[] = {
	    {"SCMP_CMP_NE", SCMP_CMP_NE},
	    {"SCMP_CMP_LT", SCMP_CMP_LT},
	    {"SCMP_CMP_LE", SCMP_CMP_LE},
	    {"SCMP_CMP_EQ", SCMP_CMP_EQ},
	    {"SCMP_CMP_GE", SCMP_CMP_GE},
	    {"SCMP_CMP_GT", SCMP_CMP_GT},
	    {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
	};
	const char *name = "";
	int r = get_string(s, p, "op", true, &name);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(operators); i++)
		if (strcmp(operators[i].name, name) == 0) {
			*out = operators[i].op;
			return 0;
		}
	return r < 0 ? r : bad_field(s, p, "op", "unknown operator \"%s\"", name);
}

struct conditions {
	struct scmp_arg_cmp list[MAX_ARGS];
	unsigned int n;
	bool alternatives; /* two on one argument */
};

static int parse_condition(const struct source *s, const struct place *p, struct conditions *c)
{
	struct scmp_arg_cmp *a = &c->list[c->n];
	int64_t index = 0, value = 0, two = 0;
	int r = get_int(s, p, "index", true, 0, 5, &index);

	if (r == 0)
		r = get_int(s, p, "value", true, INT64_MIN, INT64_MAX, &value);
	if (r == 0)
		r = get_int(s, p, "valueTwo", false, INT64_MIN, INT64_MAX, &two);
	if (r == 0)
		r = parse_operator(s, p, &a->op);
	if (r < 0)
		return r;
	a->arg = (unsigned int)index;
	a->datum_a = (scmp_datum_t)value;
	a->datum_b = (scmp_datum_t)two;
	for (unsigned int i = 0; i < c->n; i++)
		c->alternatives |= c->list[i].arg == a->arg;
	c->n++;
	return 0;
}

static int parse_conditions(const struct source *s, const struct place *p, struct conditions *c)
{
	const json_t *array = NULL, *v;
	size_t i;
	int r = get_array(s, p, "args", &array);

	if (r == 0 && json_array_size(array) > MAX_ARGS)
		return bad_field(s, p, "args", "has more than %d conditions", MAX_ARGS);
	json_array_foreach(array, i, v)
	{
		SCOPED_FREE char *name = xasprintf("%s.args[%zu]", p->name, i);
		const struct place one = {v, name};

		if (r == 0 && !json_is_object(v))
			r = bad_field(s, &one, NULL, "must be an object");
		if (r == 0)
			r = parse_condition(s, &one, c);
	}
	return r;
}

static int add_call(scmp_filter_ctx ctx, uint32_t action, int nr, const struct conditions *c)
{
	int r = 0;

	if (!c->alternatives)
		return seccomp_rule_add_array(ctx, action, nr, c->n, c->list);
	for (unsigned int i = 0; r == 0 && i < c->n; i++)
		r = seccomp_rule_add_array(ctx, action, nr, 1, &c->list[i]);
	return r;
}

struct compiler {
	scmp_filter_ctx ctx;
	uint32_t def;
	int highest; /* of the numbers that it knows */
};

static int add_rule(const struct source *s, const struct place *p, struct compiler *c)
{
	struct conditions conditions = {.n = 0};
	const json_t *names = NULL, *v;
	uint32_t action = 0;
	size_t i;
	int r = get_strings(s, p, "names", &names);

	if (r == 0)
		r = parse_action(s, p, "action", "errnoRet", &action);
	if (r == 0)
		r = parse_conditions(s, p, &conditions);
	json_array_foreach(names, i, v)
	{
		int nr = r == 0 ? seccomp_syscall_resolve_name(json_string_value(v)) : -1;

		if (nr < 0)
			continue;
		c->highest = max(c->highest, nr);
		if (action != c->def && add_call(c->ctx, action, nr, &conditions) < 0)
			return bad_field(s, p, "names", "cannot make a rule for \"%s\"",
					 json_string_value(v));
	}
	return r;
}

static int add_rules(const struct source *s, const struct place *p, struct compiler *c)
{
	const json_t *array = NULL, *v;
	size_t i;
	int r = get_array(s, p, "syscalls", &array);

	json_array_foreach(array, i, v)
	{
		SCOPED_FREE char *name = xasprintf("linux.seccomp.syscalls[%zu]", i);
		const struct place one = {v, name};

		if (r == 0 && !json_is_object(v))
			r = bad_field(s, &one, NULL, "must be an object");
		if (r == 0)
			r = add_rule(s, &one, c);
	}
	return r;
}

static void add_hex(char **out, const void *data, size_t n)
{
	const unsigned char *p = data;

	for (size_t i = 0; i < n; i++)
		*out += sprintf(*out, "%02x", p[i]);
}

/* The program as a string of hexadecimal digits, for the control protocol. */
static char *program_text(const struct compiler *c)
{
	const struct sock_filter newer[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)c->highest, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
	};
	SCOPED_FD int fd = memfd_create("seccomp", MFD_CLOEXEC);
	SCOPED_FREE char *program = NULL;
	char *text, *end;
	off_t size;

	if (fd < 0 || seccomp_export_bpf(c->ctx, fd) < 0)
		return NULL;
	size = lseek(fd, 0, SEEK_END);
	program = xmalloc((size_t)size + 1);
	if (pread(fd, program, (size_t)size, 0) != size)
		return NULL;
	text = end = xmalloc(2 * ((size_t)size + sizeof(newer)) + 1);
	if (c->def != SCMP_ACT_ALLOW && c->def != SCMP_ACT_LOG)
		add_hex(&end, newer, sizeof(newer));
	add_hex(&end, program, (size_t)size);
	return text;
}

static int compile(const struct source *s, const struct place *p, char **out)
{
	struct compiler c = {.highest = 0};
	int r = parse_action(s, p, "defaultAction", "defaultErrnoRet", &c.def);

	*out = NULL;
	if (r < 0)
		return r;
	c.ctx = seccomp_init(c.def);
	if (!c.ctx)
		return bad_field(s, p, NULL, "cannot be compiled");
	/* A tree of comparisons instead of a list. */
	(void)seccomp_attr_set(c.ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = add_rules(s, p, &c);
	if (r == 0)
		*out = program_text(&c);
	if (r == 0 && !*out)
		r = bad_field(s, p, NULL, "cannot be compiled");
	seccomp_release(c.ctx);
	return r;
}

int config_seccomp_parse(const struct source *s, const struct place *linux_place, json_t *process)
{
	struct place p = {.name = "linux.seccomp"};
	SCOPED_FREE char *program = NULL;
	int r = get_object(s, linux_place, "seccomp", &p.o);

	if (r < 0 || !p.o)
		return r;
	r = compile(s, &p, &program);
	if (r == 0)
		json_object_set_new(process, "seccomp", json_string(program));
	return r;
}
