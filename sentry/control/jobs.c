/* Processes that the runtime started: their start, their end, who waits for them. */
#include <errno.h>
#include <string.h>

#include "common/host.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/control/control.h"
#include "sentry/control/ops.h"
#include "sentry/control/process_spec.h"
#include "sentry/fs/hostfile.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/tty/tty.h"
#include "sentry/kernel/wait.h"

struct pending_wait {
	struct list node; /* in job->waits */
	struct connection *conn;
	bool owner;
};

static struct list jobs = LIST_INIT(jobs);

/* Under the queue's lock, on the thread that exits: only a hint, jobs_reap looks. */
static bool note_exit(struct waiter *w, uint32_t events)
{
	control_wake();
	return true;
}

void job_free(struct job *job)
{
	list_del(&job->node);
	if (job->process) {
		waitq_del(&job->waiter);
		if (job->below_init)
			waitq_del(&job->stop_waiter);
		process_put(job->process);
	}
	if (job->tty)
		tty_put(job->tty);
	process_spec_free(job->spec);
	free(job);
}

struct job *job_new(struct container *c, struct process_spec *spec, bool is_init)
{
	struct job *job = NEW(struct job);

	job->container = c;
	job->spec = spec;
	job->is_init = is_init;
	list_init(&job->waits);
	list_init(&job->waiter.node);
	job->waiter.events = UINT32_MAX;
	job->waiter.wake = note_exit;
	list_init(&job->stop_waiter.node);
	job->stop_waiter.events = UINT32_MAX;
	job->stop_waiter.wake = note_exit;
	list_add_tail(&jobs, &job->node);
	return job;
}

struct job *job_find(struct container *c, int pid)
{
	struct job *job;

	list_for_each (job, &jobs, node)
		if (job->container == c && (pid ? job->pid == pid : job->is_init))
			return job;
	return NULL;
}

static int open_terminal(struct request *rq, struct job *job, struct file *stdio[3])
{
	int r;

	r = tty_new_host(job->container, job->spec->tty, &job->tty);
	if (r < 0)
		return request_fail(rq, r, "cannot make the terminal: %s", strerror(-r));
	job->spec->tty = -1;
	r = tty_open_file(job->tty, job->spec->cred, O_RDWR, &stdio[0]);
	if (r < 0)
		return request_fail(rq, r, "cannot open the terminal: %s", strerror(-r));
	stdio[1] = file_get(stdio[0]);
	stdio[2] = file_get(stdio[0]);
	return 0;
}

static int open_stdio(struct request *rq, struct job *job, struct file *stdio[3])
{
	struct process_spec *spec = job->spec;

	if (spec->tty >= 0)
		return open_terminal(rq, job, stdio);
	for (int i = 0; i < 3; i++) {
		int r;

		if (spec->stdio[i] < 0)
			continue;
		r = hostfile_new(spec->stdio[i], spec->cred, &stdio[i]);
		if (r < 0)
			return request_fail(rq, r, "cannot pass on fd %d: %s", i, strerror(-r));
		spec->stdio[i] = -1;
	}
	return 0;
}

static const char *exec_error(int r)
{
	switch (r) {
	case -ENOENT:
		return "no such file or directory";
	case -EACCES:
		return "permission denied";
	case -ENOEXEC:
		return "exec format error";
	}
	return strerror(-r);
}

static int start_task(struct request *rq, struct job *job, struct file *stdio[3])
{
	struct process_spec *spec = job->spec;
	SCOPED_FREE char *path = NULL;
	struct task_start start;
	int r = process_spec_find_program(rq, job->container, spec, &path);

	if (r < 0)
		return r;
	start = (struct task_start){
	    .container = job->container,
	    .path = path,
	    .argv = spec->argv,
	    .envp = spec->envp,
	    .cwd = spec->cwd,
	    .cred = spec->cred,
	    .stdio = {stdio[0], stdio[1], stdio[2]},
	    .tty = job->tty,
	    .limits = spec->limits,
	    .umask = spec->umask,
	    .oom_score_adj = spec->oom_score_adj,
	    .seccomp = spec->seccomp,
	    .seccomp_len = spec->seccomp_len,
	    .init = job->below_init,
	};
	r = task_start(&start, &job->process);
	if (r < 0)
		return request_fail(rq, r, "exec %s: %s", path, exec_error(r));
	return 0;
}

