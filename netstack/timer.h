/*
 * Timers of one stack: a tree by deadline, nothing allocated. Moving a timer to a later
 * time, which TCP does with every acknowledgement, only notes it; the tree follows when
 * the old deadline comes. All under the stack's lock.
 */
#ifndef GARRISON_NETSTACK_TIMER_H
#define GARRISON_NETSTACK_TIMER_H

#include "common/rbtree.h"
#include "netstack/netstack.h"

struct ns_timer {
	struct rb_node node;
	uint64_t queued;  /* its place in the tree */
	uint64_t expires; /* >= queued; NS_NEVER: not armed */
	bool in_tree;
	/* May arm, cancel and free any timer, this one too. Stack locked. */
	void (*fire)(struct ns_timer *t, uint64_t now);
};

struct timer_queue {
	struct rb_tree tree;
	struct rb_node *first;
};

void timer_queue_init(struct timer_queue *q);
void ns_timer_init(struct ns_timer *t, void (*fire)(struct ns_timer *t, uint64_t now));
/* Arms or moves it to an absolute time. */
void ns_timer_arm(struct timer_queue *q, struct ns_timer *t, uint64_t expires);
void ns_timer_cancel(struct timer_queue *q, struct ns_timer *t);
static inline bool ns_timer_armed(const struct ns_timer *t)
{
	return t->expires != NS_NEVER;
}
/* Fires one that is due and returns true. */
bool timer_fire_one(struct timer_queue *q, uint64_t now);
/* When to look again (maybe too early). */
uint64_t timer_next(const struct timer_queue *q);

#endif
