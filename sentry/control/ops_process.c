/* exec, signal, ps, resize. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "sentry/control/control.h"
#include "sentry/control/ops.h"
#include "sentry/control/process_spec.h"
#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/tty/tty.h"

static int find_container(struct request *rq, struct container **c)
{
	*c = container_find(json_get_string(rq->body, "id", ""));
	return *c ? 0 : request_fail(rq, -ENOENT, "container does not exist");
}

static int find_job(struct request *rq, struct job **job)
{
	struct container *c;
	int r = find_container(rq, &c);

	if (r < 0)
		return r;
	*job = job_find(c, (int)json_get_int(rq->body, "pid", 0));
	return *job ? 0 : request_fail(rq, -ESRCH, "no such process");
}

int op_exec(struct request *rq)
{
	struct process_spec *spec;
	struct container *c;
	struct job *init, *job;
	int r = find_container(rq, &c);

	if (r < 0)
		return r;
	init = job_find(c, 0);
	if (!init || !init->process || init->exited)
		return request_fail(rq, -ESRCH, "cannot exec in a container that is not running");
	r = process_spec_read(rq, c, &spec);
	if (r < 0)
		return r;
	job = job_new(c, spec, false);
	r = job_start(rq, job);
	if (r < 0) {
		job_free(job);
		return r;
	}
	json_object_set_new(rq->reply, "pid", json_integer(job->pid));
	/* jobs_reap runs later on this thread, so this answer stays behind the reply. */
	if (json_get_bool(rq->body, "wait"))
		job_wait(job, rq->conn, true);
	return 0;
}

static void fill_info(siginfo_t *info, int sig)
{
	memset(info, 0, sizeof(*info));
	info->si_signo = sig;
	info->si_code = SI_USER; /* from outside: pid and uid 0 */
}

static int signal_everyone(struct container *c, int sig, const siginfo_t *info)
{
	int sent = 0;

	for (int pid = 1;; pid++) {
		struct process *p = process_next(c, pid);

		if (!p)
			break;
		pid = p->tgid;
		if (signal_process(p, sig, info) == 0)
			sent++;
		process_put(p);
	}
	return sent ? 0 : -ESRCH;
}

static int signal_job(struct request *rq, struct job *job, int sig, const siginfo_t *info)
{
	if (job->exited)
		return request_fail(rq, -ESRCH, "os: process already finished");
	if (job->process && json_get_bool(rq->body, "group"))
		return signal_pgrp_of(job->process, sig, NULL);
	if (job->process)
		return signal_process(job->process, sig, info);
	/* Created, not started: it has no handlers yet, so it just ends. */
	if (sig)
		control_stop();
	return 0;
}

int op_signal(struct request *rq)
{
	int sig = (int)json_get_int(rq->body, "signal", 0);
	struct container *c;
	struct job *job;
	const siginfo_t *info;
	siginfo_t buf;
	int r;

	if (sig < 0 || sig > 64)
		return request_fail(rq, -EINVAL, "invalid signal %d", sig);
	fill_info(&buf, sig);
	/* From outside, even init cannot refuse these two: send them as the kernel does. */
	info = sig == SIGKILL || sig == SIGSTOP ? NULL : &buf;
	if (json_get_bool(rq->body, "all")) {
		r = find_container(rq, &c);
		return r < 0 ? r : signal_everyone(c, sig, info);
	}
	r = find_job(rq, &job);
	return r < 0 ? r : signal_job(rq, job, sig, info);
}

/* One line for people: what is neither UTF-8 nor printable becomes '?', NULs become blanks. */
static json_t *line(struct text *text)
{
	json_t *o;

	while (text->len && (text->buf[text->len - 1] == '\0' || text->buf[text->len - 1] == '\n'))
		text->len--;
	for (size_t i = 0; i < text->len; i++)
		if (text->buf[i] == '\0')
			text->buf[i] = ' ';
		else if ((unsigned char)text->buf[i] < ' ')
			text->buf[i] = '?';
	o = json_stringn(text->len ? text->buf : "", text->len);
	for (size_t i = 0; !o && i < text->len; i++)
		if (text->buf[i] & 0x80)
			text->buf[i] = '?';
	return o ? o : json_stringn(text->buf, text->len);
}

static int stub_pid(struct task *t)
{
	struct mm *mm = task_get_mm(t);
	int pid = mm ? pf_space_pid(mm->space) : 0;

	if (mm)
		mm_put(mm);
	return pid;
}

static json_t *describe(struct process *p, struct task *t)
{
	const struct proc_subject subject = {
	    .p = p, .t = t, .whole = true, .ns = p->container->pids};
	struct text stat = {0}, command = {0};
	struct cred *cred = task_get_cred(t);
	json_t *o;

	if (proc_show_stat(&subject, &stat) < 0 || proc_show_cmdline(&subject, &command) < 0)
		log_debug("process %d has gone", p->tgid);
	o = json_pack("{si,si,so,so}", "uid", (int)cred->euid, "stub", stub_pid(t), "stat",
		      line(&stat), "command", line(&command));
	cred_put(cred);
	text_fini(&stat);
	text_fini(&command);
	return o;
}

int op_ps(struct request *rq)
{
	json_t *list = json_array();
	struct container *c;
	int r = find_container(rq, &c);

	json_object_set_new(rq->reply, "processes", list);
	if (r < 0)
		return r;
	for (int pid = 1;; pid++) {
		struct process *p = process_next(c, pid);

		if (!p)
			return 0;
		struct task *t = task_find(c->pids, p->tgid);

		pid = p->tgid;
		if (t) {
			json_array_append_new(list, describe(p, t));
			task_put(t);
		}
		process_put(p);
	}
}

int op_resize(struct request *rq)
{
	struct job *job;
	int r = find_job(rq, &job);

	if (r < 0)
		return r;
	if (!job->tty)
		return request_fail(rq, -ENOTTY, "the process has no terminal");
	tty_resize(job->tty, (unsigned short)json_get_int(rq->body, "rows", 0),
		   (unsigned short)json_get_int(rq->body, "cols", 0));
	return 0;
}
