/* Start-up of the sentry's parts; main.c starts what lies in sys/. */
#ifndef GARRISON_SENTRY_CONTROL_BOOT_H
#define GARRISON_SENTRY_CONTROL_BOOT_H

/* First of all: what must be read from the host's files while they are there. */
void boot_host_facts(void);
/* Single-threaded, in the empty root, before the seccomp filter: file system types, devices,
 * helper threads. */
void boot_parts(void);

#endif
