/*
 * The first task of a container, or of an exec session in it: made from nothing
 * instead of by clone. Its own thread loads the image, because a stub's thread
 * belongs to the thread that drives it; the starter waits for the outcome.
 */
#include <errno.h>

#include "common/host_thread.h"
#include "common/mem.h"
#include "sentry/fs/namei.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/session.h"

struct start_request {
	const struct task_start *start;
	atomic_uint done;
	int result;
};

static int count(char *const *v)
{
	int n = 0;

	while (v && v[n])
		n++;
	return n;
}

static void take_image(struct task *t, struct exec_image *image)
{
	mutex_lock(&t->alloc_lock);
	t->pt = image->pt;
	t->mm = image->mm;
	mutex_unlock(&t->alloc_lock);
	task_set_cred(t, image->cred);
	task_set_comm(t, image->comm);
	t->personality = image->personality;
}

static int load_program(struct task *t, const struct task_start *s, const struct walk_env *env)
{
	struct exec_args args = {
	    .path = s->path,
	    .argv = (char **)s->argv,
	    .envp = (char **)s->envp,
	    .argc = count(s->argv),
	    .envc = count(s->envp),
	};
	struct exec_request req = {
	    .zygote = t->container->zygote, .env = env, .cred = t->cred, .args = &args};
	struct exec_image image = {.pt = NULL};
	int r = vfs_open_exec(env, NULL, s->path, WALK_FOLLOW, &args.file);

	if (r < 0)
		return r;
	task_mm_limits(t, &req.limits);
	r = exec_load(&req, &image);
	file_put(args.file);
	if (r == 0)
		take_image(t, &image);
	return r;
}

/* On the new task's thread. */
static int load(struct task *t, void *arg)
{
	struct start_request *rq = arg;
	const struct task_start *s = rq->start;
	struct task_walk walk;
	struct walk_env env;
	struct path cwd;
	int r;

	task_walk_begin(t, &walk, &env);
	r = path_walk(&env, NULL, s->cwd, WALK_FOLLOW | WALK_DIRECTORY, &cwd);
	task_walk_end(&walk);
	if (r == 0) {
		fs_context_set_cwd(t->fs, &cwd);
		path_put(&cwd);
		task_walk_begin(t, &walk, &env);
		r = load_program(t, s, &env);
		task_walk_end(&walk);
	}
	rq->result = r;
	atomic_store(&rq->done, 1);
	host_futex_wake(&rq->done, 1);
	return r;
}

static int install_stdio(struct fdtable *files, struct file *const stdio[3])
{
	for (int fd = 0; fd < 3; fd++) {
		int r;

		if (!stdio[fd])
			continue;
		file_get(stdio[fd]);
		r = fd_install_at(files, stdio[fd], fd, 1024, false);
		if (r < 0) {
			file_put(stdio[fd]);
			return r;
		}
	}
	return 0;
}

static struct task *make_task(const struct task_start *s, struct start_request *rq, int nr)
{
	struct process *p = process_new(s->container, sighand_new());
	struct task *t = task_new(p);

	p->tgid = t->tid = p->own_tgid = t->own_tid = nr;
	p->pids = pid_ns_get(s->container->pids);
	p->oom_score_adj = s->oom_score_adj;
	p->exit_signal = SIGCHLD;
	memcpy(p->limits, s->limits, sizeof(p->limits));
	t->cred = cred_get(s->cred);
	t->files = fdtable_new();
	t->fs = fs_context_new(s->container->mounts);
	t->fs->umask = s->umask;
	t->ns = nsproxy_get(s->container->ns);
	t->pids_for_children = pid_ns_get(s->container->pids);
	container_cpu_mask(s->container, t->affinity);
	t->birth = NEW(struct task_birth);
	t->birth->load = load;
	t->birth->load_arg = rq;
	process_put(p);
	return t;
}

/* A number, and for the first process of a container its rank as init, or its place below it. */
static int publish(const struct task_start *start, struct task *t, struct pid *pid)
{
	struct container *c = start->container;
	struct process *p = t->process;
	bool under_init = start->init;
	struct session *s;
	int pgrp = p->tgid;

	mutex_lock(&tasklist);
	mutex_lock(&p->sighand->lock);
	process_add_thread_locked(p, t, pid);
	mutex_unlock(&p->sighand->lock);
	s = under_init ? session_get(c->pids->init->session) : session_new_locked(p);
	process_join_pgrp_locked(p, pgrp_new_locked(c, p->tgid, s));
	if (under_init) {
		process_link_locked(p, c->pids->init, c->pids->init->leader->serial);
	} else if (!c->pids->init) {
		c->pids->init = p;
		p->unkillable = true;
	}
	mutex_unlock(&tasklist);
	if (start->tty)
		tty_set_session(start->tty, s, pgrp);
	session_put(s);
	return 0;
}

static struct pid *first_pid(struct container *c, int *err)
{
	struct pid *pid = pid_reserve(c->pids, NULL, 0, err);
	bool first;

	if (!pid)
		return NULL;
	mutex_lock(&tasklist);
	first = !c->pids->init;
	mutex_unlock(&tasklist);
	if (first && pid->nr != 1) { /* its init has come and gone */
		pid_unreserve(pid);
		*err = -ESRCH;
		return NULL;
	}
	return pid;
}

/* A failed start of init leaves the container as it was. */
static void forget_pid(struct container *c, int nr)
{
	SCOPED_LOCK(&tasklist);
	if (nr == 1) {
		pid_set_last(c->pids, 0);
		c->pids->over = false;
	}
}

/* Until the thread has told us the outcome; it uses rq until then. */
static int await(struct start_request *rq)
{
	while (!atomic_load(&rq->done))
		host_futex_wait(&rq->done, 0, UINT64_MAX);
	return rq->result;
}

static int launch(struct task *t, struct start_request *rq, struct pid *pid)
{
	const struct task_start *s = rq->start;
	int r = install_stdio(t->files, s->stdio);

	if (r == 0 && s->seccomp)
		r = seccomp_preset(t, s->seccomp, s->seccomp_len);
	if (r < 0)
		return r;
	r = task_thread_reserve(t);
	if (r < 0)
		return r;
	task_get(t); /* the thread's own */
	publish(s, t, pid);
	task_open_gate(t, GATE_GO);
	return await(rq);
}

static void discard(struct task *t)
{
	fdtable_put(t->files);
	fs_context_put(t->fs);
	nsproxy_put(t->ns);
	pid_ns_put(t->pids_for_children);
	free(t->birth);
	t->files = NULL;
	t->fs = NULL;
	t->ns = NULL;
	t->pids_for_children = NULL;
	t->birth = NULL;
}

int task_start(const struct task_start *s, struct process **out)
{
	struct start_request rq = {.start = s};
	struct container *c = s->container;
	struct process *p;
	struct task *t;
	struct pid *pid;
	int r = 0, nr;

	if (s->init)
		r = init_start(c, s->limits);
	pid = r == 0 ? first_pid(c, &r) : NULL;
	if (!pid) {
		if (s->init)
			init_end(c);
		return r;
	}
	nr = pid->nr;
	t = make_task(s, &rq, nr);
	p = process_get(t->process);
	r = launch(t, &rq, pid);
	if (r < 0) {
		if (!rq.done) { /* its thread never was */
			discard(t);
			pid_unreserve(pid);
		}
		forget_pid(c, nr);
		process_put(p);
		if (s->init)
			init_end(c);
	} else {
		*out = p;
	}
	task_put(t);
	return r;
}
