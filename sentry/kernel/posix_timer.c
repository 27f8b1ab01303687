#include "sentry/kernel/internal.h"

void process_timers_free(struct process *p)
{
}

void process_timers_exit(struct process *p, bool all)
{
}

void posix_timer_delivered(struct posix_timer *timer, siginfo_t *info)
{
}

void posix_timer_put(struct posix_timer *timer)
{
}
