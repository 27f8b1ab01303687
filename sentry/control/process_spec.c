#include "sentry/control/process_spec.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "common/host.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/core/cred.h"
#include "sentry/fs/mount.h"
#include "sentry/fs/namei.h"

static capset get_caps(const json_t *caps, const char *key, const struct container *c)
{
	return (capset)json_get_int(caps, key, 0) & c->cap_bound;
}

static int read_groups(struct cred *cred, const json_t *process)
{
	const json_t *array = json_object_get(process, "groups");
	size_t n = min(json_array_size(array), (size_t)65536);
	SCOPED_FREE uint32_t *groups = xmalloc((n + 1) * sizeof(*groups));

	for (size_t i = 0; i < n; i++)
		groups[i] = (uint32_t)json_integer_value(json_array_get(array, i));
	return cred_set_groups(cred, groups, (int)n);
}

static int read_cred(struct process_spec *s, const struct container *c, const json_t *process)
{
	const json_t *caps = json_object_get(process, "capabilities");
	struct cred *cred = cred_new_root(0);

	s->cred = cred;
	cred->uid = cred->euid = cred->suid = cred->fsuid =
	    (uint32_t)json_get_int(process, "uid", 0);
	cred->account = account_of(c->domain, cred->uid);
	cred->gid = cred->egid = cred->sgid = cred->fsgid =
	    (uint32_t)json_get_int(process, "gid", 0);
	cred->bounding = get_caps(caps, "bounding", c);
	cred->inheritable = get_caps(caps, "inheritable", c);
	cred->permitted = get_caps(caps, "permitted", c);
	cred->effective = get_caps(caps, "effective", c) & cred->permitted;
	cred->ambient = get_caps(caps, "ambient", c) & cred->permitted & cred->inheritable;
	cred->no_new_privs = json_get_bool(process, "noNewPrivileges");
	return read_groups(cred, process);
}

static void read_limits(struct process_spec *s, const json_t *process)
{
	/* What Linux gives to init, for those that the configuration does not name. */
	static const struct rlimit64 defaults[16] = {
	    [RLIMIT_CPU] = {RLIM64_INFINITY, RLIM64_INFINITY},
	    [RLIMIT_FSIZE] = {RLIM64_INFINITY, RLIM64_INFINITY},
	    [RLIMIT_DATA] = {RLIM64_INFINITY, RLIM64_INFINITY},
	    [RLIMIT_STACK] = {8 << 20, RLIM64_INFINITY},
	    [RLIMIT_CORE] = {0, RLIM64_INFINITY},
	    [RLIMIT_RSS] = {RLIM64_INFINITY, RLIM64_INFINITY},
	    [RLIMIT_NPROC] = {RLIM64_INFINITY, RLIM64_INFINITY},
	    [RLIMIT_NOFILE] = {1024, 524288},
	    [RLIMIT_MEMLOCK] = {8 << 20, 8 << 20},
	    [RLIMIT_AS] = {RLIM64_INFINITY, RLIM64_INFINITY},
	    [RLIMIT_LOCKS] = {RLIM64_INFINITY, RLIM64_INFINITY},
	    [RLIMIT_SIGPENDING] = {63304, 63304},
	    [RLIMIT_MSGQUEUE] = {819200, 819200},
	    [RLIMIT_RTTIME] = {RLIM64_INFINITY, RLIM64_INFINITY},
	};
	const json_t *array = json_object_get(process, "rlimits"), *entry;
	size_t i;

	memcpy(s->limits, defaults, sizeof(s->limits));
	json_array_foreach(array, i, entry)
	{
		int64_t type = json_get_int(entry, "type", -1);

		if (type < 0 || type >= 16)
			continue;
		s->limits[type].rlim_cur = (uint64_t)json_get_int(entry, "soft", -1);
		s->limits[type].rlim_max = (uint64_t)json_get_int(entry, "hard", -1);
	}
}

