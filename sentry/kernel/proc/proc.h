/*
 * /proc as the tasks of a container see it: the contents, over the mechanism in
 * fs/procfs/. What is shown is always that of the reader's own container, so one
 * superblock would do for all; each mount has its own only for its st_dev.
 *
 * Files of a process are tables of struct proc_entry. A node keeps its process
 * (and thread) alive, not running: everything is looked up anew at each read,
 * and a subject that is gone gives -ESRCH, as on Linux.
 */
#ifndef GARRISON_SENTRY_KERNEL_PROC_PROC_H
#define GARRISON_SENTRY_KERNEL_PROC_PROC_H

#include "common/text.h"
#include "sentry/fs/procfs/pseudofs.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/task.h"

/* Whom a file is about. */
struct proc_subject {
	struct process *p; /* borrowed from the node */
	struct task *t;	   /* owned: the thread, or the process's leader */
	bool whole;	   /* the process, not one thread */
	struct pid_ns *ns; /* whose numbers the mount shows; borrowed */
};

struct proc_entry {
	const char *name;
	uint32_t mode;
	unsigned int flags; /* PROC_* */
	int (*show)(const struct proc_subject *s, struct text *out);
	ssize_t (*write)(const struct proc_subject *s, const char *text, size_t n);
	const struct pseudo_ops *ops; /* NULL: a text file by show and write */
	/* proc_link_ops: what the link leads to, owned */
	int (*target)(const struct proc_subject *s, struct path *out);
};

#define PROC_IN_PROCESS BIT(0) /* listed in /proc/PID */
#define PROC_IN_THREAD BIT(1)  /* listed in /proc/PID/task/TID */
#define PROC_PRIVATE BIT(2)    /* reading needs ptrace_may_access(read) at open */
#define PROC_ANY (PROC_IN_PROCESS | PROC_IN_THREAD)

struct proc_node {
	struct pseudo_inode base;
	struct process *process;	/* owned */
	struct task *task;		/* owned; NULL: the whole process */
	const struct proc_entry *entry; /* NULL: the directory of the process or thread */
	int number;			/* a descriptor, in fd and fdinfo */
};

static inline struct proc_node *proc_node_of(struct pseudo_inode *p)
{
	return container_of(p, struct proc_node, base);
}

/* A node about the same subject as `like`. Owned. */
struct proc_node *proc_node_new(const struct proc_node *like, const struct pseudo_ops *ops,
				uint32_t mode, uint64_t key);
void proc_node_release(struct pseudo_inode *p);
/* Owner and group of a node: the subject's, or root's if it is not to be looked into. */
void proc_node_refresh(struct pseudo_inode *p);
/* -ESRCH if it is gone. End with proc_subject_put. */
int proc_subject_get(const struct proc_node *n, struct proc_subject *out) MUST_CHECK;
void proc_subject_put(struct proc_subject *s);
/* May the calling task look into it? `mode` of ACCESS_*. */
int proc_may_access(const struct proc_subject *s, unsigned int mode) MUST_CHECK;
int proc_node_may_access(struct pseudo_inode *p, unsigned int mode) MUST_CHECK;

/* The table of a directory below a process. */
int proc_table_lookup(struct pseudo_inode *dir, const struct proc_entry *table, const char *name,
		      size_t len, struct pseudo_inode **out);
bool proc_table_emit(struct pseudo_inode *dir, const struct proc_entry *table,
		     struct dirent_sink *sink, off_t first, off_t *pos);

/* /proc/PID and /proc/PID/task/TID. `t` NULL for a process. */
struct pseudo_inode *proc_dir_new(struct superblock *sb, struct process *p, struct task *t);

/* The process that a file on /proc/PID stands for, where it serves as a pidfd: owned, or NULL. */
struct process *proc_dir_process(const struct inode *inode);

/* The pid namespace whose numbers a mount of /proc shows: that of who mounted it, or the
 * container's for what was mounted at its start. */
struct pid_ns *proc_pids(const struct superblock *sb, const struct container *c);

/* The reader's container; NULL at boot. */
struct container *proc_container(void);
/* Clock ticks of 100 Hz. */
static inline uint64_t proc_ticks(uint64_t ns)
{
	return ns / (NSEC_PER_SEC / 100);
}

