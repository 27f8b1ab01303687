/*
 * As in Linux an expired periodic timer is armed anew only when somebody reads
 * it (or asks for the remaining time): the expirations in between are computed
 * then, so a timer that nobody reads costs nothing.
 *
 * Deadlines are kept on the timerfd's own clock and translated to the monotonic
 * clock when the timer is armed. When a wall-clock timer fires early because the
 * host's clock was set, it is armed again; it is not told about a clock that
 * jumps forward, and TFD_TIMER_CANCEL_ON_SET therefore never cancels: guests
 * cannot set the clock.
 */
#include "sentry/fs/timerfd.h"

#include <errno.h>
#include <stdio.h>

#include "common/host.h"
#include "common/host_clock.h"
#include "common/mem.h"
#include "sentry/core/timer.h"
#include "sentry/fs/fdinfo.h"
#include "sentry/fs/inode.h"

#ifndef TFD_TIMER_CANCEL_ON_SET
#define TFD_TIMER_CANCEL_ON_SET (1 << 1)
#endif
#define TFD_IOC_SET_TICKS 0x40085400U /* _IOW('T', 0, u64) */

struct timerfd {
	struct file file;
	struct waitq wq;
	struct ktimer timer;
	int clock, base; /* immutable: as asked; what it is read from */
	struct mutex lock;

	/* guarded by lock */
	uint64_t expiry;   /* on `base`; 0: disarmed */
	uint64_t interval; /* 0: once */
	uint64_t ticks;
	bool expired; /* fired, and not armed anew since */
	int set_flags;
};

static const struct file_ops timerfd_ops;

static struct timerfd *timerfd_of(struct file *f)
{
	return container_of(f, struct timerfd, file);
}

static void arm_locked(struct timerfd *t)
{
	uint64_t now = host_clock_ns(t->base);
	uint64_t wait = t->expiry > now ? t->expiry - now : 0;

	t->expired = false;
	ktimer_arm(&t->timer, host_monotonic_ns() + wait);
}

/* On the timer thread. */
static void timerfd_fire(struct ktimer *timer)
{
	struct timerfd *t = container_of(timer, struct timerfd, timer);
	bool early;

	mutex_lock(&t->lock);
	early = t->expiry == 0 || host_clock_ns(t->base) < t->expiry;
	if (early && t->expiry) {
		arm_locked(t);
	} else if (!early && !t->expired) {
		t->expired = true;
		t->ticks++;
	}
	mutex_unlock(&t->lock);
	if (!early)
		waitq_wake(&t->wq, POLLIN);
}

/* Counts the periods that passed since the timer fired and arms it for the next. */
static void catch_up_locked(struct timerfd *t)
{
	uint64_t now = host_clock_ns(t->base), periods = 1;

	if (!t->expired || !t->interval)
		return;
	if (now > t->expiry)
		periods += (now - t->expiry) / t->interval;
	t->ticks += periods - 1;
	t->expiry += periods * t->interval;
	arm_locked(t);
}

static ssize_t timerfd_read(struct file *f, void *buf, size_t n, off_t *pos)
{
	struct timerfd *t = timerfd_of(f);
	uint64_t ticks;

	if (n < sizeof(ticks))
		return -EINVAL;
	mutex_lock(&t->lock);
	if (t->ticks)
		catch_up_locked(t);
	ticks = t->ticks;
	t->ticks = 0;
	mutex_unlock(&t->lock);
	if (ticks == 0)
		return -EAGAIN;
	memcpy(buf, &ticks, sizeof(ticks));
	return sizeof(ticks);
}

static uint32_t timerfd_poll(struct file *f)
{
	struct timerfd *t = timerfd_of(f);

	SCOPED_LOCK(&t->lock);
	return t->ticks ? POLLIN : 0;
}

static long timerfd_ioctl(struct file *f, unsigned int cmd, uint64_t arg,
			  struct guest_access *caller)
{
	struct timerfd *t = timerfd_of(f);
	uint64_t ticks;
	int err;

	if (cmd != TFD_IOC_SET_TICKS)
		return -ENOTTY;
	err = ga_copyin(caller, &ticks, UADDR(arg), sizeof(ticks));
	if (err)
		return err;
	if (ticks == 0)
		return -EINVAL;
	mutex_lock(&t->lock);
	t->ticks = ticks;
	mutex_unlock(&t->lock);
	waitq_wake(&t->wq, POLLIN);
	return 0;
}

