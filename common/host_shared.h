/* Memory shared with another process, and futexes in it, as -errno wrappers (see host.h). */
#ifndef GARRISON_COMMON_HOST_SHARED_H
#define GARRISON_COMMON_HOST_SHARED_H

#include "common/base.h"

/* n bytes of a memfd, shared; NULL: no memory. */
void *host_map_shared(int fd, size_t n) MUST_CHECK;
void host_unmap(void *p, size_t n);

/* A futex word that another process shares. Wait: until woken, a signal, or the word differs;
 * with a time limit also -ETIMEDOUT after `ns`. */
int host_shared_futex_wait(uint32_t *word, uint32_t expect);
int host_shared_futex_wait_for(uint32_t *word, uint32_t expect, uint64_t ns);
void host_shared_futex_wake(uint32_t *word);

#endif
