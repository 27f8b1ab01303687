/* What the files of mm/ share: bookkeeping over the tree. All under mm->lock. */
#ifndef GARRISON_SENTRY_MM_INTERNAL_H
#define GARRISON_SENTRY_MM_INTERNAL_H

#include "sentry/mm/vma.h"

static inline uint64_t pages(uint64_t len)
{
	return len / GUEST_PAGE;
}

static inline bool page_aligned(uint64_t n)
{
	return n % GUEST_PAGE == 0;
}

/* Counts v in or out of mm's totals. Every change of a VMA is made between an out and an in. */
void mm_count_in(struct mm *mm, const struct vma *v);
void mm_count_out(struct mm *mm, const struct vma *v);

/* RLIMIT_DATA counts it: private, writable, not the stack. */
bool mm_is_data(const struct vma *v);

/* Page-aligned end of [addr, addr+len): false when that overflows or leaves the address space. */
bool mm_range_end(uint64_t addr, uint64_t len, uint64_t *end) MUST_CHECK;
/* Does [start, end) lie in what the guest may lay out? */
bool mm_in_guest(uint64_t start, uint64_t end);

/* Limits for `grow` more bytes (less `replaced` bytes that go) of a kind like v: 0 or -ENOMEM. */
int mm_may_expand(struct mm *mm, const struct mm_limits *lim, const struct vma *v, uint64_t grow,
		  uint64_t replaced) MUST_CHECK;
/* RLIMIT_MEMLOCK for `grow` more locked bytes: 0 or -EAGAIN. */
int mm_may_lock(struct mm *mm, const struct mm_limits *lim, uint64_t grow) MUST_CHECK;
/* Mapped bytes in [start, end). */
uint64_t mm_mapped_bytes(struct mm *mm, uint64_t start, uint64_t end);

/*
 * A space with one user need not wait for the host: announces that the next host call may be made
 * on the way back to the guest. Not for calls that may well fail. False: it will not.
 */
bool mm_be_late(struct mm *mm, struct pf_thread *t);
/* The same for any space, for a call that changes no mapping, so that another thread can only see
 * it happen before the caller's system call returns. */
void mm_be_late_shared(struct mm *mm, struct pf_thread *t);
/* Puts the tree right if a late mapping failed after all. First thing in every call that looks at
 * the layout on behalf of t. */
void mm_settle(struct mm *mm, struct pf_thread *t);

/* pf_mmap, or a note of it while a batch is open. */
int mm_host_map(struct mm *mm, struct pf_thread *t, const struct pf_map *map) MUST_CHECK;

/* Takes [start, end) out of the tree; the host is the caller's business. */
void mm_forget(struct mm *mm, uint64_t start, uint64_t end);
/* Adds v (takes v->file), counted, merged. */
void mm_remember(struct mm *mm, const struct vma *v);

/* Unmaps in the tree and on the host. */
int mm_unmap_locked(struct mm *mm, struct pf_thread *t, uint64_t start, uint64_t end) MUST_CHECK;
/* Where `len` bytes go without MAP_FIXED: address, or -ENOMEM. */
int64_t mm_choose_address(struct mm *mm, uint64_t hint, uint64_t len, int flags, uint64_t align);
/* mlock(2) brings the pages in, as best as the host will. */
void mm_populate(struct pf_thread *t, uint64_t start, uint64_t end, int prot, int flags);

/* A nameless file that stands for one piece of shared anonymous memory. Owned. */
struct file *mm_shared_identity(void);

#endif
