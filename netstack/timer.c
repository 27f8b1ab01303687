/* The tree of timers, ordered by `queued`; see timer.h for why that may lag behind `expires`. */
#include "netstack/timer.h"

static struct ns_timer *timer_of(struct rb_node *n)
{
	return n ? container_of(n, struct ns_timer, node) : NULL;
}

void timer_queue_init(struct timer_queue *q)
{
	rb_init(&q->tree, NULL);
	q->first = NULL;
}

void ns_timer_init(struct ns_timer *t, void (*fire)(struct ns_timer *t, uint64_t now))
{
	*t = (struct ns_timer){.expires = NS_NEVER, .fire = fire};
}

static void insert(struct timer_queue *q, struct ns_timer *t)
{
	struct rb_node **link = &q->tree.root, *parent = NULL;
	bool first = true;

	t->queued = t->expires;
	while (*link) {
		parent = *link;
		if (t->queued < timer_of(parent)->queued) {
			link = &parent->left;
		} else {
			link = &parent->right;
			first = false;
		}
	}
	rb_insert(&q->tree, &t->node, parent, link);
	t->in_tree = true;
	if (first)
		q->first = &t->node;
}

static void erase(struct timer_queue *q, struct ns_timer *t)
{
	if (q->first == &t->node)
		q->first = rb_next(&t->node);
	rb_erase(&q->tree, &t->node);
	t->in_tree = false;
}

void ns_timer_arm(struct timer_queue *q, struct ns_timer *t, uint64_t expires)
{
	t->expires = min(expires, NS_NEVER - 1);
	if (t->in_tree && t->queued <= t->expires)
		return;
	if (t->in_tree)
		erase(q, t);
	insert(q, t);
}

void ns_timer_cancel(struct timer_queue *q, struct ns_timer *t)
{
	if (t->in_tree)
		erase(q, t);
	t->expires = NS_NEVER;
}

bool timer_fire_one(struct timer_queue *q, uint64_t now)
{
	struct ns_timer *t;

	while ((t = timer_of(q->first)) && t->queued <= now) {
		erase(q, t);
		if (t->expires > now) {
			insert(q, t);
			continue;
		}
		t->expires = NS_NEVER;
		t->fire(t, now);
		return true;
	}
	return false;
}

uint64_t timer_next(const struct timer_queue *q)
{
	return q->first ? timer_of(q->first)->queued : NS_NEVER;
}
