/* The files of /proc/net: each appends its text. */
#ifndef GARRISON_SENTRY_NET_NET_PROC_H
#define GARRISON_SENTRY_NET_NET_PROC_H

struct net_namespace;
struct text;

void net_proc_show_unix(struct net_namespace *ns, struct text *t);
void net_proc_show_tcp(struct net_namespace *ns, struct text *t);
void net_proc_show_tcp6(struct net_namespace *ns, struct text *t);
void net_proc_show_udp(struct net_namespace *ns, struct text *t);
void net_proc_show_udp6(struct net_namespace *ns, struct text *t);
void net_proc_show_dev(struct net_namespace *ns, struct text *t);
void net_proc_show_route(struct net_namespace *ns, struct text *t);
void net_proc_show_if_inet6(struct net_namespace *ns, struct text *t);
void net_proc_show_sockstat(struct net_namespace *ns, struct text *t);
void net_proc_show_netlink(struct net_namespace *ns, struct text *t);
void net_proc_show_arp(struct net_namespace *ns, struct text *t);

#endif