int job_start(struct request *rq, struct job *job)
{
	struct file *stdio[3] = {NULL, NULL, NULL};
	int r = open_stdio(rq, job, stdio);

	if (r == 0)
		r = start_task(rq, job, stdio);
	for (int i = 0; i < 3; i++)
		if (stdio[i])
			file_put(stdio[i]);
	if (r < 0)
		return r;
	process_spec_free(job->spec);
	job->spec = NULL;
	job->pid = job->process->tgid;
	waitq_add(&job->process->pidfd_wq, &job->waiter);
	if (job->below_init)
		waitq_add(&job->container->pids->init->wait_wq, &job->stop_waiter);
	/* It may have exited before the waiter was there. */
	control_wake();
	return 0;
}

static void answer(struct job *job, struct connection *conn)
{
	connection_reply(conn, json_pack("{si,sb}", "status", job->status, "exited", 1), 0, NULL);
}

static void answer_waits(struct job *job)
{
	struct pending_wait *w, *tmp;

	list_for_each_safe (w, tmp, &job->waits, node) {
		answer(job, w->conn);
		list_del(&w->node);
		free(w);
	}
}

/* Its starter on the host may want to stop as well, so that its shell takes notice. */
static void tell_stop(struct job *job)
{
	int sig = job->below_init && !job->exited ? process_take_stop(job->process) : 0;
	struct pending_wait *w;

	if (!sig)
		return;
	list_for_each (w, &job->waits, node)
		connection_reply(w->conn, json_pack("{si}", "stopped", sig), 0, NULL);
}

static bool all_exited(struct container *c)
{
	struct job *job;

	list_for_each (job, &jobs, node)
		if (job->container == c && job->process && !job->exited)
			return false;
	return true;
}

void jobs_reap(void)
{
	struct job *job;

	list_for_each (job, &jobs, node) {
		if (!job->process || job->exited)
			continue;
		tell_stop(job);
		if (!process_exited(job->process, &job->status))
			continue;
		job->exited = true;
		log_debug("pid %d of %s exited: %#x", job->pid, job->container->id, job->status);
		answer_waits(job);
	}
	/* A sandbox ends with the init of its first container. */
	list_for_each (job, &jobs, node)
		if (job->is_init && job->exited && container_first() == job->container &&
		    all_exited(job->container))
			control_stop();
}

/* Its monitor died: so must it. A container that was not started yet ends with its sandbox. */
static void owner_gone(struct job *job)
{
	log_info("the monitor of pid %d is gone: killing it", job->pid);
	if (job->process)
		signal_process(job->process, SIGKILL, NULL);
	else if (job->is_init)
		control_stop();
}

void jobs_hangup(struct connection *conn)
{
	struct pending_wait *w, *tmp;
	struct job *job;

	list_for_each (job, &jobs, node) {
		list_for_each_safe (w, tmp, &job->waits, node) {
			if (w->conn != conn)
				continue;
			if (w->owner && !job->exited)
				owner_gone(job);
			list_del(&w->node);
			free(w);
		}
	}
}

void jobs_forget(struct container *c)
{
	struct job *job, *tmp;

	list_for_each_safe (job, tmp, &jobs, node)
		if (job->container == c)
			job_free(job);
}

void job_wait(struct job *job, struct connection *conn, bool owner)
{
	struct pending_wait *w;

	if (job->exited) {
		answer(job, conn);
		return;
	}
	w = NEW(struct pending_wait);
	w->conn = conn;
	w->owner = owner;
	list_add_tail(&job->waits, &w->node);
}

int op_wait(struct request *rq)
{
	struct container *c = container_find(json_get_string(rq->body, "id", ""));
	struct job *job;

	if (!c)
		return request_fail(rq, -ENOENT, "container does not exist");
	job = job_find(c, (int)json_get_int(rq->body, "pid", 0));
	if (!job)
		return request_fail(rq, -ESRCH, "no such process");
	rq->deferred = true;
	job_wait(job, rq->conn, json_get_bool(rq->body, "owner"));
	return 0;
}
