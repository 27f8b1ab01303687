/* Signals in waiting: sets and queues of siginfo, and the table of actions. All under the sighand's
 * lock but where the header says otherwise. */
#include <errno.h>

#include "common/mem.h"
#include "sentry/core/account.h"
#include "sentry/kernel/internal.h"

struct sighand *sighand_new(void)
{
	struct sighand *sh = NEW(struct sighand);

	ref_init(&sh->ref);
	mutex_init(&sh->lock, RANK_SIGHAND);
	waitq_init(&sh->signalfd_wq);
	return sh;
}

struct sighand *sighand_dup(struct sighand *sh)
{
	struct sighand *copy = sighand_new();

	mutex_lock(&sh->lock);
	memcpy(copy->action, sh->action, sizeof(copy->action));
	mutex_unlock(&sh->lock);
	return copy;
}

void sighand_put(struct sighand *sh)
{
	if (!sh || !ref_put(&sh->ref))
		return;
	waitq_destroy(&sh->signalfd_wq);
	mutex_destroy(&sh->lock);
	free(sh);
}

/* An entry that its sender's user is charged for; NULL: he has too many. What the kernel itself
 * sends is queued in any case. */
static struct sigqueue *entry_new(struct process *p, bool always)
{
	struct account *payer = account_payer();
	struct sigqueue *e;
	uint64_t limit;

	mutex_lock(&p->limit_lock);
	limit = p->limits[RLIMIT_SIGPENDING].rlim_cur;
	mutex_unlock(&p->limit_lock);
	if (!account_take(payer, COUNT_SIGQUEUE, 1, limit)) {
		if (!always)
			return NULL;
		account_take_always(payer, COUNT_SIGQUEUE, 1);
	}
	e = CHARGED_NEW(struct sigqueue);
	e->payer = payer;
	return e;
}

int sigpending_add(struct sigpending *q, struct process *p, int sig, const siginfo_t *info)
{
	struct sigqueue *entry;

	if (sig < SIGRTMIN && (q->set & KSIGBIT(sig)))
		return 0; /* standard signals merge */
	/* The kernel's own signals and SIGKILL are never lost for want of a queue entry. */
	if (sig == SIGKILL) {
		q->set |= KSIGBIT(sig);
		return 0;
	}
	entry = entry_new(p, sig < SIGRTMIN && info->si_code >= 0);
	if (!entry) {
		if (sig >= SIGRTMIN && info->si_code != SI_USER)
			return -EAGAIN;
		q->set |= KSIGBIT(sig);
		return 0;
	}
	entry->info = *info;
	entry->info.si_signo = sig;
	list_add_tail(&q->queue, &entry->node);
	q->set |= KSIGBIT(sig);
	return 0;
}

static void entry_free(struct sigqueue *e)
{
	if (e->timer) {
		posix_timer_put(e->timer);
		return;
	}
	account_give(e->payer, COUNT_SIGQUEUE, 1);
	charged_free(e);
}

static int first_of(ksigset set)
{
	if (set & SIG_SYNCHRONOUS_SET)
		set &= SIG_SYNCHRONOUS_SET;
	return set ? __builtin_ctzll(set) + 1 : 0;
}

/* The oldest entry of sig, and whether there is another. */
static struct sigqueue *find_entry(struct sigpending *q, int sig, bool *more)
{
	struct sigqueue *e, *found = NULL;

	*more = false;
	list_for_each (e, &q->queue, node) {
		if (e->info.si_signo != sig)
			continue;
		if (found) {
			*more = true;
			break;
		}
		found = e;
	}
	return found;
}

int sigpending_take(struct sigpending *q, struct process *p, ksigset set, siginfo_t *info,
		    struct posix_timer **timer)
{
	int sig = first_of(q->set & set);
	struct sigqueue *e;
	bool more;

	*timer = NULL;
	if (!sig)
		return 0;
	e = find_entry(q, sig, &more);
	if (!more)
		q->set &= ~KSIGBIT(sig);
	if (!e) {
		memset(info, 0, sizeof(*info));
		info->si_signo = sig;
		return sig;
	}
	*info = e->info;
	list_del(&e->node);
	if (e->timer)
		*timer = e->timer;
	else
		entry_free(e);
	return sig;
}

void sigpending_remove(struct sigpending *q, struct process *p, ksigset set)
{
	struct sigqueue *e, *next;

	if (!(q->set & set))
		return;
	q->set &= ~set;
	list_for_each_safe (e, next, &q->queue, node) {
		if (!(set & KSIGBIT(e->info.si_signo)))
			continue;
		list_del(&e->node);
		entry_free(e);
	}
}

void sigpending_flush(struct sigpending *q, struct process *p)
{
	sigpending_remove(q, p, ~0ULL);
}
