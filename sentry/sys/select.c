/* select(2), pselect6(2). */
#include <errno.h>
#include <sys/time.h>

#include "common/host.h"
#include "common/host_clock.h"
#include "sentry/abi/restart.h"
#include "sentry/core/account.h"
#include "sentry/kernel/signal.h"
#include "sentry/kernel/usermem.h"
#include "sentry/sys/decl.h"
#include "sentry/sys/poll.h"

#define MAX_FDS (1 << 20)
#define WORD_BITS 64
#define SETS 3
#define ON_STACK 16 /* words of one set: FD_SETSIZE */

/* In the order of the arguments: what makes a descriptor readable, writable, exceptional. */
static const uint32_t set_events[SETS] = {
    POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR,
    POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR,
    POLLPRI,
};

/* Three bitmaps of `words` words, one after the other. */
struct fd_sets {
	int n;
	size_t words;
	uaddr at[SETS]; /* NULL: the guest gave none */
	uint64_t *bits;
};

static bool test_bit(const struct fd_sets *s, int set, int fd)
{
	return s->bits[(size_t)set * s->words + (size_t)fd / WORD_BITS] >> (fd % WORD_BITS) & 1;
}

static uint32_t wanted(const struct fd_sets *s, int fd)
{
	uint32_t want = 0;

	for (int set = 0; set < SETS; set++)
		if (test_bit(s, set, fd))
			want |= set_events[set];
	return want;
}

/* Bits behind n in the last word are ignored, and given back as zero. */
static int copyin_sets(struct task *t, struct fd_sets *s)
{
	for (int set = 0; set < SETS; set++) {
		uint64_t *bits = s->bits + (size_t)set * s->words;
		int err;

		if (uaddr_null(s->at[set]) || s->words == 0)
			continue;
		err = copyin(t, bits, s->at[set], s->words * sizeof(*bits));
		if (err)
			return err;
		if (s->n % WORD_BITS)
			bits[s->words - 1] &= BIT(s->n % WORD_BITS) - 1;
	}
	return 0;
}

static int copyout_sets(struct task *t, const struct fd_sets *s)
{
	int err = 0;

	for (int set = 0; set < SETS && !err; set++)
		if (!uaddr_null(s->at[set]) && s->words)
			err = copyout(t, s->at[set], s->bits + (size_t)set * s->words,
				      s->words * sizeof(*s->bits));
	return err;
}

static size_t count_fds(const struct fd_sets *s)
{
	size_t count = 0;

	for (int fd = 0; fd < s->n; fd++)
		count += wanted(s, fd) != 0;
	return count;
}

/* Turns the sets from what was asked into what holds; gives the number of bits. */
static long store_results(struct fd_sets *s, const struct watch *watches, size_t n)
{
	uint64_t *asked = s->bits;
	long count = 0;

	for (size_t i = 0; i < n; i++) {
		for (size_t set = 0; set < SETS; set++) {
			uint64_t *word = &asked[set * s->words + (size_t)watches[i].fd / WORD_BITS];
			uint64_t bit = BIT(watches[i].fd % WORD_BITS);

			if (!(*word & bit))
				continue;
			if (watches[i].got & set_events[set])
				count++;
			else
				*word &= ~bit;
		}
	}
	return count;
}

static long select_watches(struct task *t, struct fd_sets *s, struct watch *watches,
			   uint64_t deadline)
{
	size_t n = 0;
	long count = 0;

	for (int fd = 0; fd < s->n && !count; fd++) {
		uint32_t want = wanted(s, fd);

		if (!want)
			continue;
		watch_init(&watches[n], t, fd, want);
		if (!watches[n++].file)
			count = -EBADF;
	}
	if (!count)
		count = watch_wait(t, watches, n, deadline);
	if (count >= 0)
		count = store_results(s, watches, n);
	for (size_t i = 0; i < n; i++)
		watch_fini(&watches[i]);
	return count;
}

