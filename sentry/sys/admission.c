/*
 * The calls that make the sentry keep objects which are charged without a bound,
 * because they are made where nothing may fail any more: open files, tasks, memory
 * mappings, mounts. A user who is over his share does not get to make them. Each
 * has the error that Linux has for its own want of them: ENFILE at fs.file-max,
 * which holds for users without privilege, EAGAIN for tasks, else ENOMEM.
 *
 * Calls that let go of something are never refused; and those that keep something
 * whose size the guest chooses find out themselves.
 */
#include "sentry/sys/admission.h"

#include <errno.h>
#include <sys/syscall.h>

#include "sentry/core/account.h"
#include "sentry/sys/syscall.h"

static const uint8_t refusals[PF_NSYSCALLS] = {
    [SYS_open] = ENFILE,
    [SYS_openat] = ENFILE,
    [SYS_openat2] = ENFILE,
    [SYS_creat] = ENFILE,
    [SYS_open_by_handle_at] = ENFILE,
    [SYS_pipe] = ENFILE,
    [SYS_pipe2] = ENFILE,
    [SYS_socket] = ENFILE,
    [SYS_socketpair] = ENFILE,
    [SYS_accept] = ENFILE,
    [SYS_accept4] = ENFILE,
    [SYS_connect] = ENOMEM,
    [SYS_eventfd] = ENFILE,
    [SYS_eventfd2] = ENFILE,
    [SYS_epoll_create] = ENFILE,
    [SYS_epoll_create1] = ENFILE,
    [SYS_timerfd_create] = ENFILE,
    [SYS_signalfd] = ENFILE,
    [SYS_signalfd4] = ENFILE,
    [SYS_inotify_init] = ENFILE,
    [SYS_inotify_init1] = ENFILE,
    [SYS_memfd_create] = ENFILE,
    [SYS_pidfd_open] = ENFILE,
    [SYS_mq_open] = ENFILE,
    [SYS_fork] = EAGAIN,
    [SYS_vfork] = EAGAIN,
    [SYS_clone] = EAGAIN,
    [SYS_clone3] = EAGAIN,
    [SYS_execve] = ENOMEM,
    [SYS_execveat] = ENOMEM,
    [SYS_mmap] = ENOMEM,
    [SYS_mremap] = ENOMEM,
    [SYS_mprotect] = ENOMEM,
    [SYS_mlock] = ENOMEM,
    [SYS_mlock2] = ENOMEM,
    [SYS_shmat] = ENOMEM,
    [SYS_shmget] = ENOMEM,
    [SYS_unshare] = ENOMEM,
    [SYS_mount] = ENOMEM,
};

int syscall_admit(uint64_t nr)
{
	return refusals[nr] && account_admit() < 0 ? -refusals[nr] : 0;
}
