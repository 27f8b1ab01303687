/*
 * Who pays for what the sentry keeps for its guests.
 *
 * Whatever a guest can make the sentry keep (open files, messages in queues,
 * names in a tmpfs, watches, ...) lies in the sentry's memory and behind its host
 * descriptors, which all guests share. So each user of a container (a real uid)
 * has an account, and what is kept is charged to the user on whose behalf the
 * thread that makes it runs: its payer. A user who has used up his share gets
 * ENOMEM, ENFILE or what else Linux gives; others do not notice.
 *
 * Three bounds hold for a resource, the first two for users without privilege:
 * half of it for one user, three quarters for all of them, and all but a
 * sixteenth for the privileged (uid 0, CAP_SYS_ADMIN, CAP_SYS_RESOURCE: those that
 * Linux lets past file-max). The rest is the sentry's own.
 *
 * Charges are of two kinds. Where a guest chooses a size the charge is tried. For
 * small objects of fixed size, made deep inside of an operation, it always
 * succeeds; such an operation is refused beforehand if its user is over his
 * bound (sys/admission.c), so that he gets past it by no more than the calls
 * under way.
 *
 * The counters of one kind of object that Linux keeps for each user, with limits
 * of their own (RLIMIT_SIGPENDING, max_user_watches, ...), are here too.
 */
#ifndef GARRISON_SENTRY_CORE_ACCOUNT_H
#define GARRISON_SENTRY_CORE_ACCOUNT_H

#include "common/base.h"

enum account_count {
	COUNT_SIGQUEUE,		 /* queued signals and POSIX timers: RLIMIT_SIGPENDING */
	COUNT_MQUEUE,		 /* bytes of POSIX message queues: RLIMIT_MSGQUEUE */
	COUNT_EPOLL_WATCHES,	 /* fs.epoll.max_user_watches */
	COUNT_INOTIFY_INSTANCES, /* fs.inotify.max_user_instances */
	COUNT_INOTIFY_WATCHES,	 /* fs.inotify.max_user_watches */
	COUNT_PIPE_PAGES,	 /* fs.pipe-user-pages-soft */
	COUNT_FLIGHT,		 /* descriptors in flight: RLIMIT_NOFILE */
	COUNT_KINDS,
};

struct account;

/* The account of a user of a container (domain); owned, never NULL. */
struct account *account_of(unsigned int domain, uint32_t uid);
/* The same user's in the domain of `like`; NULL (the sentry itself) has itself only. Owned. */
struct account *account_sibling(struct account *like, uint32_t uid);
struct account *account_get(struct account *a); /* NULL is allowed, here and below: the sentry */
void account_put(struct account *a);

/* --- the calling thread's payer ---------------------------------------------------------- */

/* The thread holds a reference of its own until the next call; NULL before it ends. privileged:
 * has CAP_SYS_ADMIN or CAP_SYS_RESOURCE. */
void account_set_payer(struct account *a, bool privileged);
struct account *account_payer(void); /* borrowed; NULL: the sentry */
bool account_payer_privileged(void);

/* --- memory ------------------------------------------------------------------------------- */

/* Charges n bytes to the payer, who is returned in *payer and stays alive until account_uncharge.
 * -ENOMEM: his share, or everything, is used up. */
int account_charge(size_t n, struct account **payer) MUST_CHECK;
/* The same without a bound. */
struct account *account_charge_always(size_t n);
void account_uncharge(struct account *a, size_t n);
/* -ENOMEM if the payer is over his share. For operations that charge without a bound. */
int account_admit(void) MUST_CHECK;
/* Bytes charged to the account; for tests. */
long account_memory(struct account *a);

/* Blocks that remember what they are charged for. NULL: no memory, or the share is used up. */
void *charged_alloc(size_t n) MUST_CHECK;  /* zeroed */
void *charged_malloc(size_t n) MUST_CHECK; /* not zeroed */
void *charged_calloc(size_t n, size_t size) MUST_CHECK;
/* A copy of the first n bytes at most; p is freed, unless there is no memory: NULL. */
void *charged_realloc(void *p, size_t n) MUST_CHECK;
/* Never NULL, charged without a bound: small fixed sizes. Zeroed. */
void *charged_always(size_t n);
/* The same for an object that costs more than its own bytes. */
void *charged_always_as(size_t n, size_t weight);
void charged_free(void *p); /* NULL is allowed */
#define CHARGED_NEW(type) ((type *)charged_always(sizeof(type)))

static inline void charged_cleanup(void *p)
{
	charged_free(*(void **)p);
}
#define SCOPED_CHARGED __attribute__((cleanup(charged_cleanup)))

/* --- things of which the host gives the sentry so many ------------------------------------- */

/* Before a task is made: 0, or -EAGAIN if the payer has too many. */
int account_task_admit(void) MUST_CHECK;
/* Counts a task to its account. */
void account_task_add(struct account *a);
void account_task_del(struct account *a);

/* Before a host descriptor is made for the payer: 0, or -ENFILE if he has too many. */
int account_fd_admit(void) MUST_CHECK;
/* Charges the host fd to the payer. */
void account_fd_add(int fd);
/* Before it is closed. Uncharges; an fd that nobody was charged for is allowed. */
void account_fd_del(int fd);
/* A memfd for the payer: the fd, to be closed by charged_close, or -errno (-ENFILE: too many). */
int charged_memfd(const char *name, unsigned int flags) MUST_CHECK;
void charged_close(int fd);

/* --- pages that the sentry fills for guests ------------------------------------------------------- */

/* Pages of memfds that guests fill by write(2) are in no process's memory, so the host's
 * out-of-memory killer would take others for them. With a memory limit they may have a quarter of
 * it: false if it is used up. */
bool account_take_pages(uint64_t n) MUST_CHECK;
void account_take_pages_always(uint64_t n);
void account_give_pages(uint64_t n);

/* --- Linux's counters -------------------------------------------------------------------------- */

/* Counts n to the account if it stays within limit then; false: not counted. The account lives
 * at least until they are given back. */
bool account_take(struct account *a, enum account_count what, uint64_t n,
		  uint64_t limit) MUST_CHECK;
/* Counts n, whatever the limit. */
void account_take_always(struct account *a, enum account_count what, uint64_t n);
void account_give(struct account *a, enum account_count what, uint64_t n);
uint64_t account_count(struct account *a, enum account_count what);

/* --- what there is ----------------------------------------------------------------------------- */

/* At start: how many host descriptors there may be. */
void account_set_fds(unsigned int max);
/* A container comes: its share of the sentry's memory, from its memory limit (bytes, 0: none) or
 * the host's memory. The bytes, for account_remove_container. */
uint64_t account_add_container(uint64_t memory_limit, uint64_t total_ram);
void account_remove_container(uint64_t bytes);
/* What all containers may take of the sentry's memory. */
uint64_t account_memory_max(void);

#endif
