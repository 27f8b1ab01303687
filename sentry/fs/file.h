/*
 * Open files (Linux: struct file, an "open file description").
 *
 * File operations work on sentry memory, never on guest memory, and never
 * block: they return -EAGAIN, and the one blocking loop in sys/io_wait.c waits
 * on file->wq and tries again. So O_NONBLOCK, signals, timeouts, poll and epoll
 * behave alike for every kind of file. (Waiting for the gofer's answer is not
 * blocking in this sense.)
 *
 * Locking: ops are called without any lock, except that read/write with
 * pos == &file->pos run under file->pos_lock for files that have a position.
 */
#ifndef GARRISON_SENTRY_FS_FILE_H
#define GARRISON_SENTRY_FS_FILE_H

#include <fcntl.h>
#include <stdatomic.h>
#include <poll.h>

#include "common/refcount.h"
#include "sentry/abi/uaddr.h"
#include "sentry/core/cred.h"
#include "sentry/core/guest_access.h"
#include "sentry/core/waitq.h"
#include "sentry/fs/path.h"
#include "sentry/locks.h"

struct account;
struct inode;
struct file;
struct kstat;
struct dirent_sink;

/* The guest's own bits for open(2): glibc says O_LARGEFILE is 0, the kernel does not. */
#define KO_LARGEFILE 0100000
#define KO_TMPFILE (020000000 | O_DIRECTORY)

/* What a file can do beside its ops (file.caps). */
#define FILE_CAN_SEEK BIT(0)	  /* has a position; pread and pwrite allowed */
#define FILE_RAW_WINDOW BIT(1)	  /* ops may be given memory that the guest can change */
#define FILE_STREAM_CHUNKS BIT(2) /* a long transfer may be cut into several op calls */
#define FILE_IS_PATH BIT(3)	  /* opened with O_PATH: no I/O */
#define FILE_EMPTY_WRITE BIT(4)	  /* a write of no bytes means something: a datagram */

/* Where a file's pages come from, for mmap(2): a host fd of the sentry. */
struct file_mapping {
	int fd; /* borrowed; valid while the file is referenced */
	uint64_t offset;
	int max_prot;	       /* PROT_* bits that a shared mapping may have */
	bool anonymous_shared; /* no fd: make a memfd for it (/dev/zero, MAP_SHARED) */
};

/*
 * read and write advance *pos by what they transfer (files without a position get a dummy).
 * With O_APPEND in f->flags, write itself takes the end of file for *pos, under data_lock.
 */
struct file_ops {
	/* Bytes transferred, 0 at the end of file, or -errno. n > 0. */
	ssize_t (*read)(struct file *f, void *buf, size_t n, off_t *pos);
	ssize_t (*write)(struct file *f, const void *buf, size_t n, off_t *pos);
	/* New position or -errno; NULL: the generic one over the inode's size. */
	off_t (*seek)(struct file *f, off_t offset, int whence);
	/* The POLL* bits that hold now; NULL: always POLLIN|POLLOUT. */
	uint32_t (*poll)(struct file *f);
	/* Emits entries from f->pos on (see dirent.h); directories only. */
	int (*readdir)(struct file *f, struct dirent_sink *sink);
	/* `caller` gives the caller's memory; ttys, which live in kernel/, get its task from it.
	 * FIOCLEX, FIONBIO and the like are done before. NULL: -ENOTTY. */
	long (*ioctl)(struct file *f, unsigned int cmd, uint64_t arg, struct guest_access *caller);
	/* NULL: -ENODEV. */
	int (*mmap)(struct file *f, uint64_t offset, uint64_t len, int prot, int flags,
		    struct file_mapping *out);
	int (*fsync)(struct file *f, bool datasync);			     /* NULL: 0 */
	int (*fallocate)(struct file *f, int mode, off_t offset, off_t len); /* NULL: -EOPNOTSUPP */
	/* Each close of a descriptor (locks, inotify); may be NULL. */
	void (*flush)(struct file *f);
	/* The last reference went: free the object that embeds f. */
	void (*release)(struct file *f);
};

struct file {
	struct refcount ref;
	const struct file_ops *ops; /* immutable */
	struct path path;	    /* immutable; both NULL for files without a name */
	struct inode *inode;	    /* immutable; owned; never NULL (anonymous files have one) */
	struct cred *cred;	    /* immutable; the opener's */
	struct account *payer;	    /* immutable; who made it (core/account.h) */
	uint32_t caps;		    /* immutable; FILE_* */
	atomic_int flags;	    /* O_* status flags and access mode, without O_CLOEXEC */
	struct waitq *wq;	    /* immutable; NULL: always ready */
	struct mutex pos_lock;
	off_t pos; /* guarded by pos_lock */

	/* SO_RCVTIMEO, SO_SNDTIMEO in ns, 0 none: how long read(2) and write(2) may block */
	atomic_uint_fast64_t read_timeout, write_timeout;

	/* fcntl(F_SETOWN, F_SETSIG): who gets SIGIO; 0 nobody. */
	atomic_int owner;      /* pid > 0, -pgrp < 0 */
	atomic_int owner_type; /* F_OWNER_* */
	atomic_int owner_sig;
	struct list epoll_items; /* guarded by epoll's lock: watches to drop at release */
	bool counts_writer;	 /* own to vfs_open: inode and mount count it as a writer */
	atomic_bool has_flock;	 /* may hold flock or OFD locks */
};

/* What an open file, with an inode of its own, is charged as. */
#define FILE_WEIGHT 1024

/* Initialises the embedded base with one reference, and charges it to the calling thread's payer. Takes a reference on inode and cred
 * and on both halves of path (which may be NULL). */
void file_init(struct file *f, const struct file_ops *ops, struct inode *inode,
	       const struct path *path, const struct cred *cred, int flags);
struct file *file_get(struct file *f);
void file_put(struct file *f);
/* Undoes file_init; for release ops, before they free. */
void file_fini(struct file *f);

static inline bool file_readable(const struct file *f)
{
	return (atomic_load(&((struct file *)f)->flags) & O_ACCMODE) != O_WRONLY;
}
static inline bool file_writable(const struct file *f)
{
	return (atomic_load(&((struct file *)f)->flags) & O_ACCMODE) != O_RDONLY;
}

/* The O_* bits that F_GETFL shows and that a file keeps. */
#define FILE_KEEP_FLAGS (~(O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_CLOEXEC))

/* Checked entry points (fs/file.c): mode bits, position, sizes, RLIMIT_FSIZE excluded.
 * pos == NULL uses and moves f->pos. -EAGAIN where the file would block. */
ssize_t file_read(struct file *f, void *buf, size_t n, off_t *pos) MUST_CHECK;
ssize_t file_write(struct file *f, const void *buf, size_t n, off_t *pos) MUST_CHECK;
off_t file_seek(struct file *f, off_t offset, int whence) MUST_CHECK;
uint32_t file_poll(struct file *f);
/* lseek over the inode's size (for seek ops that only differ in SEEK_DATA and SEEK_HOLE, which
 * here treat the whole file as data). Under pos_lock. */
off_t file_seek_generic(struct file *f, off_t offset, int whence);
/* Moves f->pos to an absolute position, as the generic seek does. */
off_t file_set_pos(struct file *f, off_t pos);

/* /proc/PID/fdinfo lines of a kind of file beyond pos, flags, mnt_id and ino: epoll,
 * eventfd, timerfd, ... register themselves by ops (fs/fdinfo.h). */

#endif
