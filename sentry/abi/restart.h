/*
 * Restart codes, as in Linux's include/linux/errno.h. They live between the
 * file operations and the syscall exit path (kernel/signal_deliver.c), and
 * never reach a guest.
 */
#ifndef GARRISON_SENTRY_ABI_RESTART_H
#define GARRISON_SENTRY_ABI_RESTART_H

#define ERESTARTSYS 512		  /* restart if the handler has SA_RESTART, else -EINTR */
#define ERESTARTNOINTR 513	  /* always restart */
#define ERESTARTNOHAND 514	  /* restart only if no handler ran */
#define ERESTART_RESTARTBLOCK 516 /* restart through restart_syscall(2) */

#endif
