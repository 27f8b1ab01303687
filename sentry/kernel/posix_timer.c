/*
 * POSIX timers (timer_create(2)). A timer that sends a signal embeds the queue
 * entry, so an expiry is never lost for want of memory and at most one is
 * pending; expiries in between are counted as overruns. A periodic timer is
 * armed again when its signal is taken off the queue, so that a tiny period
 * costs no more than the guest's own handling of it.
 *
 * Locking: posix_timers.lock (RANK_OBJECT) guards all fields; signals are sent
 * under it. A queued entry holds a reference on its timer.
 */
#include "sentry/kernel/posix_timer.h"
#include "sentry/kernel/tasklist.h"

#include <errno.h>
#include <limits.h>

#include "common/host.h"
#include "common/host_clock.h"
#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/kernel/clock.h"
#include "sentry/kernel/container.h"
#include "sentry/kernel/internal.h"

#define DELAYTIMER_MAX_ INT_MAX
/* An ignored periodic signal is tried again no more often. */
#define IGNORED_PERIOD (4 * NSEC_PER_MSEC)

struct posix_timer {
	struct refcount ref;
	struct list node;
	struct posix_timers *owner; /* NULL once deleted; then no lock is needed any more */
	struct process *process;    /* owned: outlives the list */
	struct account *payer;	    /* immutable */
	int id;
	struct clock_ref clock;
	struct timer_event event;
	struct task *target; /* owned: SIGEV_THREAD_ID */
	struct ktimer ktimer;
	uint64_t expires, interval; /* on the clock; expires 0: off */
	uint64_t overrun, last_overrun;
	struct sigqueue queue;
};

struct posix_timers *posix_timers_new(struct process *p)
{
	struct posix_timers *pt = NEW(struct posix_timers);

	pt->process = p;
	mutex_init(&pt->lock, RANK_OBJECT);
	list_init(&pt->timers);
	itimer_init(pt);
	return pt;
}

struct posix_timers *process_timers(struct process *p)
{
	struct posix_timers *fresh, *seen = __atomic_load_n(&p->timers, __ATOMIC_ACQUIRE);

