/*
 * Making processes and threads: a stub thread is told to clone; the sentry
 * prepares the slot from which the new thread starts, stopped.
 *
 * A child process starts without any stack: its parent's arena is not inherited,
 * so it asks for its own (see entry.S).
 */
#include <errno.h>
#include <limits.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common/host.h"
#include "common/host_stub.h"
#include "sentry/platform/pf.h"

/* The state with which a copy of `from` starts. */
static void inherit(struct pf_thread *to, struct pf_thread *from)
{
	to->regs = from->regs;
	to->dirty = DIRTY_REGS | (from->dirty & DIRTY_BASE);
	to->step = from->step;
	to->frame = from->frame;
	frame_copy(to->mbox, to->stub_mbox, from->mbox, from->stub_mbox, from->frame);
	place_inherit(to, from);
}

/* The same for one that the stub clones: it starts below the frame, where its creator is. */
static void inherit_all(struct pf_thread *to, struct pf_thread *from)
{
	inherit(to, from);
	to->loaded_fs = from->loaded_fs;
	to->loaded_gs = from->loaded_gs;
	to->place.stub_cpu = from->place.stub_cpu;
	to->mbox->uc = to->frame;
}

/* A parked stub thread has the segment bases and the place of its last guest thread. */
static bool reuse(struct pf_thread *parent, struct pf_thread **thread)
{
	struct pf_thread *t = space_unpark(parent->space, parent->frame);

	if (!t)
		return false;
	inherit(t, parent);
	t->loaded_fs = t->loaded_gs = (uint64_t)-1;
	t->dirty |= DIRTY_BASE;
	*thread = t;
	return true;
}

static void start_zeroed(struct pf_thread *t)
{
	t->frame = frame_build(t->mbox, t->stub_mbox);
	t->mbox->uc = t->frame;
	t->regs = (struct user_regs_struct){.eflags = 0x202, .cs = 0x33, .ss = 0x2b};
	t->regs.orig_rax = (unsigned long long)-1;
	/* A child of a stub that ran guest code has that code's bases. */
	t->dirty = DIRTY_REGS | DIRTY_BASE;
	t->loaded_fs = t->loaded_gs = (uint64_t)-1;
}

int spawn_process(struct pf_thread *t, bool fresh, struct pf_space **space,
		  struct pf_thread **thread)
{
	SCOPED_FD int fd = -1;
	struct pf_thread *child;
	struct pf_space *s;
	int r = space_alloc(!t->space->bank, &s, &child, &fd);

	if (r < 0)
		return r;
	if (fresh)
		start_zeroed(child);
	else
		inherit_all(child, t);
	t->mbox->calls[0].arg[0] = child->stub_mbox;
	pthread_mutex_lock(&t->space->fd_lock);
	r = ask_fork(t, s, fd);
	pthread_mutex_unlock(&t->space->fd_lock);
	if (r < 0) {
		space_discard(child);
		return r;
	}
	child->tid = s->pid;
	arena_keep_fd(child->arena, &fd);
	*space = s;
	*thread = child;
	return 0;
}

int pf_space_fork(struct pf_thread *parent, struct pf_space **space, struct pf_thread **thread)
{
	int r = pf.ops->sync_frame(parent);

	return r < 0 ? r : spawn_process(parent, false, space, thread);
}

/* Room for more threads: a further arena, mapped by the stub. */
static int grow(struct pf_thread *t)
{
	SCOPED_FD int fd = -1;
	struct arena *a;
	struct stub_call *c;
	int r = space_arena_new(t->space, &a, &fd);

	if (r < 0)
		return r;
	call_prepare(t, 0, STUB_ASK)->arg[0] = ASK_FD;
	c = call_prepare(t, 1, __NR_mmap);
	c->arg[0] = a->stub_base;
	c->arg[1] = ARENA_SIZE;
	c->arg[2] = PROT_READ | PROT_WRITE;
	c->arg[3] = MAP_SHARED | MAP_FIXED;
	c->arg[4] = STUB_FD;
	c = call_prepare(t, 2, __NR_madvise);
	c->arg[0] = a->stub_base;
	c->arg[1] = ARENA_SIZE;
	c->arg[2] = MADV_DONTFORK;
	call_prepare(t, 3, __NR_close)->arg[0] = STUB_FD;
	r = call_run_fds(t, 4, &fd, 1);
	if (r < 0)
		arena_free(a);
	else
		space_arena_add(t->space, a);
	return r;
}

/* The new thread's id, or why there is none: as the stub says. */
static int thread_result(struct pf_thread *parent)
{
	int64_t tid = __atomic_load_n(&parent->mbox->calls[0].result, __ATOMIC_RELAXED);

	if (tid < 0 && tid >= -4095)
		return (int)tid;
	if (tid <= 0 || tid > INT_MAX || host_tgkill(parent->space->pid, (pid_t)tid, 0) < 0)
		return -EAGAIN;
	return (int)tid;
}

int pf_thread_new(struct pf_thread *parent, struct pf_thread **thread)
{
	struct pf_thread *t;
	int r = pf.ops->sync_frame(parent);

	if (r == 0 && reuse(parent, thread))
		return 0;
	if (r == 0)
		r = space_slot_new(parent->space, &t);
	if (r == -EAGAIN) {
		r = grow(parent);
		if (r == 0)
			r = space_slot_new(parent->space, &t);
	}
	if (r < 0)
		return r;
	inherit_all(t, parent);
	parent->mbox->calls[0].arg[0] = t->stub_mbox;
	r = pf.ops->post(parent, CMD_THREAD);
	if (r == 0)
		r = pf.ops->finish(parent);
	if (r == 0)
		r = thread_result(parent);
	if (r < 0) {
		space_thread_free(t);
		return r;
	}
	t->tid = r;
	*thread = t;
	return 0;
}
