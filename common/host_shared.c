#include "common/host_shared.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"

/* #host: mmap[2&4=0],munmap sentry gofer */
void *host_map_shared(int fd, size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void host_unmap(void *p, size_t n)
{
	munmap(p, n);
}

static int wait_on(uint32_t *word, uint32_t expect, const struct timespec *limit)
{
	return syscall(SYS_futex, word, FUTEX_WAIT, expect, limit, NULL, 0) < 0 ? -errno : 0;
}

/* #host: futex sentry gofer */
int host_shared_futex_wait(uint32_t *word, uint32_t expect)
{
	return wait_on(word, expect, NULL);
}

int host_shared_futex_wait_for(uint32_t *word, uint32_t expect, uint64_t ns)
{
	struct timespec limit = {
	    .tv_sec = (time_t)(ns / NSEC_PER_SEC),
	    .tv_nsec = (long)(ns % NSEC_PER_SEC),
	};

	return wait_on(word, expect, &limit);
}

void host_shared_futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}
