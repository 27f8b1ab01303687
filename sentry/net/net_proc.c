/* Texts of /proc/net but for unix, which is in unix_names.c. */
#include "sentry/net/net_proc.h"

#include <string.h>

#include "common/text.h"
#include "sentry/fs/inode.h"
#include "sentry/net/inet.h"

static void show_ip(struct text *t, const struct inet_addr *a, bool v6)
{
	uint32_t words[4];

	memcpy(words, &a->ip, sizeof(words));
	if (v6)
		text_printf(t, "%08X%08X%08X", words[0], words[1], words[2]);
	text_printf(t, "%08X:%04X", words[3], a->port);
}

static void show_one(struct text *t, struct inet_socket *s, unsigned int slot)
{
	bool v6 = s->sock.domain == AF_INET6, tcp = s->protocol == INET_TCP;
	int state = tcp ? inet_tcp_state(s) : s->remote.port ? 1 : 7;

	text_printf(t, tcp ? "%4u: " : "%5u: ", slot);
	show_ip(t, &s->local, v6);
	text_puts(t, " ");
	show_ip(t, &s->remote, v6);
	text_printf(t, " %02X %08zX:%08zX 00:00000000 00000000 %5u        0 %llu %d %016x", state,
		    (size_t)0, s->sock.rx_bytes, s->sock.file.cred->fsuid,
		    (unsigned long long)s->sock.file.inode->ino, ref_read(&s->sock.ref), 0);
	text_puts(t, tcp ? " 100 0 0 10 0\n" : " 0\n");
}

static void show_sockets(struct net_namespace *ns, struct text *t, enum inet_protocol protocol,
			 int domain)
{
	struct inet_socket *s;
	unsigned int slot = 0;

	mutex_lock(&ns->lock);
	list_for_each (s, &ns->inet_all, all_node) {
		if (s->protocol == protocol && s->sock.domain == domain && s->bound)
			show_one(t, s, slot++);
	}
	mutex_unlock(&ns->lock);
}

void net_proc_show_tcp(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
		     "   uid  timeout inode\n");
	show_sockets(ns, t, INET_TCP, AF_INET);
}

void net_proc_show_tcp6(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "  sl  local_address                         remote_address"
		     "                        st tx_queue rx_queue tr tm->when retrnsmt"
		     "   uid  timeout inode\n");
	show_sockets(ns, t, INET_TCP, AF_INET6);
}

void net_proc_show_udp(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt"
		     "   uid  timeout inode ref pointer drops\n");
	show_sockets(ns, t, INET_UDP, AF_INET);
}

void net_proc_show_udp6(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "   sl  local_address                         remote_address"
		     "                        st tx_queue rx_queue tr tm->when retrnsmt"
		     "   uid  timeout inode ref pointer drops\n");
	show_sockets(ns, t, INET_UDP, AF_INET6);
}

void net_proc_show_dev(struct net_namespace *ns, struct text *t)
{
	text_puts(t,
		  "Inter-|   Receive                                                |  Transmit\n"
		  " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
		  "packets errs drop fifo colls carrier compressed\n");
	text_puts(t, "    lo:       0       0    0    0    0     0          0         0        0"
		     "       0    0    0    0     0       0          0\n");
}

void net_proc_show_route(struct net_namespace *ns, struct text *t)
{
	text_printf(t, "%-127s\n",
		    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow"
		    "\tIRTT");
}

void net_proc_show_if_inet6(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "00000000000000000000000000000001 01 80 10 80       lo\n");
}

struct counts {
	unsigned int tcp, udp, tcp6, udp6;
};

static struct counts count(struct net_namespace *ns)
{
	struct counts c = {0};
	struct inet_socket *s;
	SCOPED_LOCK(&ns->lock);

	list_for_each (s, &ns->inet_all, all_node) {
		bool v6 = s->sock.domain == AF_INET6;

		if (s->protocol == INET_TCP)
			v6 ? c.tcp6++ : c.tcp++;
		else
			v6 ? c.udp6++ : c.udp++;
	}
	return c;
}

void net_proc_show_sockstat(struct net_namespace *ns, struct text *t)
{
	struct counts c = count(ns);

	text_printf(t, "sockets: used %u\n", c.tcp + c.udp + c.tcp6 + c.udp6);
	text_printf(t, "TCP: inuse %u orphan 0 tw 0 alloc %u mem 0\n", c.tcp, c.tcp + c.tcp6);
	text_printf(t, "UDP: inuse %u mem 0\n", c.udp);
	text_puts(t, "UDPLITE: inuse 0\nRAW: inuse 0\nFRAG: inuse 0 memory 0\n");
}

void net_proc_show_netlink(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    "
		     "Drops    Inode\n");
}

void net_proc_show_arp(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "IP address       HW type     Flags       HW address            Mask     "
		     "Device\n");
}
