/* What else is made from the syscall table. */
#ifndef GARRISON_SENTRY_SYS_RULES_H
#define GARRISON_SENTRY_SYS_RULES_H

#include <stdio.h>

/* Gives the platform the stub's copy rules (pf_set_syscall_rules). Before pf_init. */
void syscall_rules_init(void);
/* Writes docs/compatibility.md. */
void syscall_table_print(FILE *out);

#endif
