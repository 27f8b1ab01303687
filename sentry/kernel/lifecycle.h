/* Birth, exec, run and death of tasks (kernel/clone.c, exec.c, run.c, exit.c). */
#ifndef GARRISON_SENTRY_KERNEL_LIFECYCLE_H
#define GARRISON_SENTRY_KERNEL_LIFECYCLE_H

#include "sentry/kernel/task.h"

struct clone_args_k {
	uint64_t flags; /* CLONE_*, without the exit signal */
	int exit_signal;
	uaddr stack; /* the child's rsp, or NULL */
	uaddr parent_tid, child_tid, pidfd;
	uint64_t tls;
	const int *set_tid; /* numbers wanted, the innermost namespace's first */
	size_t n_set_tid;
};
/* clone(2), clone3(2), fork, vfork: the child's tid or -errno. */
long task_clone(struct task *parent, const struct clone_args_k *args);

/* The first task of a container (its init) or of an exec session. Everything is borrowed. */
struct task_start {
	struct container *container;
	const char *path; /* looked up in PATH of envp by the caller */
	char *const *argv;
	char *const *envp;
	const char *cwd;
	struct cred *cred;
	struct file *stdio[3];	       /* NULL: closed */
	struct tty *tty;	       /* becomes the controlling terminal; may be NULL */
	const struct rlimit64 *limits; /* 16 */
	uint32_t umask;
	int oom_score_adj;
	const struct sock_filter *seccomp; /* the filter that it begins with, or NULL */
	unsigned int seccomp_len;
	bool init; /* the first of a container: as the child of an init without a program */
};
/* Creates the task, loads the image, starts its thread: its process, owned, or -errno. */
int task_start(const struct task_start *start, struct process **out) MUST_CHECK;

/* kernel/init.c: pid 1 without a program: 0 or -errno. */
int init_start(struct container *c, const struct rlimit64 *limits) MUST_CHECK;
/* It goes, if there is one; the others have gone before. */
void init_end(struct container *c);

/* execve(2) of the calling task with strings already in sentry memory. Returns -errno while
 * the old image still stands; once past the point of no return a failure kills the task. */
struct exec_args {
	struct file *file; /* opened for execution; borrowed */
	const char *path;  /* AT_EXECFN */
	char **argv, **envp;
	int argc, envc;
	/* execveat(2) of a descriptor with FD_CLOEXEC: a script could not be opened again. */
	bool path_inaccessible;
	bool by_descriptor; /* execveat(2) with an empty path: the file's own name counts */
};
int task_exec(struct task *t, struct exec_args *args) MUST_CHECK;

/*
 * What execve needs from tasks and signals (kernel/exec_task.c), in the order of the calls.
 * t->pt and t->mm are replaced under t->alloc_lock.
 */
/* Past the point of no return: all other threads are killed and gone; t is the leader, its tid
 * the tgid. -EAGAIN if t itself is being killed. */
int exec_de_thread(struct task *t) MUST_CHECK;
/* While the old mm and pt still stand: robust list, clear_child_tid. */
void exec_mm_release(struct task *t);
/* With the new image in place: sighand unshared, handlers to default (ignored ones stay),
 * altstack off, POSIX timers dropped, exit_signal SIGCHLD, vfork's parent woken. */
void exec_reset(struct task *t);

/* At start: what runs the syscall that a task made and stores its result (sys/). */
void task_set_syscall_handler(void (*handler)(struct task *t));

/* The main loop of a task's host thread; does not return before the task is dead. */
void task_run(struct task *t);

/* How a process ended, for those that nobody waits for (task_start's): false while it lives. */
bool process_exited(struct process *p, int *wait_status);

/* exit(2), exit_group(2). The task's loop ends when the syscall returns. */
void task_exit(struct task *t, int wait_status);
void task_exit_group(struct task *t, int wait_status);
/* SIGKILL to a whole container, and wait until it is empty. */
void container_kill(struct container *c, int sig);

#endif
