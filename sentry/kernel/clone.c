/*
 * clone(2) and its kin.
 *
 * fork: the host copies the stub (pf_space_fork) under the mm's lock, so that
 * the VMA tree and the memory agree. A thread, and vfork's child too, is a
 * further host thread in the same stub (pf_thread_new); vfork's child gets a
 * process of its own and leaves the stub when it execs.
 *
 * The child's host thread is reserved early. So whatever fails later (no
 * descriptor for the pidfd, a signal that came) has one way back: the gate opens with
 * GATE_ABORT, and the child's own thread undoes what only it may undo.
 */
#include <errno.h>
#include <sched.h>

#include "common/mem.h"
#include "sentry/abi/restart.h"
#include "sentry/core/account.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/pidfd.h"
#include "sentry/kernel/ptrace.h"
#include "sentry/kernel/seccomp.h"
#include "sentry/kernel/session.h"
#include "sentry/kernel/usermem.h"

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ULL
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ULL
#endif

struct vfork_wait {
	struct refcount ref;
	atomic_bool done;
	struct task *parent; /* owned */
};

static void vfork_wait_put(struct vfork_wait *w)
{
	if (!ref_put(&w->ref))
		return;
	task_put(w->parent);
	free(w);
}

void vfork_release(struct task *t)
{
	struct vfork_wait *w = t->vfork;

	if (!w)
		return;
	t->vfork = NULL;
	atomic_store(&w->done, true);
	task_kick(w->parent);
	vfork_wait_put(w);
}

static struct vfork_wait *vfork_prepare(struct task *parent, struct task *child)
{
	struct vfork_wait *w = NEW(struct vfork_wait);

	ref_init(&w->ref);
	ref_get(&w->ref);
	w->parent = task_get(parent);
	child->vfork = w;
	return w;
}

/* --- checks -------------------------------------------------------------------------------------- */

static bool all_of(uint64_t flags, uint64_t bits)
{
	return (flags & bits) == bits;
}

/* Every level that a number is chosen for must be the caller's to choose in. */
static int check_set_tid(const struct pid_ns *ns, const struct cred *c,
			 const struct clone_args_k *a)
{
	if (a->n_set_tid > (size_t)ns->level + 1)
		return -EINVAL;
	for (size_t i = 0; i < a->n_set_tid; i++, ns = ns->parent)
		if (!cred_ns_capable(c, ns->ns.owner, CAP_SYS_ADMIN) &&
		    !cred_ns_capable(c, ns->ns.owner, CAP_CHECKPOINT_RESTORE))
			return -EPERM;
	return 0;
}

