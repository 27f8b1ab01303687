#include "sentry/platform/systrap/spin.h"

#include "sentry/platform/pf.h"

bool spin_for(const uint32_t *word, uint32_t value, uint32_t *score)
{
	unsigned int limit = pf.config.spin ? 2000 : 1;

	for (unsigned int i = 0; i < limit; i++) {
		if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value) {
			COUNT(spins_won);
			return true;
		}
		__builtin_ia32_pause();
	}
	return false;
}

uint32_t spin_stub(uint32_t score)
{
	return pf.config.spin ? 2000 : 1;
}
