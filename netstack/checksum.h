/*
 * The Internet checksum (RFC 1071). Sums are kept as 32 bit ones' complement sums of
 * 16-bit words as they lie in memory (byte order does not matter to the sum), so a
 * folded result can be stored into a header as it is.
 */
#ifndef GARRISON_NETSTACK_CHECKSUM_H
#define GARRISON_NETSTACK_CHECKSUM_H

#include "netstack/netstack.h"

struct pkt;

/* Adds n bytes to a sum. */
uint32_t csum_add(uint32_t sum, const void *data, size_t n);
/* Appends a block that begins at an odd offset to the sum of what is before it. */
static inline uint32_t csum_combine(uint32_t sum, uint32_t block, bool odd)
{
	uint64_t s = sum;

	if (odd) /* the block's bytes sit in the other halves of the words */
		block = (block << 8 & 0xff00ff00) | (block >> 8 & 0x00ff00ff);
	s += block;
	s = (s & 0xffffffff) + (s >> 32);
	return (uint32_t)((s & 0xffffffff) + (s >> 32));
}
/* To 16 bits, not inverted. */
static inline uint16_t csum_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}
/* To be stored in a header. */
static inline uint16_t csum_finish(uint32_t sum)
{
	return (uint16_t)~csum_fold(sum);
}
/* Copies n bytes and adds them to the sum in one go. */
uint32_t csum_copy(uint32_t sum, void *to, const void *from, size_t n);

/* The pseudo header of either family (RFC 9293 3.1, RFC 8200 8.1). len: upper-layer bytes. */
uint32_t csum_pseudo(const struct ns_ip *src, const struct ns_ip *dst, uint8_t protocol,
		     uint32_t len);
/* Is the sum over a transport segment that begins at `off`, pseudo header included, right? True
 * where the link has verified it or it never left this machine. */
bool csum_verify(const struct pkt *p, size_t off, const struct ns_ip *src, const struct ns_ip *dst,
		 uint8_t protocol);
/* Leaves the sum over the whole packet, which begins with the transport header, to the link:
 * stores the pseudo header's sum at `field` bytes into the packet (which is in `room`). */
void csum_partial(struct pkt *p, size_t field, const struct ns_ip *src, const struct ns_ip *dst,
		  uint8_t protocol);
/* Does what csum_partial left to be done. No effect on other packets. -ENOBUFS: the field is in
 * a piece that cannot be written to. */
int csum_complete(struct pkt *p) MUST_CHECK;

#endif
