/*
 * netdevice(7) ioctls, answered for lo alone. They work on a socket of any family.
 * Changing anything is refused: the device is the sandbox's own.
 */
#include "sentry/net/netdev.h"

#include "sentry/core/cred.h"
#include "sentry/net/netns.h"

#include <errno.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <string.h>

static void set_addr(struct ifreq *r, uint32_t host_order)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(host_order)};

	memcpy(&r->ifr_addr, &in, sizeof(in));
}

/* Fills what is asked of lo. */
static int answer(unsigned int cmd, struct ifreq *r)
{
	switch (cmd) {
	case SIOCGIFINDEX:
		r->ifr_ifindex = LO_INDEX;
		return 0;
	case SIOCGIFFLAGS:
		r->ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING;
		return 0;
	case SIOCGIFADDR:
		set_addr(r, INADDR_LOOPBACK);
		return 0;
	case SIOCGIFNETMASK:
		set_addr(r, 0xff000000);
		return 0;
	case SIOCGIFBRDADDR:
	case SIOCGIFDSTADDR:
		set_addr(r, cmd == SIOCGIFDSTADDR ? INADDR_LOOPBACK : 0);
		return 0;
	case SIOCGIFMTU:
		r->ifr_mtu = LO_MTU;
		return 0;
	case SIOCGIFMETRIC:
		r->ifr_metric = 0;
		return 0;
	case SIOCGIFTXQLEN:
		r->ifr_qlen = 1000;
		return 0;
	case SIOCGIFHWADDR:
		memset(&r->ifr_hwaddr, 0, sizeof(r->ifr_hwaddr));
		r->ifr_hwaddr.sa_family = ARPHRD_LOOPBACK;
		return 0;
	case SIOCGIFMAP:
		memset(&r->ifr_map, 0, sizeof(r->ifr_map));
		return 0;
	}
	return cmd >= SIOCDEVPRIVATE && cmd < SIOCDEVPRIVATE + 16 ? -EOPNOTSUPP : -ENOTTY;
}

static long conf(uint64_t arg, struct guest_access *ga)
{
	struct ifreq r = {.ifr_name = "lo"};
	struct {
		int32_t len, pad;
		uint64_t buf;
	} c;
	int e = ga_copyin(ga, &c, UADDR(arg), sizeof(c));

	if (e)
		return e;
	set_addr(&r, INADDR_LOOPBACK);
	if (!c.buf) {
		c.len = sizeof(r);
	} else if (c.len >= (int32_t)sizeof(r)) {
		e = ga_copyout(ga, UADDR(c.buf), &r, sizeof(r));
		c.len = sizeof(r);
	} else {
		c.len = 0;
	}
	return e ? e : ga_copyout(ga, UADDR(arg), &c, sizeof(c));
}

static long by_index(uint64_t arg, struct guest_access *ga)
{
	struct ifreq r;
	int e = ga_copyin(ga, &r, UADDR(arg), sizeof(r));

	if (e)
		return e;
	if (r.ifr_ifindex != LO_INDEX)
		return -ENODEV;
	memset(r.ifr_name, 0, sizeof(r.ifr_name));
	memcpy(r.ifr_name, "lo", 2);
	return ga_copyout(ga, UADDR(arg), &r, sizeof(r));
}

/* lo is always up; who may configure the namespace may say so. */
static long set_flags(struct net_namespace *net, uint64_t arg, struct guest_access *ga)
{
	struct ifreq r;
	int e = ga_copyin(ga, &r, UADDR(arg), sizeof(r));

	if (e)
		return e;
	if (!cred_ns_capable(ga->cred(ga), net->ns.owner, CAP_NET_ADMIN))
		return -EPERM;
	if (strncmp(r.ifr_name, "lo", IFNAMSIZ))
		return -ENODEV;
	return r.ifr_flags & IFF_UP ? 0 : -EPERM;
}

static bool changes(unsigned int cmd)
{
	switch (cmd) {
	case SIOCSIFADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFBRDADDR:
	case SIOCSIFDSTADDR:
	case SIOCSIFMTU:
	case SIOCSIFMETRIC:
	case SIOCSIFHWADDR:
	case SIOCSIFTXQLEN:
	case SIOCSIFNAME:
	case SIOCADDRT:
	case SIOCDELRT:
		return true;
	}
	return false;
}

long netdev_ioctl(struct net_namespace *net, unsigned int cmd, uint64_t arg,
		  struct guest_access *ga)
{
	struct ifreq r;
	int e;

	if (cmd == SIOCGIFCONF)
		return conf(arg, ga);
	if (cmd == SIOCGIFNAME)
		return by_index(arg, ga);
	if (cmd == SIOCSIFFLAGS)
		return set_flags(net, arg, ga);
	if (changes(cmd))
		return -EPERM;
	memset(&r, 0, sizeof(r));
	if (answer(cmd, &r) == -ENOTTY)
		return -ENOTTY;
	e = ga_copyin(ga, &r, UADDR(arg), sizeof(r));
	if (e)
		return e;
	r.ifr_name[IFNAMSIZ - 1] = 0;
	if (strcmp(r.ifr_name, "lo"))
		return -ENODEV;
	e = answer(cmd, &r);
	return e ? e : ga_copyout(ga, UADDR(arg), &r, sizeof(r));
}
