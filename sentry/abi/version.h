/* What uname(2) and /proc say of this kernel. */
#ifndef GARRISON_SENTRY_ABI_VERSION_H
#define GARRISON_SENTRY_ABI_VERSION_H

#define GUEST_OSTYPE "Linux"
#define GUEST_OSRELEASE "6.6.0"
#define GUEST_VERSION "#1 SMP PREEMPT_DYNAMIC Garrison"

#endif
