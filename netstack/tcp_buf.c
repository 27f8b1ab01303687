/*
 * The send buffer: pieces of chunks, from snd_una on. Packets share the chunks, so bytes that
 * were handed out are never changed; only the unused rest of the last chunk is written to.
 */
#include "netstack/tcp_ep.h"

size_t tcp_buf_extend(struct tcp_ep *t, const void *data, size_t n)
{
	struct send_piece *last;
	uint32_t used;

	if (list_empty(&t->buffer))
		return 0;
	last = list_last(&t->buffer, struct send_piece, node);
	used = last->off + last->len;
	n = min(n, (size_t)(last->chunk->size - used));
	memcpy(last->chunk->data + used, data, n);
	last->len += (uint32_t)n;
	t->buffered += n;
	return n;
}

int tcp_buf_append(struct tcp_ep *t, struct chunk *c, uint32_t n)
{
	struct send_piece *piece = pool_alloc(&t->ep.st->pool, sizeof(*piece));

	if (!piece) {
		chunk_put(c);
		return -ENOBUFS;
	}
	*piece = (struct send_piece){.chunk = c, .len = n};
	list_add_tail(&t->buffer, &piece->node);
	t->buffered += n;
	return 0;
}

void tcp_buf_drop(struct tcp_ep *t, size_t n)
{
	assert(n <= t->buffered);
	t->buffered -= n;
	while (n > 0) {
		struct send_piece *first = list_first(&t->buffer, struct send_piece, node);
		uint32_t k = (uint32_t)min(n, (size_t)first->len);

		first->off += k;
		first->len -= k;
		n -= k;
		if (first->len)
			continue;
		list_del(&first->node);
		chunk_put(first->chunk);
		pool_free(&t->ep.st->pool, first, sizeof(*first));
	}
}

size_t tcp_buf_slice(const struct tcp_ep *t, size_t off, size_t n, struct pkt *p)
{
	struct send_piece *piece;
	size_t done = 0;

	list_for_each (piece, &t->buffer, node) {
		uint32_t k;

		if (done == n)
			break;
		if (off >= piece->len) {
			off -= piece->len;
			continue;
		}
		k = (uint32_t)min((size_t)piece->len - off, n - done);
		if (pkt_append(p, piece->chunk, piece->off + (uint32_t)off, k) < 0)
			break;
		done += k;
		off = 0;
	}
	return done;
}