/* --- contents, by file -------------------------------------------------------------------- */

/* status.c */
int proc_show_stat(const struct proc_subject *s, struct text *out);
int proc_show_statm(const struct proc_subject *s, struct text *out);
int proc_show_status(const struct proc_subject *s, struct text *out);
/* maps.c */
int proc_show_maps(const struct proc_subject *s, struct text *out);
int proc_show_smaps(const struct proc_subject *s, struct text *out);
int proc_show_smaps_rollup(const struct proc_subject *s, struct text *out);
int proc_show_numa_maps(const struct proc_subject *s, struct text *out);
/* memory.c */
int proc_show_cmdline(const struct proc_subject *s, struct text *out);
int proc_show_environ(const struct proc_subject *s, struct text *out);
int proc_show_auxv(const struct proc_subject *s, struct text *out);
extern const struct pseudo_ops proc_mem_ops, proc_pagemap_ops;
/* fd.c */
extern const struct pseudo_ops proc_fd_dir_ops, proc_fdinfo_dir_ops;
/* links.c */
extern const struct pseudo_ops proc_link_ops, proc_ns_dir_ops;
int proc_exe_target(const struct proc_subject *s, struct path *out);
int proc_cwd_target(const struct proc_subject *s, struct path *out);
int proc_root_target(const struct proc_subject *s, struct path *out);
/* attributes.c: small files, many of them writable */
extern const struct proc_entry proc_attr_table[];
int proc_show_limits(const struct proc_subject *s, struct text *out);
int proc_show_io(const struct proc_subject *s, struct text *out);
int proc_show_cgroup(const struct proc_subject *s, struct text *out);
int proc_show_mounts(const struct proc_subject *s, struct text *out);
int proc_show_mountinfo(const struct proc_subject *s, struct text *out);
int proc_show_mountstats(const struct proc_subject *s, struct text *out);
int proc_show_oom_score(const struct proc_subject *s, struct text *out);
int proc_show_oom_score_adj(const struct proc_subject *s, struct text *out);
ssize_t proc_write_oom_score_adj(const struct proc_subject *s, const char *text, size_t n);
int proc_show_oom_adj(const struct proc_subject *s, struct text *out);
int proc_show_comm(const struct proc_subject *s, struct text *out);
ssize_t proc_write_comm(const struct proc_subject *s, const char *text, size_t n);
int proc_show_loginuid(const struct proc_subject *s, struct text *out);
ssize_t proc_write_accepted(const struct proc_subject *s, const char *text, size_t n);
int proc_show_sessionid(const struct proc_subject *s, struct text *out);
int proc_show_wchan(const struct proc_subject *s, struct text *out);
int proc_show_nothing(const struct proc_subject *s, struct text *out);
int proc_show_syscall(const struct proc_subject *s, struct text *out);
int proc_show_schedstat(const struct proc_subject *s, struct text *out);
int proc_show_sched(const struct proc_subject *s, struct text *out);
int proc_show_personality(const struct proc_subject *s, struct text *out);
int proc_show_coredump_filter(const struct proc_subject *s, struct text *out);
int proc_show_timerslack(const struct proc_subject *s, struct text *out);
ssize_t proc_write_timerslack(const struct proc_subject *s, const char *text, size_t n);
int proc_show_autogroup(const struct proc_subject *s, struct text *out);
int proc_show_cpuset(const struct proc_subject *s, struct text *out);
int proc_show_children(const struct proc_subject *s, struct text *out);
/* timens.c */
extern const struct pseudo_ops proc_timens_offsets_ops;
/* idmap.c */
extern const struct pseudo_ops proc_uid_map_ops, proc_gid_map_ops, proc_projid_map_ops,
    proc_setgroups_ops;
/* net.c */
extern const struct pseudo_ops proc_net_dir_ops;
/* system.c, sysctl.c: global tables */
extern const struct pseudo_entry proc_system_table[];
extern const struct pseudo_entry proc_sysctl_table[];

/* At start, single-threaded: registers the file system type. */
void procfs_init(void);

#endif
