/*
 * A guest address space as the sentry knows it: a tree of VMAs over a
 * pf_space. The host holds the pages and takes the page faults; the tree is for
 * /proc/PID/maps, limits, checks and the choice of addresses.
 *
 * The calls that change the layout take the calling task's pf_thread, because
 * the stub carries them out. They take mm->lock themselves.
 */
#ifndef GARRISON_SENTRY_MM_MM_H
#define GARRISON_SENTRY_MM_MM_H

#include <stdatomic.h>

#include "common/refcount.h"
#include "sentry/abi/uaddr.h"
#include "sentry/fs/file.h"
#include "sentry/locks.h"
#include "sentry/platform/platform.h"

struct vma_tree;

/* Linux's sysctl vm.max_map_count. */
#define MM_MAX_MAP_COUNT 65530

/* vma.advice: what madvise(2) and mlock(2) have said of it. */
#define VMA_LOCKED BIT(0)
#define VMA_LOCK_ONFAULT BIT(1)
#define VMA_DONTFORK BIT(2)
#define VMA_WIPEONFORK BIT(3)
#define VMA_DONTDUMP BIT(4)
#define VMA_HUGEPAGE BIT(5)
#define VMA_NOHUGEPAGE BIT(6)
#define VMA_RAND_READ BIT(7)
#define VMA_SEQ_READ BIT(8)
#define VMA_MERGEABLE BIT(9)

/* The limits that mm enforces, copied from the process's rlimits for each call. */
struct mm_limits {
	uint64_t as, data, stack, memlock; /* RLIM_INFINITY = UINT64_MAX */
	bool can_lock;			   /* CAP_IPC_LOCK */
};

/* What a layer above keeps for an address space, embedded in an object of its own. */
struct mm_attachment {
	void (*release)(struct mm_attachment *a); /* the space has gone */
};

struct mm {
	struct refcount ref;
	struct pf_space *space; /* immutable; owned */
	struct mutex lock;	/* RANK_MM */

	/* guarded by lock */
	struct vma_tree *vmas;
	uint64_t total_pages, locked_pages, data_pages, stack_pages, exec_pages, peak_pages;
	uint64_t brk_start, brk, mmap_base;
	uint64_t start_code, end_code, start_data, end_data, start_stack;
	uint64_t arg_start, arg_end, env_start, env_end;
	uint64_t auxv[64]; /* /proc/PID/auxv: pairs, ended by AT_NULL */
	struct file *exe;  /* owned; what /proc/PID/exe shows */
	int def_flags;	   /* VMA_* of new VMAs: mlockall(MCL_FUTURE) */
	int dumpable;	   /* PR_SET_DUMPABLE */

	struct {
		uint64_t start, end;
	} late; /* the last mapping that was left to the stub's way back; end 0: none */
	struct mm_attachment *aio; /* kernel/aio.c; owned; NULL: none */
	struct mm_batch *batch;	   /* execve only: see mm_batch_begin */

	/* pages; written by mm_rss, read by anybody */
	atomic_uint_fast64_t rss_last, rss_peak, rss_time; /* rss_time: CLOCK_MONOTONIC ns */
};

struct vma {
	uint64_t start, end;
	int prot, flags; /* PROT_*; MAP_SHARED or MAP_PRIVATE, MAP_NORESERVE, MAP_GROWSDOWN (the
			  * stack of execve only) */
	int max_prot;
	struct file *file; /* NULL: private anonymous. Shared anonymous memory has a file without
			    * a name, whose inode says which memory it is */
	uint64_t offset;
	const char *label;   /* "[heap]", "[stack]", "[vdso]", NULL */
	unsigned int advice; /* VM_* bits for smaps: locked, dontfork, hugepage, ... */
};

/* Takes the reference on space. Adds the vDSO's VMAs. Never NULL. */
struct mm *mm_new(struct pf_space *space);
/* The child's mm after pf_space_fork(parent): same VMAs but those of MADV_DONTFORK.
 * Takes the reference on space. Caller holds parent->lock across pf_space_fork and this. */
struct mm *mm_fork_locked(struct mm *parent, struct pf_space *space);
struct mm *mm_get(struct mm *mm);
void mm_put(struct mm *mm);
/* What /proc/PID/exe shows (borrowed; NULL: none). The file cannot be opened for writing as
 * long as an mm has it: -ETXTBSY if it is open for writing now. */
