/*
 * What the gofer and its clients say to each other: the FUSE wire format of
 * linux/fuse.h (7.38) over SOCK_SEQPACKET, one request or reply per packet, a
 * reply per request on the same socket (none for FORGET and BATCH_FORGET), plus
 * the private opcodes below. Byte order is the host's.
 *
 * Each export of a gofer has its own socket (a channel) and its own node
 * numbers; node FUSE_ROOT_ID is the export's root. A channel serves one request
 * at a time; GOFER_CHANNEL makes a further one.
 *
 * A channel can get a slot (GOFER_SLOT): memory that both map, so that a request
 * costs two futex calls a side and no socket buffer. Who sets `turn` says below;
 * each side copies a message once and checks the copy.
 *
 *	client					gofer
 *	writes request, request_len
 *	IDLE -> REQUEST, wakes			copies the request, serves it
 *	waits while it is REQUEST		sends the file, if any, by the socket
 *						writes reply, reply_len, with_fd
 *						REQUEST -> IDLE, wakes
 *	copies the reply			waits while it is IDLE
 *						after a while: IDLE -> SOCKET
 *
 * A client that does not find IDLE uses the socket, where the reply comes then;
 * before that reply is sent, the turn is IDLE again. In the slot every request
 * ends with a turn, also FORGET, whose reply_len is 0. The packet with a file
 * is the reply's fuse_out_header and comes before the turn.
 *
 * A client that sets GOFER_INIT_EXTENDED in fuse_init_in.flags2 gets a struct
 * gofer_ext behind every fuse_entry_out and fuse_attr_out (FUSE has no birth
 * time), and owns nodes that READDIRPLUS returned also where the name is one
 * that it knows.
 *
 * Names are counted by a NUL, 1..255 bytes, without slash, not "." or "..". The
 * owner of a new file is fuse_in_header.uid and .gid; modes are taken as they
 * are (no umask).
 */
#ifndef GARRISON_GOFER_PROTOCOL_H
#define GARRISON_GOFER_PROTOCOL_H

#include <linux/fuse.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define GOFER_NAME_MAX 255
#define GOFER_PATH_MAX 4096
/* The largest packet either way, header included. */
#define GOFER_MSG_MAX (64 * 1024 + 4096)
/* The most that READDIR, GETXATTR and LISTXATTR return. */
#define GOFER_DATA_MAX (64 * 1024)
#define GOFER_CHANNELS_MAX 32
#define GOFER_WALK_MAX 16

#define GOFER_INIT_EXTENDED (1U << 31)

enum gofer_opcode {
	/* In: struct gofer_walk_in, then `count` names. Out: struct gofer_walk_out, then an
	 * entry (fuse_entry_out, gofer_ext) per component found. Links end a walk. */
	GOFER_WALK = 0x10000,
	/* In: fuse_open_in; of flags only O_ACCMODE counts. Out: fuse_attr_out, gofer_ext, and
	 * the open file as SCM_RIGHTS. Regular files only. */
	GOFER_OPEN,
	/* As FUSE_CREATE (exclusive always), out as FUSE_CREATE's entry, and the open file. */
	GOFER_CREATE,
	/* As FUSE_TMPFILE; out as GOFER_CREATE. */
	GOFER_TMPFILE,
	/* In: struct gofer_readdir_in. Out: struct gofer_readdir_out, then records of
	 * fuse_entry_out, gofer_ext, fuse_dirent. Without "." and "..". */
	GOFER_READDIR,
	/* In: struct gofer_close_in. Out: nothing. */
	GOFER_CLOSEDIR,
	/* No argument. Out: nothing, and one end of a new channel as SCM_RIGHTS. */
	GOFER_CHANNEL,
	/* Reserved: a connection to a bound unix socket. */
	GOFER_CONNECT,
	/* In: struct gofer_remove_in, name. UNLINK or RMDIR of a name that the client knows. Out:
	 * nothing. */
	GOFER_REMOVE,
	/* No argument. Out: nothing, and a memfd of one struct gofer_slot, which cannot change its
	 * size, as SCM_RIGHTS. */
	GOFER_SLOT,
	GOFER_OPCODE_END,
};

enum gofer_turn {
	GOFER_TURN_SOCKET,  /* the gofer waits on the socket */
	GOFER_TURN_IDLE,    /* the gofer waits here */
	GOFER_TURN_REQUEST, /* there is a request, and the client waits */
};

struct gofer_slot {
	uint32_t turn; /* a futex word */
	uint32_t request_len, reply_len;
	uint32_t with_fd; /* 1: a file belongs to the reply */
	alignas(64) char request[GOFER_MSG_MAX];
	alignas(64) char reply[GOFER_MSG_MAX];
};

#define GOFER_EXT_NO_XATTRS 1U /* it has none of those that are served */

struct gofer_ext {
	int64_t btime;
	uint32_t btimensec; /* 1000000000: unknown */
	uint32_t flags;	    /* GOFER_EXT_* */
};

/* fuse_entry_out or fuse_attr_out as they come with GOFER_INIT_EXTENDED. */
struct gofer_entry_out {
	struct fuse_entry_out e;
	struct gofer_ext x;
};
struct gofer_attr_out {
	struct fuse_attr_out a;
	struct gofer_ext x;
};

struct gofer_walk_in {
	uint32_t count; /* 1..GOFER_WALK_MAX */
	uint32_t padding;
};

struct gofer_walk_out {
	uint32_t count; /* entries that follow */
	int32_t error;	/* why the next component has none: -errno, 0 if all were found */
};

#define GOFER_READDIR_PLAIN 1U /* no attributes: nodeid 0 in every entry */

#define GOFER_READDIR_XATTRS 2U /* find out about GOFER_EXT_NO_XATTRS */

struct gofer_readdir_in {
	uint64_t fh;	 /* 0: open the directory */
	uint64_t offset; /* 0 or a fuse_dirent.off */
	uint32_t size;	 /* of the reply's records */
	uint32_t flags;
};

/* A directory that fits into one reply needs no CLOSEDIR: its fh is 0 then. */
struct gofer_readdir_out {
	uint64_t fh;
	uint32_t end; /* 1: no entries behind these */
	uint32_t padding;
};

#define GOFER_REMOVE_DIR 1U
/* The client still uses the victim after its last name is gone. Without it the node only waits
 * for its FORGET. */
#define GOFER_REMOVE_KEEP 2U

struct gofer_remove_in {
	uint64_t victim;
	uint32_t flags;
	uint32_t padding;
};

struct gofer_close_in {
	uint64_t fh;
};

/* Extended attributes that mean something to a container. Not security.* at large nor trusted.*:
 * those speak to the host's kernel. */
static inline bool gofer_xattr_served(const char *name)
{
	return !strncmp(name, "user.", 5) || !strcmp(name, "security.capability") ||
	       !strcmp(name, "system.posix_acl_access") ||
	       !strcmp(name, "system.posix_acl_default");
}

/* fuse_kstatfs.spare[0] of FUSE_STATFS: f_type of the host's file system. */

#endif
