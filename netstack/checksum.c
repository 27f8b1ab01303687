/* Internet checksums. Words are added as they lie in memory; a 64-bit sum of 32-bit words cannot
 * overflow for anything that fits into a packet. */
#include "netstack/checksum.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "netstack/pkt.h"

static uint64_t load64(const unsigned char *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static uint32_t fold64(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)((sum & 0xffffffff) + (sum >> 32));
}

uint32_t csum_add(uint32_t sum, const void *data, size_t n)
{
	const unsigned char *p = data;
	uint64_t a = sum, b = 0;

	for (; n >= 32; n -= 32, p += 32) {
		uint64_t w = load64(p), x = load64(p + 8), y = load64(p + 16), z = load64(p + 24);

		a += (w & 0xffffffff) + (x & 0xffffffff) + (y & 0xffffffff) + (z & 0xffffffff);
		b += (w >> 32) + (x >> 32) + (y >> 32) + (z >> 32);
	}
	while (n > 0) {
		uint64_t w = 0;
		size_t k = min(n, (size_t)8);

		memcpy(&w, p, k);
		a += (w & 0xffffffff) + (w >> 32);
		p += k;
		n -= k;
	}
	return fold64(a + b);
}

uint32_t csum_copy(uint32_t sum, void *to, const void *from, size_t n)
{
	memcpy(to, from, n); /* the second pass finds it in the first-level cache piece by piece */
	return csum_add(sum, to, n);
}

uint32_t csum_pseudo(const struct ns_ip *src, const struct ns_ip *dst, uint8_t protocol,
		     uint32_t len)
{
	uint32_t tail[2] = {htonl(len), htonl(protocol)};
	uint32_t sum = csum_add(0, tail, sizeof(tail));

	/* The prefix of two mapped addresses, 2 * 0xffff, is zero to the sum. */
	sum = csum_add(sum, src->b, 16);
	return csum_add(sum, dst->b, 16);
}

bool csum_verify(const struct pkt *p, size_t off, const struct ns_ip *src, const struct ns_ip *dst,
		 uint8_t protocol)
{
	uint32_t len;

	if (p->off.csum_valid || p->off.csum_partial)
		return true;
	len = (uint32_t)(p->len - off);
	return csum_fold(csum_combine(csum_pseudo(src, dst, protocol, len), pkt_sum(p, off, len),
				      false)) == 0xffff;
}

void csum_partial(struct pkt *p, size_t field, const struct ns_ip *src, const struct ns_ip *dst,
		  uint8_t protocol)
{
	uint16_t sum = csum_fold(csum_pseudo(src, dst, protocol, p->len));

	pkt_write(p, field, &sum, sizeof(sum));
	p->off.csum_partial = true;
	p->off.csum_start = 0;
	p->off.csum_offset = (uint16_t)field;
}

int csum_complete(struct pkt *p)
{
	struct ns_offload *off = &p->off;
	size_t at = (size_t)off->csum_start + off->csum_offset;
	uint16_t sum;

	if (!off->csum_partial)
		return 0;
	if (off->csum_start > p->len || at + sizeof(sum) > p->len ||
	    !pkt_is_writable(p, at, sizeof(sum)))
		return -ENOBUFS;
	/* What is in the field, the pseudo header's sum, is part of the sum. */
	sum = csum_finish(pkt_sum(p, off->csum_start, p->len - off->csum_start));
	if (sum == 0)
		sum = 0xffff; /* the same to everybody, and UDP's 0 means "none" */
	pkt_write(p, at, &sum, sizeof(sum));
	off->csum_partial = false;
	return 0;
}
