/* System V IPC structures as the kernel lays them out on x86-64. */
#ifndef GARRISON_SENTRY_ABI_SYSV_H
#define GARRISON_SENTRY_ABI_SYSV_H

#include "common/base.h"

struct kipc_perm {
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t seq, pad;
	uint64_t unused[2];
};
static_assert(sizeof(struct kipc_perm) == 48, "struct ipc64_perm");

struct kshmid_ds {
	struct kipc_perm perm;
	uint64_t segsz;
	int64_t atime, dtime, ctime;
	int32_t cpid, lpid;
	uint64_t nattch, unused[2];
};
static_assert(sizeof(struct kshmid_ds) == 112, "struct shmid64_ds");

struct ksemid_ds {
	struct kipc_perm perm;
	int64_t otime, unused1, ctime, unused2;
	uint64_t nsems, unused[2];
};
static_assert(sizeof(struct ksemid_ds) == 104, "struct semid64_ds");

struct kmsqid_ds {
	struct kipc_perm perm;
	int64_t stime, rtime, ctime;
	uint64_t cbytes, qnum, qbytes;
	int32_t lspid, lrpid;
	uint64_t unused[2];
};
static_assert(sizeof(struct kmsqid_ds) == 120, "struct msqid64_ds");

struct kshminfo {
	uint64_t shmmax, shmmin, shmmni, shmseg, shmall, unused[4];
};
struct kshm_info {
	int32_t used_ids, pad;
	uint64_t shm_tot, shm_rss, shm_swp, swap_attempts, swap_successes;
};
struct kseminfo {
	int32_t semmap, semmni, semmns, semmnu, semmsl, semopm, semume, semusz, semvmx, semaem;
};
struct kmsginfo {
	int32_t msgpool, msgmap, msgmax, msgmnb, msgmni, msgssz, msgtql;
	uint16_t msgseg;
};
struct ksembuf {
	uint16_t num;
	int16_t op, flags;
};
static_assert(sizeof(struct ksembuf) == 6, "struct sembuf");

/* Commands that glibc hides without feature macros. */
#define K_IPC_64 0x0100
#define K_MSG_STAT 11
#define K_MSG_INFO 12
#define K_MSG_STAT_ANY 13
#define K_SHM_STAT 13
#define K_SHM_INFO 14
#define K_SHM_STAT_ANY 15
#define K_SEM_STAT 18
#define K_SEM_INFO 19
#define K_SEM_STAT_ANY 20

#endif
