/*
 * Pseudo file systems: directories and files that are made up when somebody
 * looks (/proc, /sys). This is the mechanism; it knows no tasks. A kind of node
 * is a const struct pseudo_ops; a node embeds struct pseudo_inode.
 *
 * A file's text is made by `show` when it is read at position 0 (or first read)
 * and kept in the open file until it is read at 0 again, so a reader sees one
 * consistent snapshot however small its buffer is, and lseek(0) refreshes.
 *
 * lookup runs under the directory's dir_lock: it must not take RANK_MM. show, write,
 * open, iterate, follow and readlink are called under no lock but file.pos_lock.
 */
#ifndef GARRISON_SENTRY_FS_PROCFS_PSEUDOFS_H
#define GARRISON_SENTRY_FS_PROCFS_PSEUDOFS_H

#include <dirent.h>

#include "common/text.h"
#include "sentry/fs/dirent.h"
#include "sentry/fs/file.h"
#include "sentry/fs/inode.h"

struct mount_ns;
struct pseudo_inode;

struct pseudo_ops {
	/* Regular files. show: 0 or -errno. write: the bytes of one write(2), NUL-terminated;
	 * bytes taken or -errno; NULL: -EIO, as for a file that cannot be written. */
	int (*show)(struct pseudo_inode *p, struct text *out);
	ssize_t (*write)(struct pseudo_inode *p, const char *text, size_t n);
	/* Texts about the mounts of a namespace (given owned; NULL: there is none): poll tells each
	 * open file once of a change. */
	struct mount_ns *(*mounts)(struct pseudo_inode *p);
	/* Files that are not text (/proc/PID/mem): instead of show and write. */
	const struct file_ops *file_ops;
	/* May this be opened? By the calling task. NULL: yes, if its mode allows. */
	int (*open)(struct pseudo_inode *p, const struct cred *cred, int flags);

	/* Directories. lookup: -ENOENT or an owned node. iterate: emits entries whose cookie is
	 * > *pos (2 or more; "." and ".." are done); *pos moves over what was taken. */
	int (*lookup)(struct pseudo_inode *dir, const char *name, size_t len,
		      struct pseudo_inode **out);
	int (*iterate)(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos);

	/* Links: readlink's text, and where a magic link jumps to (NULL: by the text). */
	ssize_t (*readlink)(struct pseudo_inode *p, struct guest_access *caller, char *buf,
			    size_t size);
	int (*follow)(struct pseudo_inode *p, struct guest_access *caller, struct path *out);

	/* As sb_ops.grants. NULL: no. */
	bool (*grants)(struct pseudo_inode *p, int mask);
	/* Brings uid, gid, mode, size of the base up to date; NULL: they stand. */
	void (*refresh)(struct pseudo_inode *p);
	/* Frees the object that embeds p (after inode_fini); NULL: free(p), which must then be its
	 * first member. */
	void (*release)(struct pseudo_inode *p);
};

struct pseudo_inode {
	struct inode inode;
	const struct pseudo_ops *ops; /* immutable */
};

/* mode with S_IFMT, which chooses between file, directory and link. */
void pseudo_inode_init(struct pseudo_inode *p, struct superblock *sb, const struct pseudo_ops *ops,
		       uint64_t ino, uint32_t mode);

static inline struct pseudo_inode *pseudo_inode_of(struct inode *inode)
{
	return container_of(inode, struct pseudo_inode, inode);
}

/* The release op of the files of such inodes, for file_ops of one's own. */
void pseudo_file_release(struct file *f);

/* --- fixed trees ------------------------------------------------------------------------ */

/*
 * A directory whose entries stand in a const table.
 */
struct pseudo_entry {
	const char *name;
	uint32_t mode;
	const struct pseudo_ops *ops;
	const struct pseudo_entry *children; /* directories: ends with name NULL */
	/* Plain text files, whose ops are NULL. */
	int (*show)(struct superblock *sb, struct text *out);
	ssize_t (*write)(struct superblock *sb, const char *text, size_t n);
	const char *text;   /* a file that always says this */
	const char *target; /* links with a fixed target */
};

struct pseudo_entry_inode {
	struct pseudo_inode base;
	const struct pseudo_entry *entry;
};

/* A node for an entry; directories and links need no ops of their own. */
struct pseudo_inode *pseudo_entry_new(struct superblock *sb, const struct pseudo_entry *entry,
				      uint64_t ino);
static inline const struct pseudo_entry *pseudo_entry_of(struct pseudo_inode *p)
{
	return container_of(p, struct pseudo_entry_inode, base)->entry;
}
/* For directories that mix a table with names of their own. */
const struct pseudo_entry *pseudo_entry_find(const struct pseudo_entry *table, const char *name,
					     size_t len);
/* Emits table entries with cookies first+1, first+2, ...; false: the sink is full. */
bool pseudo_entries_emit(const struct pseudo_entry *table, struct dirent_sink *sink, off_t first,
			 off_t *pos);

/* Numbers for inodes that are made anew at each lookup: the same for the same (a, b). */
uint64_t pseudo_ino(uint64_t a, uint64_t b);

/* A name that is a decimal number without leading zeros: 0 and *n, or -ENOENT. */
int pseudo_parse_number(const char *name, size_t len, int *n) MUST_CHECK;
/* Emits the number as a name. */
bool pseudo_emit_number(struct dirent_sink *sink, uint64_t number, uint64_t ino, unsigned char type,
			off_t cookie);

/* A superblock without a root yet (superblock_set_root). `magic`: statfs's f_type. */
struct pseudo_sb {
	struct superblock sb;
	uint64_t magic;
	void (*fini)(struct pseudo_sb *sb); /* before it is freed; may be NULL */
};
void pseudo_sb_init(struct pseudo_sb *sb, const char *type, const char *source, uint64_t magic);

#endif