int mm_set_exe(struct mm *mm, struct file *exe) MUST_CHECK;
/* Owned, or NULL. */
struct file *mm_get_exe(struct mm *mm);
/* For a fresh mm: chooses mmap_base for a stack limit of stack_limit bytes as Linux's
 * arch_pick_mmap_layout; randomised by `random` (0: not). */
void mm_pick_layout(struct mm *mm, uint64_t stack_limit, uint64_t random);
/* For an mm that nobody else sees yet: mm_mmap and mm_map_stack after this only note what to ask
 * of the host, which mm_batch_flush does in one hand-over. Files stay referenced by the caller. */
void mm_batch_begin(struct mm *mm);
int mm_batch_flush(struct mm *mm, struct pf_thread *t) MUST_CHECK;
/* Where a range of len bytes is free, by the layout's rule: address or -ENOMEM. */
int64_t mm_free_range(struct mm *mm, uint64_t len, uint64_t align) MUST_CHECK;
/* Maps the stack [start, end) of a fresh mm; it may grow down by mm_grow_stack. */
int mm_map_stack(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t end,
		 int prot) MUST_CHECK;

/* mmap(2) with the kernel's flags; file is borrowed or NULL. Address or -errno. */
int64_t mm_mmap(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
		uint64_t len, int prot, int flags, struct file *file, uint64_t offset) MUST_CHECK;
int mm_munmap(struct mm *mm, struct pf_thread *t, uaddr addr, uint64_t len) MUST_CHECK;
int mm_mprotect(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
		uint64_t len, int prot) MUST_CHECK;
int64_t mm_mremap(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
		  uint64_t old_len, uint64_t new_len, int flags, uaddr new_addr) MUST_CHECK;
int64_t mm_brk(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uint64_t brk);
/* madvise(2); t NULL (process_madvise of another's space): only checked and remembered. */
int mm_madvise(struct mm *mm, struct pf_thread *t, uaddr addr, uint64_t len, int advice) MUST_CHECK;
/* mincore(2): a byte for each page. -ENOMEM for holes. */
int mm_mincore(struct mm *mm, struct pf_thread *t, uaddr addr, uint64_t len,
	       unsigned char *vec) MUST_CHECK;
/* A guest fault at addr: true if it lay in room into which the stack could grow, and did. */
bool mm_grow_stack(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uint64_t addr);
int mm_msync(struct mm *mm, uaddr addr, uint64_t len, int flags) MUST_CHECK;
int mm_mlock(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim, uaddr addr,
	     uint64_t len, bool lock, bool on_fault) MUST_CHECK;
int mm_mlockall(struct mm *mm, struct pf_thread *t, const struct mm_limits *lim,
		int flags) MUST_CHECK;

/* Resident pages now, and the most that was ever seen. Large spaces are sampled: the number is an
 * estimate then. Takes mm->lock; costs up to some 0.3 ms. */
void mm_rss(struct mm *mm, uint64_t *now, uint64_t *peak);
/* Asks again if the last answer is older than max_age ns. */
void mm_rss_refresh(struct mm *mm, uint64_t max_age);
/* What the last mm_rss found; no lock, no cost. */
void mm_rss_last(struct mm *mm, uint64_t *now, uint64_t *peak);

/* Copies out the VMA that contains addr (or the next above): 0, or -ENOMEM if none. The
 * file is referenced for the caller. For faults, mincore, /proc. */
int mm_find_vma(struct mm *mm, uint64_t addr, struct vma *out) MUST_CHECK;
/* Calls fn for each VMA in rising order, under mm->lock; stops if it returns false. */
void mm_for_each(struct mm *mm, bool (*fn)(const struct vma *v, void *arg), void *arg);

/*
 * What a futex, a shared lock or SysV shm needs to identify a word that several spaces
 * share: for shared mappings the inode and offset, else the mm itself and the address.
 */
struct mm_key {
	const void *object; /* inode or mm; compared, never followed */
	uint64_t offset;
	struct inode *inode; /* owned, to keep object alive; NULL for private keys */
};
int mm_shared_key(struct mm *mm, uaddr addr, struct mm_key *out) MUST_CHECK;

#endif
