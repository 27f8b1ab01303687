/* Refusing calls of users who have used up their share of the sentry (core/account.h). */
#ifndef GARRISON_SENTRY_SYS_ADMISSION_H
#define GARRISON_SENTRY_SYS_ADMISSION_H

#include <stdint.h>

/* 0, or the -errno of a call that would add to what the calling thread's payer has too much of. */
int syscall_admit(uint64_t nr);

#endif
