/* Ports and filters of endpoints: what TCP and UDP do alike. */
#include "netstack/endpoint.h"

static void set_local(struct ns_ep *ep, const struct ns_ip *ip)
{
	ep->conn.key.local = *ip;
	ep->conn.key.lport = ep->port.port;
	ep->bound = true;
}

static int claim(struct ns_ep *ep, enum demux_proto proto, const struct flow_key *remote)
{
	if (ep->port.port)
		return port_claim(ep->st, proto, &ep->port);
	return port_claim_any(ep->st, proto, &ep->port, remote);
}

int ep_bind_port(struct ns_ep *ep, enum demux_proto proto, const struct ns_addr *local)
{
	struct ns_ip old = ep->port.ip, ip;
	int err;

	if (ep->bound)
		return -EINVAL;
	err = ep_check_local(ep, local, &ip);
	if (err < 0)
		return err;
	ep->port.ip = ip;
	ep->port.port = local->port;
	if (ep->gate) {
		ep->port.gate = true;
	} else {
		err = claim(ep, proto, NULL);
		if (err < 0) {
			ep->port.ip = old;
			ep->port.port = 0;
			return err;
		}
	}
	ep->explicit_port = local->port;
	ep->explicit_ip = !ns_ip_is_any(&ip);
	set_local(ep, &ip);
	return 0;
}

int ep_autobind(struct ns_ep *ep, enum demux_proto proto, const struct flow_key *remote)
{
	int err;

	if (ep->bound)
		return 0;
	ep->port.port = 0;
	err = claim(ep, proto, remote);
	if (err == 0)
		set_local(ep, &ep->conn.key.local);
	return err == -EADDRINUSE && proto == DEMUX_TCP ? -EADDRNOTAVAIL : err;
}

size_t ep_filter(struct ns_ep *ep, const struct pkt *p, size_t off)
{
	unsigned char copy[2048]; /* filters look at headers */
	size_t full = p->len - off, n = 0;
	const void *data;

	if (!ep->filter)
		return full;
	data = pkt_run(p, off, &n);
	if (n < full && n < sizeof(copy)) {
		n = min(full, sizeof(copy));
		data = pkt_peek(p, off, n, copy);
	}
	return min((size_t)ep->filter->run(ep->filter, data, n, full), full);
}
