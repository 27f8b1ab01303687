/* netstack/pkt.c, checksum.c, timer.c: pieces, sharing, accounting; sums against a simple one. */
/* link: netstack/[a-z]*.c tests/unit/netstack/peer.c common/[a-z]*.c */
#include "netstack/checksum.h"
#include "netstack/pkt.h"
#include "netstack/siphash.h"
#include "netstack/timer.h"
#include "tests/unit/netstack/peer.h"

static struct pkt_pool pool;
static unsigned char pattern[70000];

static void setup(void)
{
	pool = (struct pkt_pool){.limit = 1 << 20};
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (unsigned char)(i * 7 + (i >> 8) * 13);
}

static void teardown(void)
{
	ck_assert_uint_eq(atomic_load(&pool.used), 0);
}

/* A packet with the first n bytes of the pattern, in pieces of different sizes: some pushed. */
static struct pkt *scattered(size_t pushed, const size_t *sizes, size_t nsizes)
{
	struct pkt *p = pkt_new(&pool);
	size_t at = pushed;

	for (size_t i = 0; i < nsizes; i++) {
		struct chunk *c = chunk_new(&pool, sizes[i] + 5);

		memcpy(c->data + 3, pattern + at, sizes[i]);
		ck_assert_int_eq(pkt_append(p, c, 3, (uint32_t)sizes[i]), 0);
		chunk_put(c);
		at += sizes[i];
	}
	memcpy(pkt_push(p, pushed), pattern, pushed);
	return p;
}

static struct pkt *sample(void)
{
	static const size_t sizes[] = {1, 40, 7, 1000, 333};

	return scattered(33, sizes, ARRAY_SIZE(sizes));
}

static void check_bytes(const struct pkt *p, size_t from, size_t n)
{
	unsigned char buf[70000];

	ck_assert_uint_eq(p->len, n);
	pkt_copy(p, 0, buf, n);
	ck_assert_int_eq(memcmp(buf, pattern + from, n), 0);
}

START_TEST(pull_and_trim_take_from_either_end)
{
	for (size_t front = 0; front <= 1414; front += 13) {
		struct pkt *p = sample();

		check_bytes(p, 0, 1414);
		pkt_pull(p, front);
		check_bytes(p, front, 1414 - front);
		pkt_trim(p, (1414 - front) / 2);
		check_bytes(p, front, (1414 - front) / 2);
		pkt_free(p);
	}
}
END_TEST

START_TEST(peek_never_reads_beyond_the_end)
{
	struct pkt *p = sample();
	unsigned char buf[64];

	for (size_t off = 0; off < 1420; off++)
		for (size_t n = 0; n <= 64; n += 9) {
			const unsigned char *got = pkt_peek(p, off, n, buf);

			ck_assert_int_eq(got != NULL, off + n <= 1414);
			if (got)
				ck_assert_int_eq(memcmp(got, pattern + off, n), 0);
		}
	ck_assert_ptr_null(pkt_peek(p, SIZE_MAX, 2, buf));
	ck_assert_ptr_null(pkt_peek(p, 2, SIZE_MAX, buf));
	pkt_free(p);
}
END_TEST

START_TEST(slices_share_and_outlive)
{
	struct pkt *p = sample(), *s[30];

	for (size_t i = 0; i < 30; i++)
		s[i] = pkt_slice(p, i * 40, 40 + i);
	ck_assert(!pkt_is_writable(p, 40, 4) && pkt_is_writable(p, 0, 33));
	pkt_free(p);
	for (size_t i = 0; i < 30; i++) {
		check_bytes(s[i], i * 40, 40 + i);
		pkt_free(s[i]);
	}
}
END_TEST

