/* struct stat, statfs and statx as the kernel lays them out on x86-64. */
#ifndef GARRISON_SENTRY_ABI_STAT_H
#define GARRISON_SENTRY_ABI_STAT_H

#include "common/base.h"

struct abi_stat {
	uint64_t dev, ino, nlink;
	uint32_t mode, uid, gid, pad0;
	uint64_t rdev;
	int64_t size, blksize, blocks;
	uint64_t atime, atime_nsec, mtime, mtime_nsec, ctime, ctime_nsec;
	int64_t unused[3];
};
static_assert(sizeof(struct abi_stat) == 144, "struct stat");

struct abi_statfs {
	int64_t type, bsize, blocks, bfree, bavail, files, ffree;
	int32_t fsid[2];
	int64_t namelen, frsize, flags, spare[4];
};
static_assert(sizeof(struct abi_statfs) == 120, "struct statfs");

struct abi_ustat {
	int32_t tfree;
	uint32_t pad;
	uint64_t tinode;
	char fname[6], fpack[6];
	uint32_t pad2;
};
static_assert(sizeof(struct abi_ustat) == 32, "struct ustat");

#endif
