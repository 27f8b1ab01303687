/* /proc/PID/net (and /proc/net, a link to self/net): texts made by net/. */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "sentry/kernel/proc/proc.h"
#include "sentry/kernel/nsproxy.h"
#include "sentry/kernel/tasklist.h"
#include "sentry/net/net_proc.h"

struct net_file {
	const char *name;
	void (*show)(struct net_namespace *ns, struct text *t);
};

static void show_snmp(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "Ip: Forwarding DefaultTTL\nIp: 2 64\n");
}

static void show_empty(struct net_namespace *ns, struct text *t)
{
}

static void show_raw(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when "
		     "retrnsmt   uid  timeout inode ref pointer drops\n");
}

static void show_packet(struct net_namespace *ns, struct text *t)
{
	text_puts(t, "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
}

static const struct net_file files[] = {
    {"dev", net_proc_show_dev},
    {"tcp", net_proc_show_tcp},
    {"tcp6", net_proc_show_tcp6},
    {"udp", net_proc_show_udp},
    {"udp6", net_proc_show_udp6},
    {"unix", net_proc_show_unix},
    {"route", net_proc_show_route},
    {"if_inet6", net_proc_show_if_inet6},
    {"sockstat", net_proc_show_sockstat},
    {"snmp", show_snmp},
    {"netlink", net_proc_show_netlink},
    {"raw", show_raw},
    {"raw6", show_raw},
    {"packet", show_packet},
    {"arp", net_proc_show_arp},
    {"ipv6_route", show_empty},
    {"dev_mcast", show_empty},
    {"igmp", show_empty},
};

static int net_show(struct pseudo_inode *p, struct text *out)
{
	struct proc_node *n = proc_node_of(p);
	const struct net_file *f = &files[n->number];
	struct proc_subject s;
	struct nsproxy *ns;
	int r = proc_subject_get(n, &s);

	if (r < 0)
		return r;
	ns = task_get_namespaces(s.t);
	if (ns)
		f->show(ns->net, out);
	nsproxy_put(ns);
	proc_subject_put(&s);
	return ns ? 0 : -ESRCH;
}

static const struct pseudo_ops net_file_ops = {
    .show = net_show,
    .release = proc_node_release,
};

static int net_lookup(struct pseudo_inode *dir, const char *name, size_t len,
		      struct pseudo_inode **out)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const char *have = files[i].name;
		struct proc_node *n;

		if (strlen(have) != len || memcmp(have, name, len) != 0)
			continue;
		n = proc_node_new(proc_node_of(dir), &net_file_ops, S_IFREG | 0444, i + 1);
		n->number = (int)i;
		*out = &n->base;
		return 0;
	}
	return -ENOENT;
}

static int net_iterate(struct pseudo_inode *dir, struct dirent_sink *sink, off_t *pos)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		const char *name = files[i].name;
		off_t cookie = (off_t)i + 3;

		if (*pos >= cookie)
			continue;
		if (!sink->emit(sink, name, strlen(name), pseudo_ino(dir->inode.ino, i + 1), DT_REG,
				cookie))
			break;
		*pos = cookie;
	}
	return 0;
}

const struct pseudo_ops proc_net_dir_ops = {
    .lookup = net_lookup,
    .iterate = net_iterate,
    .release = proc_node_release,
};
