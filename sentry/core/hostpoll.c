/*
 * The host poll thread. It starts with the first fd. An epoll event names a slot
 * and the slot's generation, not a pointer, so that an event which was fetched
 * before hostpoll_del cannot reach an object that is gone; `running` tells
 * hostpoll_del to wait for a callback.
 */
#include "sentry/core/hostpoll.h"

#include <errno.h>
#include <pthread.h>

#include "common/host.h"
#include "common/host_thread.h"
#include "common/log.h"
#include "common/mem.h"
#include "sentry/core/waitq.h"

#define BATCH 64
#define WATCHED (EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET)

struct slot {
	struct hostpoll *p; /* NULL: free */
	uint32_t generation;
};

static struct {
	struct mutex lock; /* guards all of this */
	struct slot *slots;
	uint32_t nslots;
	struct hostpoll *running;
	pthread_cond_t finished; /* running changed */
	int epfd;
	pthread_t thread;
	bool started;
} polls = {.lock = MUTEX_INIT(RANK_LEAF), .finished = PTHREAD_COND_INITIALIZER};

static void deliver(uint64_t key, uint32_t events)
{
	uint32_t i = (uint32_t)key, generation = (uint32_t)(key >> 32);
	struct hostpoll *p = NULL;

	mutex_lock(&polls.lock);
	if (polls.slots[i].generation == generation)
		p = polls.running = polls.slots[i].p;
	mutex_unlock(&polls.lock);
	if (!p)
		return;
	if (p->wq)
		waitq_wake(p->wq, events);
	if (p->notify)
		p->notify(p, events); /* may end p */
	mutex_lock(&polls.lock);
	polls.running = NULL;
	pthread_cond_broadcast(&polls.finished);
	mutex_unlock(&polls.lock);
}

static void *poll_thread(void *arg)
{
	struct epoll_event events[BATCH];

	mutex_lock(&polls.lock);
	polls.thread = pthread_self();
	mutex_unlock(&polls.lock);
	for (;;) {
		int n = host_epoll_wait(polls.epfd, events, BATCH, -1);

		for (int i = 0; i < n; i++)
			deliver(events[i].data.u64, events[i].events & ~(uint32_t)EPOLLET);
	}
	return NULL;
}

static int start_locked(void)
{
	int err;

	if (polls.started)
		return 0;
	polls.epfd = host_epoll_create();
	if (polls.epfd < 0)
		return polls.epfd;
	err = host_thread_start("hostpoll", poll_thread, NULL);
	if (err)
		host_close(polls.epfd);
	polls.started = !err;
	return err;
}

static uint32_t free_slot_locked(void)
{
	uint32_t i;

	for (i = 0; i < polls.nslots; i++)
		if (!polls.slots[i].p)
			return i;
	polls.nslots = max(polls.nslots * 2, 16u);
	polls.slots = xrealloc(polls.slots, polls.nslots * sizeof(*polls.slots));
	for (uint32_t k = i; k < polls.nslots; k++)
		polls.slots[k] = (struct slot){0};
	return i;
}

int hostpoll_add(struct hostpoll *p)
{
	struct epoll_event event = {.events = WATCHED};
	uint32_t i;
	int err;

	SCOPED_LOCK(&polls.lock);
	err = start_locked();
	if (err)
		return err;
	i = free_slot_locked();
	polls.slots[i].generation++;
	event.data.u64 = (uint64_t)polls.slots[i].generation << 32 | i;
	polls.slots[i].p = p;
	err = host_epoll_ctl(polls.epfd, EPOLL_CTL_ADD, p->fd, &event);
	if (err)
		polls.slots[i].p = NULL;
	return err;
}

void hostpoll_del(struct hostpoll *p)
{
	uint32_t i;

	SCOPED_LOCK(&polls.lock);
	for (i = 0; i < polls.nslots && polls.slots[i].p != p; i++)
		;
	if (i == polls.nslots)
		return;
	host_epoll_ctl(polls.epfd, EPOLL_CTL_DEL, p->fd, NULL);
	polls.slots[i].p = NULL;
	while (polls.running == p && !pthread_equal(polls.thread, pthread_self()))
		pthread_cond_wait(&polls.finished, &polls.lock.m);
}