	if (seen)
		return seen;
	fresh = posix_timers_new(p);
	if (__atomic_compare_exchange_n(&p->timers, &seen, fresh, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return fresh;
	mutex_destroy(&fresh->lock);
	free(fresh);
	return seen;
}

void posix_timer_put(struct posix_timer *t)
{
	if (!ref_put(&t->ref))
		return;
	clock_ref_put(&t->clock);
	if (t->target)
		task_put(t->target);
	process_put(t->process);
	account_give(t->payer, COUNT_SIGQUEUE, 1);
	charged_free(t);
}

/* --- expiry -------------------------------------------------------------------------------------- */

static void arm(struct posix_timer *t)
{
	if (t->expires && (t->event.notify & ~SIGEV_THREAD_ID) != SIGEV_NONE)
		ktimer_arm(&t->ktimer, clock_ref_deadline(&t->clock, t->expires));
}

/* Moves a periodic timer's expiry behind now; how many periods went by. */
static uint64_t forward(struct posix_timer *t, uint64_t now)
{
	uint64_t n;

	if (now < t->expires)
		return 0;
	n = (now - t->expires) / t->interval + 1;
	t->expires += n * t->interval;
	return n;
}

static bool send_signal(struct posix_timer *t)
{
	bool sent;

	t->queue.info = (siginfo_t){0};
	t->queue.info.si_signo = t->event.signo;
	t->queue.info.si_code = SI_TIMER;
	t->queue.info.si_timerid = t->id;
	t->queue.info.si_value = t->event.value;
	ref_get(&t->ref);
	mutex_lock(&tasklist);
	sent = signal_send_queued(t->process, t->target, &t->queue);
	mutex_unlock(&tasklist);
	if (!sent)
		posix_timer_put(t); /* never the last */
	return sent;
}

static void expire_locked(struct posix_timer *t)
{
	uint64_t now = clock_ref_read(&t->clock);

	if (!t->expires)
		return;
	if (now < t->expires) { /* a CPU clock, or set anew meanwhile */
		arm(t);
		return;
	}
	if (!t->interval)
		t->expires = 0;
	if (list_linked(&t->queue.node)) {
		t->overrun++;
		return;
	}
	if (send_signal(t))
		return;
	if (t->interval) { /* ignored */
		forward(t, now);
		ktimer_arm(&t->ktimer, max(clock_ref_deadline(&t->clock, t->expires),
					   host_monotonic_ns() + IGNORED_PERIOD));
	}
}

static void fire(struct ktimer *k)
{
	struct posix_timer *t = container_of(k, struct posix_timer, ktimer);
	struct posix_timers *owner = process_timers(t->process);

	SCOPED_LOCK(&owner->lock);
	if (t->owner)
		expire_locked(t);
}

void posix_timer_delivered(struct posix_timer *t, siginfo_t *info)
{
	struct posix_timers *owner = process_timers(t->process);
	uint64_t missed = 0;

	mutex_lock(&owner->lock);
	if (t->owner && t->expires && t->interval) {
		uint64_t n = forward(t, clock_ref_read(&t->clock));

		missed = n ? n - 1 : 0;
		arm(t);
	}
	t->last_overrun = min(t->overrun + missed, (uint64_t)DELAYTIMER_MAX_);
	t->overrun = 0;
	info->si_overrun = (int)t->last_overrun;
	mutex_unlock(&owner->lock);
	posix_timer_put(t);
}

/* --- the calls --------------------------------------------------------------------------------------- */

static int check_event(struct task *t, const struct timer_event *e, struct task **target)
{
	int kind = e->notify & ~SIGEV_THREAD_ID;

	*target = NULL;
	if (kind != SIGEV_SIGNAL && kind != SIGEV_NONE && kind != SIGEV_THREAD)
		return -EINVAL;
	if (kind != SIGEV_NONE && (e->signo < 1 || e->signo > KNSIG))
		return -EINVAL;
	if (!(e->notify & SIGEV_THREAD_ID))
		return 0;
	*target = task_find(task_pids(t), e->tid);
	if (*target && (*target)->process == t->process && kind == SIGEV_SIGNAL)
		return 0;
	if (*target)
		task_put(*target);
	*target = NULL;
	return -EINVAL;
}

static struct posix_timer *find_locked(struct posix_timers *pt, int id)
{
	struct posix_timer *t;

	list_for_each (t, &pt->timers, node)
		if (t->id == id)
			return t;
	return NULL;
}

static int next_id(struct posix_timers *pt)
{
	int id;

	do {
		id = pt->next_id;
		pt->next_id = id == INT_MAX ? 0 : id + 1;
	} while (find_locked(pt, id));
	return id;
}

static bool clock_has_timers(int clock)
{
	return clock != CLOCK_MONOTONIC_RAW && clock != CLOCK_REALTIME_COARSE &&
	       clock != CLOCK_MONOTONIC_COARSE;
}

int posix_timer_create(struct task *task, int clock, const struct timer_event *event)
{
	struct posix_timers *pt = process_timers(task->process);
	struct posix_timer *t;
	struct clock_ref ref;
	struct task *target;
	int r = clock_ref_get(task, clock, &ref);

	if (r < 0)
		return r;
	if (!clock_has_timers(clock))
		return -EOPNOTSUPP;
	r = check_event(task, event, &target);
	if (r < 0) {
		clock_ref_put(&ref);
		return r;
	}
	t = charged_alloc(sizeof(*t));
	/* Linux counts timers against RLIMIT_SIGPENDING. */
	if (!t || !account_take(account_payer(), COUNT_SIGQUEUE, 1,
				task_rlimit(task, RLIMIT_SIGPENDING))) {
		charged_free(t);
		if (target)
			task_put(target);
		clock_ref_put(&ref);
		return -EAGAIN;
	}
	t->payer = account_payer();
	ref_init(&t->ref);
	t->process = process_get(task->process);
	t->clock = ref;
	t->event = *event;
	t->target = target;
	t->queue.timer = t;
	list_init(&t->queue.node);
	list_init(&t->node);
	ktimer_init(&t->ktimer, fire);
	SCOPED_LOCK(&pt->lock);
	t->owner = pt;
	t->id = next_id(pt);
	if (event->default_value)
		t->event.value.sival_int = t->id;
	list_add_tail(&pt->timers, &t->node);
	return t->id;
}

/* What is left, as gettime reports it. */
static void report(struct posix_timer *t, struct itimerspec *out)
{
	uint64_t now, left = 0;

	if (t->expires) {
		now = clock_ref_read(&t->clock);
		if (t->interval && now >= t->expires) {
			uint64_t next = t->expires;

			next += ((now - next) / t->interval + 1) * t->interval;
			left = next - now;
		} else if (now < t->expires) {
			left = t->expires - now;
		} else {
			left = t->event.notify == SIGEV_NONE ? 0 : 1;
		}
	}
	out->it_value = timespec_from_ns(left);
	out->it_interval = timespec_from_ns(t->interval);
}

int posix_timer_settime(struct task *task, int id, int flags, const struct itimerspec *value,
			struct itimerspec *old)
{
	struct posix_timers *pt = process_timers(task->process);
	uint64_t when = ns_from_timespec(&value->it_value);
	struct posix_timer *t;

	SCOPED_LOCK(&pt->lock);
	t = find_locked(pt, id);
	if (!t)
		return -EINVAL;
	report(t, old);
	t->overrun = 0;
	t->interval = ns_from_timespec(&value->it_interval);
	t->expires = when;
	if (when && !(flags & TIMER_ABSTIME))
		t->expires = clock_ref_read(&t->clock) + when;
	if (t->expires)
		arm(t);
	return 0;
}

int posix_timer_gettime(struct task *task, int id, struct itimerspec *value)
{
	struct posix_timers *pt = process_timers(task->process);
	struct posix_timer *t;

	SCOPED_LOCK(&pt->lock);
	t = find_locked(pt, id);
	if (!t)
		return -EINVAL;
	report(t, value);
	return 0;
}

int posix_timer_getoverrun(struct task *task, int id)
{
	struct posix_timers *pt = process_timers(task->process);
	struct posix_timer *t;

	SCOPED_LOCK(&pt->lock);
	t = find_locked(pt, id);
	return t ? (int)t->last_overrun : -EINVAL;
}

/* Takes the first timer, or the one with this id, off the list. */
static struct posix_timer *take(struct posix_timers *pt, int id)
{
	struct posix_timer *t;

	SCOPED_LOCK(&pt->lock);
	if (id >= 0)
		t = find_locked(pt, id);
	else
		t = list_empty(&pt->timers) ? NULL
					    : list_first(&pt->timers, struct posix_timer, node);
	if (!t)
		return NULL;
	list_del(&t->node);
	t->owner = NULL;
	return t;
}

static bool delete (struct posix_timers *pt, int id)
{
	struct posix_timer *t = take(pt, id);

	if (!t)
		return false;
	ktimer_cancel(&t->ktimer);
	posix_timer_put(t);
	return true;
}

int posix_timer_delete(struct task *task, int id)
{
	return id >= 0 && delete (process_timers(task->process), id) ? 0 : -EINVAL;
}

void process_timers_exit(struct process *p, bool all)
{
	struct posix_timers *pt = p->timers;

	if (!pt)
		return;
	while (delete (pt, -1))
		;
	if (all)
		itimer_cancel(pt);
}

void process_timers_free(struct process *p)
{
	if (!p->timers)
		return;
	mutex_destroy(&p->timers->lock);
	free(p->timers);
	p->timers = NULL;
}