START_TEST(adjoining_pieces_merge_and_others_run_out)
{
	struct chunk *c = chunk_new(&pool, 1000), *other = chunk_new(&pool, 10);
	struct pkt *p = pkt_new(&pool);

	for (uint32_t i = 0; i < 100; i++)
		ck_assert_int_eq(pkt_append(p, c, i * 10, 10), 0);
	ck_assert_uint_eq(p->nfrags, 1);
	for (int i = 1; i < PKT_FRAGS; i++)
		ck_assert_int_eq(pkt_append(p, i & 1 ? other : c, 0, 5), 0);
	ck_assert_int_eq(pkt_append(p, other, 5, 1), PKT_FRAGS & 1 ? -ENOBUFS : 0);
	ck_assert_int_eq(pkt_append(p, c, 500, 1), -ENOBUFS);
	chunk_put(c);
	chunk_put(other);
	pkt_free(p);
}
END_TEST

START_TEST(join_and_linearize_keep_the_bytes)
{
	static const size_t a[] = {10, 20}, b[] = {30};
	struct pkt *p = scattered(5, a, 2), *q;
	size_t n = p->len;

	q = scattered(7, b, 1);
	ck_assert_int_eq(pkt_join(p, q), 0);
	ck_assert_uint_eq(p->len, n + 37);
	p = pkt_linearize(p);
	ck_assert_uint_eq(p->nfrags, 1);
	ck_assert_int_eq(memcmp(pkt_data(p), pattern, n), 0);
	ck_assert_int_eq(memcmp((char *)pkt_data(p) + n, pattern, 37), 0);
	pkt_free(p);
}
END_TEST

START_TEST(the_pool_is_a_hard_bound)
{
	struct pkt *p[100];
	size_t n = 0;

	pool.limit = 100000;
	while (n < 100 && (p[n] = pkt_alloc(&pool, 9000)))
		n++;
	ck_assert(n > 5 && n < 12);
	ck_assert_uint_le(atomic_load(&pool.used), pool.limit);
	ck_assert_ptr_null(chunk_new(&pool, CHUNK_MAX + 1));
	while (n > 0)
		pkt_free(p[--n]);
}
END_TEST

START_TEST(offload_offsets_follow_push_and_pull)
{
	struct pkt *p = pkt_from(&pool, pattern, 100);

	p->off = (struct ns_offload){.csum_partial = true, .csum_start = 5, .gso = NS_GSO_TCP4};
	p->off.hdr_len = 30;
	pkt_push(p, 20);
	ck_assert_uint_eq(p->off.csum_start, 25);
	ck_assert_uint_eq(p->off.hdr_len, 50);
	pkt_pull(p, 15);
	ck_assert_uint_eq(p->off.csum_start, 10);
	ck_assert_uint_eq(p->off.hdr_len, 35);
	pkt_free(p);
}
END_TEST

