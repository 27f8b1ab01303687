/*
 * execve(2): a task takes over a loaded program.
 *
 * The new image is complete in a fresh space before the old one is touched, so
 * the only failures past the point of no return are those of a task that is
 * being killed anyway. vfork's parent and CLONE_VM relatives keep the old mm.
 */
#include <errno.h>
#include <sys/personality.h>

#include "sentry/fs/fdtable.h"
#include "sentry/kernel/exec.h"
#include "sentry/kernel/ptrace.h"

/* Could another process still change our root directory once we have gained something by exec?
 * (LSM_UNSAFE_SHARE.) A passing reference may make it look so: that errs on the safe side. */
static bool fs_shared_outside(struct task *t)
{
	return ref_read(&t->fs->ref) > (unsigned int)t->process->nthreads;
}

static int load_for(struct task *t, struct exec_args *args, struct exec_image *out)
{
	struct walk_env env;
	struct task_walk walk;
	struct exec_request req = {.zygote = t->container->zygote,
				   .env = &env,
				   .cred = t->cred,
				   .args = args,
				   .personality = t->personality,
				   .traced = ptrace_is_traced(t) || fs_shared_outside(t)};
	int r;

	task_mm_limits(t, &req.limits);
	task_walk_begin(t, &walk, &env);
	r = exec_load(&req, out);
	task_walk_end(&walk);
	return r;
}

/* The task runs in the new image from now on. Takes image's pt and mm. */
static void switch_image(struct task *t, struct exec_image *image)
{
	struct pf_thread *old_pt;
	struct mm *old_mm;

	mutex_lock(&t->alloc_lock);
	old_pt = t->pt;
	old_mm = t->mm;
	t->pt = image->pt;
	t->mm = image->mm;
	mutex_unlock(&t->alloc_lock);
	image->pt = NULL;
	image->mm = NULL;
	pf_thread_exit(old_pt);
	mm_put(old_mm);
}

/* Descriptors are the task's own from now on, less those that close on exec. */
static void take_files(struct task *t)
{
	struct fdtable *old = t->files, *files = fdtable_is_shared(old) ? fdtable_dup(old) : NULL;

	/* The old image is gone: there is no way back. */
	if (!files && fdtable_is_shared(old))
		task_exit_group(t, SIGKILL);
	if (files) {
		mutex_lock(&t->alloc_lock);
		t->files = files;
		mutex_unlock(&t->alloc_lock);
		fdtable_put(old);
	}
	fdtable_exec(t->files);
}

static void limit_stack(struct process *p)
{
	mutex_lock(&p->limit_lock);
	if (p->limits[RLIMIT_STACK].rlim_cur > 8 << 20)
		p->limits[RLIMIT_STACK].rlim_cur = 8 << 20;
	mutex_unlock(&p->limit_lock);
}

static void take_creds(struct task *t, struct exec_image *image)
{
	const struct cred *old = t->cred, *new = image->cred;

	if (image->secure || new->euid != old->euid || new->egid != old->egid ||
	    (new->permitted & ~old->permitted))
		t->pdeath_signal = 0;
	if (image->secure)
		limit_stack(t->process);
	task_set_cred(t, image->cred);
	image->cred = NULL;
	t->personality = image->personality;
}

int task_exec(struct task *t, struct exec_args *args)
{
	struct exec_image image = {.pt = NULL};
	int r = load_for(t, args, &image);

	if (r == 0)
		r = exec_de_thread(t);
	if (r < 0) {
		exec_image_fini(&image);
		return r;
	}
	exec_mm_release(t);
	switch_image(t, &image);
	take_files(t);
	take_creds(t, &image);
	task_set_comm(t, image.comm);
	exec_reset(t);
	return 0;
}
