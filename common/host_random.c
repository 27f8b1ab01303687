#include "common/host_random.h"

#include <sys/random.h>

#include "common/log.h"

/* #host: getrandom sentry */
void host_random(void *buf, size_t n)
{
	char *p = buf;

	while (n > 0) {
		ssize_t r = getrandom(p, n, 0);

		if (r <= 0)
			panic("getrandom failed");
		p += r;
		n -= (size_t)r;
	}
}