/* RFC 1071 as it is written. */
static uint16_t simple(const unsigned char *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

START_TEST(sums_are_those_of_the_simple_way)
{
	for (size_t off = 0; off < 8; off++)
		for (size_t n = 0; n < 300; n++)
			ck_assert_uint_eq(ntohs(csum_fold(csum_add(0, pattern + off, n))),
					  simple(pattern + off, n));
	ck_assert_uint_eq(ntohs(csum_fold(csum_add(0, pattern, 65535))), simple(pattern, 65535));
	memset(pattern, 0xff, sizeof(pattern));
	ck_assert_uint_eq(csum_fold(csum_add(0, pattern, 65536)), 0xffff);
}
END_TEST

START_TEST(sums_over_pieces_of_odd_sizes_are_right)
{
	struct pkt *p = sample();

	for (size_t off = 0; off < 100; off++)
		for (size_t n = 0; n <= 1414 - off; n += 57)
			ck_assert_uint_eq(ntohs(csum_fold(pkt_sum(p, off, n))),
					  simple(pattern + off, n));
	pkt_free(p);
}
END_TEST

START_TEST(partial_checksums_complete_to_valid_ones)
{
	struct ns_ip src = peer_ip("2001:db8::1"), dst = peer_ip("2001:db8::2");
	struct pkt *p = pkt_from(&pool, pattern, 777);
	unsigned char *h = pkt_push(p, 8), buf[785];
	uint16_t sum;

	memset(h, 0, 8);
	csum_partial(p, 6, &src, &dst, 17);
	ck_assert(csum_verify(p, 0, &src, &dst, 17)); /* trusted while it is partial */
	ck_assert_int_eq(csum_complete(p), 0);
	ck_assert(!p->off.csum_partial && csum_verify(p, 0, &src, &dst, 17));
	pkt_copy(p, 0, buf, sizeof(buf));
	memcpy(&sum, buf + 6, 2);
	memset(buf + 6, 0, 2);
	ck_assert_uint_eq(sum, peer_checksum(&src, &dst, 17, buf, sizeof(buf)));
	buf[100] ^= 1;
	pkt_free(p);
	memcpy(buf + 6, &sum, 2);
	p = pkt_from(&pool, buf, sizeof(buf));
	ck_assert(!csum_verify(p, 0, &src, &dst, 17));
	pkt_free(p);
}
END_TEST

START_TEST(siphash_has_its_published_values)
{
	unsigned char key[16], in[64];
	uint64_t k[2];

	for (int i = 0; i < 64; i++)
		in[i] = (unsigned char)i;
	memcpy(key, in, 16);
	memcpy(k, key, 16);
	ck_assert_uint_eq(siphash(k, in, 0), 0x726fdb47dd0e0e31);
	ck_assert_uint_eq(siphash(k, in, 8), 0x93f5f5799a932462);
	ck_assert_uint_eq(siphash(k, in, 15), 0xa129ca6149be45e5);
}
END_TEST

struct probe {
	struct ns_timer t;
	uint64_t fired;
};

static void note(struct ns_timer *t, uint64_t now)
{
	container_of(t, struct probe, t)->fired = now;
}

START_TEST(timers_fire_in_order_and_move)
{
	struct timer_queue q;
	struct probe p[50];

	timer_queue_init(&q);
	for (unsigned int i = 0; i < 50; i++) {
		p[i].fired = 0;
		ns_timer_init(&p[i].t, note);
		ns_timer_arm(&q, &p[i].t, 1000 + i * 37 % 50 * 10);
	}
	ns_timer_arm(&q, &p[0].t, 5000); /* later: noted only */
	ns_timer_arm(&q, &p[1].t, 10);	 /* earlier */
	ns_timer_cancel(&q, &p[2].t);
	ck_assert_uint_eq(timer_next(&q), 10);
	for (uint64_t now = 0; now < 2000; now++) {
		while (timer_fire_one(&q, now))
			;
	}
	ck_assert_uint_eq(p[1].fired, 10);
	ck_assert_uint_eq(p[2].fired, 0);
	ck_assert_uint_eq(p[0].fired, 0);
	for (unsigned int i = 3; i < 50; i++)
		ck_assert_uint_eq(p[i].fired, 1000 + i * 37 % 50 * 10);
	ck_assert_uint_eq(timer_next(&q), 5000);
	ck_assert(timer_fire_one(&q, 5000) && p[0].fired == 5000);
	ck_assert(!ns_timer_armed(&p[0].t) && timer_next(&q) == NS_NEVER);
}
END_TEST

int main(void)
{
	const TTest *tests[] = {pull_and_trim_take_from_either_end,
				peek_never_reads_beyond_the_end,
				slices_share_and_outlive,
				adjoining_pieces_merge_and_others_run_out,
				join_and_linearize_keep_the_bytes,
				the_pool_is_a_hard_bound,
				offload_offsets_follow_push_and_pull,
				sums_are_those_of_the_simple_way,
				sums_over_pieces_of_odd_sizes_are_right,
				partial_checksums_complete_to_valid_ones,
				siphash_has_its_published_values,
				timers_fire_in_order_and_move};

	return peer_main("pkt", tests, ARRAY_SIZE(tests), setup, teardown);
}
