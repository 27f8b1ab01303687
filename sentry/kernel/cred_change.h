/* Changing credentials (kernel/cred_change.c): credentials(7), capabilities(7). */
#ifndef GARRISON_SENTRY_KERNEL_CRED_CHANGE_H
#define GARRISON_SENTRY_KERNEL_CRED_CHANGE_H

#include "sentry/kernel/task.h"

#define KEEP_ID 0xffffffffu /* -1: leave as it is */

/* All of the calling task; 0 or -EPERM, -EINVAL. */
long cred_set_uid(struct task *t, uint32_t uid);
long cred_set_reuid(struct task *t, uint32_t ruid, uint32_t euid);
long cred_set_resuid(struct task *t, uint32_t ruid, uint32_t euid, uint32_t suid);
long cred_set_fsuid(struct task *t, uint32_t uid); /* the old one */
long cred_set_gid(struct task *t, uint32_t gid);
long cred_set_regid(struct task *t, uint32_t rgid, uint32_t egid);
long cred_set_resgid(struct task *t, uint32_t rgid, uint32_t egid, uint32_t sgid);
long cred_set_fsgid(struct task *t, uint32_t gid);
long cred_set_groups_of(struct task *t, const uint32_t *groups, int n);
long cred_set_caps(struct task *t, capset effective, capset permitted, capset inheritable);

#endif
