/*
 * Contexts of Linux's native AIO (kernel/aio.c): io_setup(2) and its kin. A
 * context belongs to an address space and goes by the address of a page that is
 * mapped for it.
 */
#ifndef GARRISON_SENTRY_KERNEL_AIO_H
#define GARRISON_SENTRY_KERNEL_AIO_H

#include <linux/aio_abi.h>

#include "sentry/kernel/task.h"

#define AIO_MAX_NR 65536 /* /proc/sys/fs/aio-max-nr: events of all contexts */

struct aio_context;

/* A context for nr operations at once: its address. -EAGAIN: too many; -ENOMEM. */
int64_t aio_context_new(struct task *t, unsigned int nr) MUST_CHECK;
/* Ends it; what still waits is given up. -EINVAL: there is none. */
int aio_context_destroy(struct task *t, uint64_t id) MUST_CHECK;
/* Owned, or NULL. */
struct aio_context *aio_context_find(struct task *t, uint64_t id);
void aio_context_put(struct aio_context *c);
unsigned int aio_total(void); /* /proc/sys/fs/aio-nr */

/* Takes a place for one operation: -EAGAIN when all are taken. It ends in aio_complete, aio_poll
 * or aio_unreserve. */
int aio_reserve(struct aio_context *c) MUST_CHECK;
void aio_unreserve(struct aio_context *c);
/* The operation of the guest's iocb `obj` is done. resfd: an eventfd to signal, or NULL. */
void aio_complete(struct aio_context *c, uint64_t obj, uint64_t data, int64_t res,
		  struct file *resfd);
/* Completes as soon as f has one of `events`. */
void aio_poll(struct aio_context *c, uint64_t obj, uint64_t data, struct file *f, uint32_t events,
	      struct file *resfd);
/* Gives up a poll: 0, or -EINVAL when no operation of that iocb waits. */
int aio_cancel(struct aio_context *c, uint64_t obj) MUST_CHECK;
/* Takes up to `max` events: how many, or -EAGAIN for none; -EINVAL once it is destroyed. */
long aio_take(struct aio_context *c, struct io_event *out, long max) MUST_CHECK;
/* Woken when there may be more. */
struct waitq *aio_waitq(struct aio_context *c);

#endif