/* What is meant for children is not for threads, nor for who shares the memory for good. */
static int check_sharing(struct task *t, uint64_t flags)
{
	if ((flags & CLONE_THREAD) && t->pids_for_children != task_pids(t))
		return -EINVAL;
	if ((flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM &&
	    t->ns->time != t->ns->time_for_children)
		return -EINVAL;
	return all_of(flags, CLONE_NEWIPC | CLONE_SYSVSEM) ? -EINVAL : 0;
}

static int check_flags(struct task *t, const struct clone_args_k *a)
{
	uint64_t f = a->flags;

	if (all_of(f, CLONE_NEWNS | CLONE_FS) || all_of(f, CLONE_NEWUSER | CLONE_FS))
		return -EINVAL;
	if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
		return -EINVAL;
	if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
		return -EINVAL;
	if ((f & CLONE_THREAD) && (f & (CLONE_NEWUSER | CLONE_NEWPID)))
		return -EINVAL;
	if ((f & CLONE_PARENT) && (t->process->unkillable || !t->process->parent))
		return -EINVAL;
	if (all_of(f, CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if (f & CLONE_INTO_CGROUP)
		return -EOPNOTSUPP;
	if (a->exit_signal < 0 || a->exit_signal > KNSIG)
		return -EINVAL;
	return check_sharing(t, f);
}

static bool same_user(struct task *t, uint32_t uid)
{
	struct cred *c = task_get_cred(t);
	bool same = c->uid == uid;

	cred_put(c);
	return same;
}

/* What the sentry can hold; and RLIMIT_NPROC, which counts the tasks of the real user. */
static int check_nproc(struct task *t)
{
	uint64_t limit = task_rlimit(t, RLIMIT_NPROC), n = 0;
	struct pid_ns *pids = t->container->pids;

	if (account_task_admit() < 0)
		return -EAGAIN;
	if (limit == RLIM_INFINITY || limit >= PID_MAX || t->cred->uid == 0 ||
	    task_capable(t, CAP_SYS_RESOURCE) || task_capable(t, CAP_SYS_ADMIN))
		return 0;
	SCOPED_LOCK(&tasklist);
	for (struct pid *p = pid_next(pids, 1); p; p = pid_next(pids, p->nr + 1))
		n += p->task && same_user(p->task, t->cred->uid);
	return n >= limit ? -EAGAIN : 0;
}

/* --- the child's parts ----------------------------------------------------------------------------- */

static void clear_handlers(struct sighand *sh)
{
	for (int i = 0; i < KNSIG; i++)
		if (sh->action[i].handler != KSIG_IGN)
			sh->action[i] = (struct ksigaction){0};
}

static struct process *child_process(struct task *parent, struct pid_ns *pids,
				     const struct clone_args_k *a)
{
	struct process *p, *old = parent->process;
	struct sighand *sh = old->sighand;

	if (a->flags & CLONE_THREAD)
		return process_get(old);
	if (a->flags & CLONE_SIGHAND)
		ref_get(&sh->ref);
	else
		sh = sighand_dup(sh);
	if (a->flags & CLONE_CLEAR_SIGHAND)
		clear_handlers(sh);
	p = process_new(old->container, sh);
	mutex_lock(&old->limit_lock);
	memcpy(p->limits, old->limits, sizeof(p->limits));
	mutex_unlock(&old->limit_lock);
	p->oom_score_adj = old->oom_score_adj;
	p->exit_signal = a->flags & CLONE_PARENT ? old->exit_signal : a->exit_signal;
	p->pids = pid_ns_get(pids);
	return p;
}

static void copy_scheduling(struct task *t, const struct task *parent)
{
	t->nice = parent->nice;
	t->sched_policy = parent->sched_policy & ~SCHED_RESET_ON_FORK;
	t->sched_priority = parent->sched_priority;
	if (parent->sched_policy & SCHED_RESET_ON_FORK) {
		t->nice = max(t->nice, 0);
		if (t->sched_policy == SCHED_FIFO || t->sched_policy == SCHED_RR) {
			t->sched_policy = SCHED_OTHER;
			t->sched_priority = 0;
			t->nice = 0;
		}
	}
	memcpy(t->affinity, parent->affinity, sizeof(t->affinity));
	t->timer_slack = parent->timer_slack;
	t->io_prio = parent->io_prio;
	t->mempolicy = parent->mempolicy;
	t->mempolicy_nodes = parent->mempolicy_nodes;
}

static struct task *child_task(struct task *parent, struct process *p, const struct clone_args_k *a)
{
	struct task *t = task_new(p);
	struct task_birth *b = NEW(struct task_birth);

	memcpy(t->comm, parent->comm, sizeof(t->comm));
	t->blocked = parent->restore_blocked ? parent->saved_blocked : parent->blocked;
	if (!(a->flags & CLONE_VM) || (a->flags & CLONE_VFORK))
		t->altstack = parent->altstack;
	else
		t->altstack.flags = 2; /* SS_DISABLE */
	t->personality = parent->personality;
	copy_scheduling(t, parent);
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = a->child_tid;
	b->from_clone = true;
	b->stack = a->stack;
	b->set_tls = a->flags & CLONE_SETTLS;
	b->tls = a->tls;
	b->set_child_tid = a->flags & CLONE_CHILD_SETTID;
	b->child_tid = a->child_tid;
	t->birth = b;
	return t;
}

static int copy_fs(struct task *t, struct task *parent, uint64_t flags)
{
	if (flags & CLONE_FS) {
		t->fs = fs_context_get(parent->fs);
		return 0;
	}
	t->fs = fs_context_dup(parent->fs);
	return flags & CLONE_NEWNS ? mount_ns_unshare(t->fs, t->cred->user_ns) : 0;
}

static int copy_memory(struct task *t, struct task *parent, uint64_t flags)
{
	struct pf_space *space;
	int r;

	if (flags & CLONE_VM) {
		r = pf_thread_new(parent->pt, &t->pt);
		if (r == 0)
			t->mm = mm_get(parent->mm);
		return r;
	}
	mutex_lock(&parent->mm->lock);
	r = pf_space_fork(parent->pt, &space, &t->pt);
	if (r == 0)
		t->mm = mm_fork_locked(parent->mm, space);
	mutex_unlock(&parent->mm->lock);
	return r;
}

/* What can be given back on any thread; pt and mm come last for that reason. */
static void drop_parts(struct task *t)
{
	if (t->files)
		fdtable_put(t->files);
	if (t->fs)
		fs_context_put(t->fs);
	if (t->mm)
		mm_put(t->mm);
	nsproxy_put(t->ns);
	pid_ns_put(t->pids_for_children);
	t->ns = NULL;
	t->pids_for_children = NULL;
	t->files = NULL;
	t->fs = NULL;
	t->mm = NULL;
}

/* The end of a child that was not let through its gate; on its own thread. */
void task_abort(struct task *t)
{
	vfork_release(t);
	if (t->pt)
		pf_thread_exit(t->pt);
	t->pt = NULL;
	task_leave_thread(t);
	drop_parts(t);
}

static int copy_parts(struct task *t, struct task *parent, uint64_t flags)
{
	int r = copy_fs(t, parent, flags);

	if (r < 0)
		return r;
	t->files = flags & CLONE_FILES ? fdtable_get(parent->files) : fdtable_dup(parent->files);
	if (!t->files)
		return -ENOMEM;
	return copy_memory(t, parent, flags);
}

/* --- into the tree ------------------------------------------------------------------------------------ */

struct pid *pid_reserve(struct pid_ns *ns, const int *set_tid, size_t n, int *err)
{
	SCOPED_LOCK(&tasklist);
	return pid_alloc(ns, set_tid, n, err);
}

void pid_unreserve(struct pid *pid)
{
	SCOPED_LOCK(&tasklist);
	pid_release(pid);
}

void process_add_thread_locked(struct process *p, struct task *t, struct pid *pid)
{
	pid->task = t;
	list_add_tail(&p->threads, &t->thread_node);
	task_get(t);
	p->nthreads++;
	p->live_threads++;
	if (p->leader)
		return;
	p->leader = t;
	pid->process = process_get(p);
}

void process_link_locked(struct process *p, struct process *parent, uint64_t parent_serial)
{
	p->parent = parent;
	p->parent_serial = parent_serial;
	atomic_store(&p->ppid, parent->tgid);
	list_add_tail(&parent->children, &p->sibling);
}

/* A signal that came since clone began is handled first: a group that is being signalled must not
 * lose a newborn member. Both locks held. */
static bool overtaken(struct task *parent)
{
	return task_killed(parent) || (signal_recalc_locked(parent) &&
				       (atomic_load(&parent->work) & (WORK_SIGNAL | WORK_STOP)));
}

static int ptrace_event_of(const struct clone_args_k *a)
{
	if (a->flags & CLONE_VFORK)
		return PTRACE_EVENT_VFORK;
	return a->exit_signal == SIGCHLD && !(a->flags & CLONE_THREAD) ? PTRACE_EVENT_FORK
								       : PTRACE_EVENT_CLONE;
}

static int publish(struct task *parent, struct task *t, struct pid *pid,
		   const struct clone_args_k *a)
{
	struct process *p = t->process, *old = parent->process;
	bool stop;

	SCOPED_LOCK(&tasklist);
	if (p->pids->over)
		return -ENOMEM;
	mutex_lock(&old->sighand->lock);
	stop = overtaken(parent);
	if (!stop)
		seccomp_inherit(t, parent);
	if (!stop && (a->flags & CLONE_THREAD)) {
		process_add_thread_locked(p, t, pid);
		ptrace_clone_locked(parent, t, ptrace_event_of(a));
	}
	mutex_unlock(&old->sighand->lock);
	if (stop)
		return -ERESTARTNOINTR;
	if (a->flags & CLONE_THREAD)
		return 0;
	mutex_lock(&p->sighand->lock);
	process_add_thread_locked(p, t, pid);
	ptrace_clone_locked(parent, t, ptrace_event_of(a));
	mutex_unlock(&p->sighand->lock);
	if (a->flags & CLONE_PARENT)
		process_link_locked(p, old->parent, old->parent_serial);
	else
		process_link_locked(p, old, parent->serial);
	process_join_pgrp_locked(p, old->pgrp);
	if (!p->pids->init) {
		p->pids->init = p;
		p->unkillable = true;
	}
	return 0;
}

/* The pidfd, installed; -1: none wanted. */
static int make_pidfd(struct task *parent, struct task *t, const struct clone_args_k *a)
{
	struct file *f;
	int r, fd;

	if (!(a->flags & CLONE_PIDFD))
		return -1;
	r = pidfd_new(parent, t, !!(a->flags & CLONE_THREAD), 0, &f);
	if (r < 0)
		return r;
	fd = fd_install(parent->files, f, 0, task_rlimit(parent, RLIMIT_NOFILE), true);
	if (fd < 0) {
		file_put(f);
		return fd == -1 ? -EMFILE : fd;
	}
	r = copyout(parent, a->pidfd, &fd, sizeof(fd));
	if (r < 0)
		fd_close(parent->files, fd);
	return r < 0 ? r : fd;
}

static long wait_vfork(struct task *parent, struct vfork_wait *w, int tid, int root_tid)
{
	while (!atomic_load(&w->done))
		if (task_sleep_killable(parent, SLEEP_FOREVER) < 0)
			break;
	vfork_wait_put(w);
	ptrace_event_task(parent, PTRACE_EVENT_VFORK_DONE, root_tid);
	return tid;
}

/* From here on the child's thread exists and waits for its task. */
static long finish_clone(struct task *parent, struct task *t, struct pid *pid,
			 const struct clone_args_k *a)
{
	struct vfork_wait *vfork = NULL;
	int tid = pid_nr_in(pid, task_pids(parent)), root_tid = pid->nr, pidfd = -1, r = 0;

	if (a->flags & CLONE_PIDFD) {
		pidfd = make_pidfd(parent, t, a);
		r = min(pidfd, 0);
	}
	if (r == 0)
		r = publish(parent, t, pid, a);
	if (r < 0) {
		if (pidfd >= 0)
			fd_close(parent->files, pidfd);
		task_open_gate(t, GATE_ABORT);
		pid_unreserve(pid);
		return r;
	}
	if (a->flags & CLONE_PARENT_SETTID)
		(void)!copyout(parent, a->parent_tid, &tid, sizeof(tid));
	if (a->flags & CLONE_VFORK)
		vfork = vfork_prepare(parent, t);
	task_open_gate(t, GATE_GO);
	ptrace_event_task(parent, ptrace_event_of(a), root_tid);
	return vfork ? wait_vfork(parent, vfork, tid, root_tid) : tid;
}

/* Without a host thread there is nobody who may end t->pt but us, who made it. */
static void undo_without_thread(struct task *t)
{
	if (t->pt) {
		pf_thread_attach(t->pt);
		pf_thread_exit(t->pt);
		t->pt = NULL;
	}
	free(t->birth);
	t->birth = NULL;
	drop_parts(t);
}

/* The namespaces that a child begins in, before it has anything else. */
struct child_ns {
	struct cred *cred;
	struct nsproxy *set;
	struct pid_ns *pids;
};

static void child_ns_put(struct child_ns *n)
{
	cred_put(n->cred);
	nsproxy_put(n->set);
	pid_ns_put(n->pids);
}

static int child_ns_init(struct child_ns *n, struct task *parent, uint64_t flags)
{
	int r = cred_for_namespaces(parent, flags, &n->cred);

	n->set = NULL;
	n->pids = NULL;
	if (r == 0)
		r = namespaces_unshare(parent, flags, n->cred, &n->set, &n->pids);
	if (r == 0 && (flags & (CLONE_VM | CLONE_VFORK)) != CLONE_VM) {
		struct nsproxy *entered = nsproxy_for_child(n->set);

		nsproxy_put(n->set);
		n->set = entered;
	}
	if (r < 0)
		child_ns_put(n);
	return r;
}

/* The child with all its parts but a place in the tree; takes what n holds. */
static int make_child(struct task *parent, const struct clone_args_k *a, struct child_ns *n,
		      struct pid *pid, struct task **out)
{
	struct process *p = child_process(parent, n->pids, a);
	struct task *t = child_task(parent, p, a);
	int r;

	t->cred = n->cred;
	t->ns = n->set;
	t->pids_for_children = n->pids;
	t->tid = pid->nr;
	t->own_tid = pid_nr_in(pid, p->pids);
	if (!(a->flags & CLONE_THREAD)) {
		p->tgid = t->tid;
		p->own_tgid = t->own_tid;
	}
	process_put(p); /* t holds it */
	*out = t;
	r = copy_parts(t, parent, a->flags);
	return r < 0 ? r : task_thread_reserve(t);
}

static long clone_with(struct task *parent, const struct clone_args_k *a, struct child_ns *n)
{
	struct task *t;
	struct pid *pid;
	long r;
	int err;

	pid = pid_reserve(n->pids, a->set_tid, a->n_set_tid, &err);
	if (!pid) {
		child_ns_put(n);
		return err;
	}
	r = make_child(parent, a, n, pid, &t);
	if (r < 0) {
		pid_unreserve(pid);
		undo_without_thread(t);
	} else {
		task_get(t); /* the child's own */
		r = finish_clone(parent, t, pid, a);
	}
	task_put(t);
	return r;
}

long task_clone(struct task *parent, const struct clone_args_k *a)
{
	struct child_ns n;
	int err;

	err = check_flags(parent, a);
	if (err < 0)
		return err;
	if (task_interrupted(parent))
		return -ERESTARTNOINTR;
	err = check_nproc(parent);
	if (err == 0)
		err = child_ns_init(&n, parent, a->flags);
	if (err < 0)
		return err;
	if (a->n_set_tid && (err = check_set_tid(n.pids, n.cred, a)) < 0) {
		child_ns_put(&n);
		return err;
	}
	return clone_with(parent, a, &n);
}