static void take_stdio(struct process_spec *s, struct request *rq)
{
	const json_t *array = json_object_get(rq->body, "stdio");

	for (size_t i = 0; i < 3; i++) {
		const json_t *v = json_array_get(array, i);

		s->stdio[i] =
		    json_is_integer(v) ? wire_take_fd(rq->msg, json_integer_value(v)) : -1;
	}
	s->tty = request_take_fd(rq, rq->body, "tty");
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Hexadecimal digits, two for a byte of the program. */
static int read_seccomp(struct request *rq, struct process_spec *s, const json_t *process)
{
	const char *text = json_get_string(process, "seccomp", "");
	size_t n = strlen(text) / 2;
	unsigned char *bytes;

	if (n == 0)
		return 0;
	bytes = xmalloc(n);
	s->seccomp = (struct sock_filter *)bytes;
	for (size_t i = 0; i < n; i++) {
		int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return request_fail(rq, -EINVAL, "malformed seccomp filter");
		bytes[i] = (unsigned char)(high << 4 | low);
	}
	s->seccomp_len = (unsigned int)(n / sizeof(*s->seccomp));
	return 0;
}

int process_spec_read(struct request *rq, struct container *c, struct process_spec **out)
{
	json_t *process = json_object_get(rq->body, "process");
	struct process_spec *s;
	int r;

	if (!json_is_object(process))
		return request_fail(rq, -EINVAL, "request without \"process\"");
	s = NEW(struct process_spec);
	s->body = json_incref(process);
	s->argv = json_get_strings(process, "args");
	s->envp = json_get_strings(process, "env");
	s->cwd = json_get_string(process, "cwd", "/");
	s->umask = (uint32_t)json_get_int(process, "umask", 022);
	s->oom_score_adj = (int)json_get_int(process, "oomScoreAdj", 0);
	read_limits(s, process);
	take_stdio(s, rq);
	r = read_cred(s, c, process);
	if (r == 0)
		r = read_seccomp(rq, s, process);
	if (r == 0 && !s->argv[0])
		r = request_fail(rq, -EINVAL, "process.args is empty");
	if (r < 0) {
		process_spec_free(s);
		return r;
	}
	*out = s;
	return 0;
}

void process_spec_free(struct process_spec *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < 3; i++)
		if (s->stdio[i] >= 0)
			host_close(s->stdio[i]);
	if (s->tty >= 0)
		host_close(s->tty);
	if (s->cred)
		cred_put(s->cred);
	free(s->seccomp);
	free(s->argv);
	free(s->envp);
	json_decref(s->body);
	free(s);
}

/* May it be executed? As execvp(3) tries it. */
static int try_program(const struct walk_env *env, const char *path)
{
	struct path p;
	struct kstat st;
	int r = path_walk(env, NULL, path, WALK_FOLLOW, &p);

	if (r < 0)
		return r;
	r = vfs_getattr(&p, &st);
	if (r == 0 && !S_ISREG(st.mode))
		r = -EACCES;
	if (r == 0)
		r = vfs_access(&p, env->cred, 1);
	path_put(&p);
	return r;
}

static const char *search_path(const struct process_spec *s)
{
	for (char **e = s->envp; *e; e++)
		if (strncmp(*e, "PATH=", 5) == 0)
			return *e + 5;
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static int find_in_path(const struct walk_env *env, const struct process_spec *s, char **out)
{
	const char *name = s->argv[0], *dir = search_path(s);
	int err = -ENOENT;

	while (*dir || dir == search_path(s)) {
		size_t len = strcspn(dir, ":");
		char *path = len ? xasprintf("%.*s/%s", (int)len, dir, name) : xstrdup(name);
		int r = try_program(env, path);

		if (r == 0) {
			*out = path;
			return 0;
		}
		free(path);
		if (r == -EACCES)
			err = r;
		dir += len;
		if (!*dir)
			break;
		dir++;
	}
	return err;
}

static int describe_missing(struct request *rq, const struct process_spec *s, int r)
{
	const char *name = s->argv[0];

	if (r == -ENOENT && !strchr(name, '/'))
		return request_fail(rq, r, "exec: \"%s\": executable file not found in $PATH",
				    name);
	if (r == -ENOENT || r == -ENOTDIR)
		return request_fail(rq, -ENOENT, "exec: \"%s\": stat %s: no such file or directory",
				    name, name);
	if (r == -EACCES)
		return request_fail(rq, r, "exec: \"%s\": permission denied", name);
	return request_fail(rq, r, "exec: \"%s\": %s", name, strerror(-r));
}

static int walk_cwd(const struct walk_env *env, const char *name, struct path *out)
{
	int r = path_walk(env, NULL, name, WALK_FOLLOW | WALK_DIRECTORY, out);

	return r;
}

int process_spec_find_program(struct request *rq, struct container *c, const struct process_spec *s,
			      char **path)
{
	struct path root, cwd;
	struct walk_env env = {.root = &root, .cwd = &root, .cred = s->cred};
	int r;

	mount_ns_root(c->mounts, &root);
	r = walk_cwd(&env, s->cwd, &cwd);
	if (r < 0) {
		path_put(&root);
		return request_fail(rq, r, "process.cwd: chdir to \"%s\": %s", s->cwd,
				    r == -ENOENT ? "no such file or directory" : strerror(-r));
	}
	env.cwd = &cwd;
	if (strchr(s->argv[0], '/')) {
		r = try_program(&env, s->argv[0]);
		if (r == 0)
			*path = xstrdup(s->argv[0]);
	} else {
		r = find_in_path(&env, s, path);
	}
	path_put(&cwd);
	path_put(&root);
	return r < 0 ? describe_missing(rq, s, r) : 0;
}