static long select_sets(struct task *t, struct fd_sets *s, uint64_t deadline)
{
	struct watch few[ON_STACK], *watches = few;
	size_t nfds;
	long count;
	int err = copyin_sets(t, s);

	if (err)
		return err;
	nfds = count_fds(s);
	if (nfds > ARRAY_SIZE(few))
		watches = charged_calloc(nfds, sizeof(*watches));
	if (!watches)
		return -ENOMEM;
	count = select_watches(t, s, watches, deadline);
	if (watches != few)
		charged_free(watches);
	if (count >= 0)
		err = copyout_sets(t, s);
	return err ? err : count;
}

static long do_select(struct task *t, const struct sysargs *a, uint64_t deadline)
{
	uint64_t few[SETS * ON_STACK] = {0};
	struct fd_sets s = {.n = (int)a->v[0], .bits = few};
	long count;

	if (s.n < 0)
		return -EINVAL;
	s.n = min(s.n, MAX_FDS);
	for (int set = 0; set < SETS; set++)
		s.at[set] = UADDR(a->v[1 + set]);
	s.words = ((size_t)s.n + WORD_BITS - 1) / WORD_BITS;
	if (s.words > ON_STACK)
		s.bits = charged_calloc(SETS * s.words, sizeof(*s.bits));
	if (!s.bits)
		return -ENOMEM;
	count = select_sets(t, &s, deadline);
	if (s.bits != few)
		charged_free(s.bits);
	return count == -ERESTARTSYS ? -ERESTARTNOHAND : count;
}

static uint64_t rest_of(uint64_t deadline)
{
	uint64_t now = host_monotonic_ns();

	return deadline > now ? deadline - now : 0;
}

static long copied(int err, long result)
{
	return err && result == -ERESTARTNOHAND ? -EINTR : result;
}

long sys_select(struct task *t, const struct sysargs *a)
{
	uint64_t deadline = SLEEP_FOREVER, ns;
	uaddr at = UADDR(a->v[4]);
	struct timeval tv;
	struct timespec ts;
	long count;
	int err;

	if (uaddr_null(at))
		return do_select(t, a, SLEEP_FOREVER);
	err = copyin(t, &tv, at, sizeof(tv));
	if (err)
		return err;
	if (tv.tv_sec < 0 || tv.tv_usec < 0)
		return -EINVAL;
	ts = (struct timespec){.tv_sec = tv.tv_sec, .tv_nsec = tv.tv_usec % 1000000 * 1000};
	if (ts.tv_sec < INT64_MAX / 2)
		ts.tv_sec += tv.tv_usec / 1000000;
	ns = ns_from_timespec(&ts);
	deadline = deadline_ns((int64_t)ns);
	count = do_select(t, a, deadline);
	ts = timespec_from_ns(rest_of(deadline));
	tv = (struct timeval){.tv_sec = ts.tv_sec, .tv_usec = ts.tv_nsec / 1000};
	return copied(copyout(t, at, &tv, sizeof(tv)), count);
}

long sys_pselect6(struct task *t, const struct sysargs *a)
{
	struct {
		uint64_t set, size;
	} mask = {0};
	uaddr at = UADDR(a->v[4]);
	struct timespec rest;
	uint64_t deadline;
	int64_t timeout;
	long count;
	int err = 0;

	if (a->v[5])
		err = copyin(t, &mask, UADDR(a->v[5]), sizeof(mask));
	if (!err)
		err = copyin_timeout(t, at, &timeout);
	if (!err)
		err = signal_set_temporary_user(t, UADDR(mask.set), mask.size);
	if (err)
		return err;
	deadline = deadline_ns(timeout);
	count = do_select(t, a, deadline);
	if (uaddr_null(at))
		return count;
	rest = timespec_from_ns(rest_of(deadline));
	return copied(copyout(t, at, &rest, sizeof(rest)), count);
}
