/* Blocks of memory that know who pays for them: a head before each. See account.h. */
#include <errno.h>

#include "common/mem.h"
#include "sentry/core/account.h"

struct head {
	struct account *payer; /* alive while the block is charged */
	size_t charge;
};
static_assert(sizeof(struct head) == 16, "keeps malloc's alignment");

static void *block(struct head *h, struct account *payer, size_t charge)
{
	*h = (struct head){payer, charge};
	return h + 1;
}

static void *alloc(size_t n, void *(*from)(size_t))
{
	struct account *payer;
	struct head *h;
	size_t charge;

	if (__builtin_add_overflow(n, sizeof(*h), &charge) || account_charge(charge, &payer) < 0)
		return NULL;
	h = from(charge);
	if (!h) {
		account_uncharge(payer, charge);
		return NULL;
	}
	return block(h, payer, charge);
}

static void *zeroed(size_t n)
{
	return try_calloc(1, n);
}

void *charged_alloc(size_t n)
{
	return alloc(n, zeroed);
}

void *charged_malloc(size_t n)
{
	return alloc(n, try_malloc);
}

void *charged_calloc(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? NULL : charged_alloc(bytes);
}

void *charged_realloc(void *p, size_t n)
{
	size_t old = p ? ((struct head *)p)[-1].charge - sizeof(struct head) : 0;
	void *new = charged_malloc(n);

	if (!new)
		return NULL;
	if (old)
		memcpy(new, p, min(old, n));
	charged_free(p);
	return new;
}

void *charged_always_as(size_t n, size_t weight)
{
	struct head *h = xzalloc(n + sizeof(*h));

	return block(h, account_charge_always(weight), weight);
}

void *charged_always(size_t n)
{
	return charged_always_as(n, n + sizeof(struct head));
}

void charged_free(void *p)
{
	struct head h;

	if (!p)
		return;
	h = ((struct head *)p)[-1];
	free((struct head *)p - 1);
	account_uncharge(h.payer, h.charge);
}