static void current_locked(struct timerfd *t, struct itimerspec *value)
{
	uint64_t now = host_clock_ns(t->base), left = 0;

	/* A deadline that passed a moment ago has not always fired yet. */
	if (t->expiry && !t->expired)
		left = t->expiry > now ? t->expiry - now : 1;
	value->it_value = timespec_from_ns(left);
	value->it_interval = timespec_from_ns(t->interval);
}

int timerfd_get(struct file *f, struct itimerspec *value)
{
	struct timerfd *t = timerfd_of(f);

	if (f->ops != &timerfd_ops)
		return -EINVAL;
	SCOPED_LOCK(&t->lock);
	catch_up_locked(t);
	current_locked(t, value);
	return 0;
}

static bool valid(const struct timespec *ts)
{
	return ts->tv_sec >= 0 && ts->tv_nsec >= 0 && ts->tv_nsec < (long)NSEC_PER_SEC;
}

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
	return a + b < a || a + b > INT64_MAX ? INT64_MAX : a + b;
}

int timerfd_clock(const struct file *f)
{
	return f->ops == &timerfd_ops ? timerfd_of((struct file *)f)->clock : -EINVAL;
}

int timerfd_set(struct file *f, int flags, const struct itimerspec *value, struct itimerspec *old)
{
	struct timerfd *t = timerfd_of(f);
	uint64_t expiry = ns_from_timespec(&value->it_value);

	if (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET))
		return -EINVAL;
	if (!valid(&value->it_value) || !valid(&value->it_interval))
		return -EINVAL;
	if (f->ops != &timerfd_ops)
		return -EINVAL;
	ktimer_cancel(&t->timer);
	mutex_lock(&t->lock);
	if (old) {
		catch_up_locked(t);
		current_locked(t, old);
	}
	if (expiry && !(flags & TFD_TIMER_ABSTIME))
		expiry = add_saturated(expiry, host_clock_ns(t->base));
	t->expiry = expiry;
	t->interval = ns_from_timespec(&value->it_interval);
	t->ticks = 0;
	t->expired = false;
	t->set_flags = flags;
	if (expiry) /* else a timer that another caller armed just now finds expiry 0 */
		arm_locked(t);
	mutex_unlock(&t->lock);
	return 0;
}

static size_t timerfd_fdinfo(struct file *f, char *buf, size_t size)
{
	struct timerfd *t = timerfd_of(f);
	struct itimerspec value;

	SCOPED_LOCK(&t->lock);
	current_locked(t, &value);
	return (size_t)snprintf(buf, size,
				"clockid: %d\nticks: %llu\nsettime flags: 0%o\n"
				"it_value: (%llu, %llu)\nit_interval: (%llu, %llu)\n",
				t->clock, (unsigned long long)t->ticks, t->set_flags,
				(unsigned long long)value.it_value.tv_sec,
				(unsigned long long)value.it_value.tv_nsec,
				(unsigned long long)value.it_interval.tv_sec,
				(unsigned long long)value.it_interval.tv_nsec);
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = timerfd_of(f);

	mutex_lock(&t->lock);
	t->expiry = 0; /* so that it does not arm itself again */
	mutex_unlock(&t->lock);
	ktimer_cancel(&t->timer);
	file_fini(f);
	waitq_destroy(&t->wq);
	mutex_destroy(&t->lock);
	free(t);
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .ioctl = timerfd_ioctl,
    .release = timerfd_release,
};

static int base_clock(int clock)
{
	switch (clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
		return CLOCK_REALTIME;
	case CLOCK_MONOTONIC:
		return CLOCK_MONOTONIC;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return CLOCK_BOOTTIME;
	}
	return -EINVAL;
}

int timerfd_new(const struct cred *cred, int clock, int flags, struct file **out)
{
	struct path none = {0};
	struct inode *inode;
	struct timerfd *t;
	int base = base_clock(clock);

	if (base < 0)
		return base;
	if ((clock == CLOCK_REALTIME_ALARM || clock == CLOCK_BOOTTIME_ALARM) &&
	    !cred_capable(cred, CAP_WAKE_ALARM))
		return -EPERM;
	fdinfo_register(&timerfd_ops, timerfd_fdinfo);
	t = NEW(struct timerfd);
	inode = anon_inode_new("[timerfd]", 0);
	file_init(&t->file, &timerfd_ops, inode, &none, cred, O_RDWR | (flags & O_NONBLOCK));
	inode_put(inode);
	waitq_init(&t->wq);
	mutex_init(&t->lock, RANK_OBJECT);
	ktimer_init(&t->timer, timerfd_fire);
	t->file.wq = &t->wq;
	t->clock = clock;
	t->base = base;
	*out = &t->file;
	return 0;
}
