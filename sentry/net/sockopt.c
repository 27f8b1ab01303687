/*
 * SOL_SOCKET options. What has an effect here is the buffer sizes, timeouts,
 * credentials, timestamps, linger and address reuse; most others are accepted and
 * read back, as they mean nothing on loopback.
 *
 * Limits: no socket filters (SO_ATTACH_FILTER is refused).
 */
#include <errno.h>
#include <stddef.h>
#include <sys/time.h>

#include "common/mem.h"
#include "sentry/fs/inode.h"
#include "sentry/net/socket.h"

#define MIN_SNDBUF 4608
#define MIN_RCVBUF 2304
#define MAX_BUFFER 212992U /* net.core.[rw]mem_max */

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PREFER_BUSY_POLL
#define SO_PREFER_BUSY_POLL 69
#endif

int sock_option_bytes(struct sock_option *o, const void *value, size_t n)
{
	o->len = (uint32_t)min((size_t)o->len, n);
	memcpy(o->value, value, o->len);
	return 0;
}

int sock_option_int(struct sock_option *o, int value)
{
	return sock_option_bytes(o, &value, sizeof(value));
}

int sock_option_get_int(const struct sock_option *o, int *value)
{
	if (o->len < sizeof(*value))
		return -EINVAL;
	memcpy(value, o->value, sizeof(*value));
	return 0;
}

/* --- plain values ------------------------------------------------------------------------ */

#define FLAG(name_, field_)                                                                        \
	{                                                                                          \
		.name = (name_), .offset = offsetof(struct sock_settings, field_), .flag = true    \
	}
#define INT(name_, field_)                                                                         \
	{                                                                                          \
		.name = (name_), .offset = offsetof(struct sock_settings, field_)                  \
	}

static const struct plain_option {
	int name;
	size_t offset;
	bool flag;
} plain_options[] = {
    FLAG(SO_DEBUG, debug),
    FLAG(SO_REUSEADDR, reuse_addr),
    FLAG(SO_REUSEPORT, reuse_port),
    FLAG(SO_DONTROUTE, dont_route),
    FLAG(SO_BROADCAST, broadcast),
    FLAG(SO_KEEPALIVE, keepalive),
    FLAG(SO_OOBINLINE, oob_inline),
    FLAG(SO_NO_CHECK, no_check),
    FLAG(SO_PASSCRED, passcred),
    FLAG(SO_PASSPIDFD, passpidfd),
    FLAG(SO_PASSSEC, passsec),
    FLAG(SO_RXQ_OVFL, rxq_ovfl),
    FLAG(SO_ZEROCOPY, zerocopy),
    FLAG(SO_PREFER_BUSY_POLL, busy_poll),
    INT(SO_PRIORITY, priority),
    INT(SO_MARK, mark),
    INT(SO_INCOMING_CPU, incoming_cpu),
    INT(SO_PEEK_OFF, peek_off),
};

static const struct plain_option *plain_find(int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(plain_options); i++)
		if (plain_options[i].name == name)
			return &plain_options[i];
	return NULL;
}

static int plain_refused(struct socket *s, const struct sock_option *o, int value)
{
	const struct cred *c = o->caller->cred;
	bool admin = cred_capable(c, CAP_NET_ADMIN);

	switch (o->name) {
	case SO_PRIORITY:
		return value < 0 || value > 6 ? (admin ? 0 : -EPERM) : 0;
	case SO_MARK:
	case SO_DEBUG:
		return admin || (o->name == SO_DEBUG && !value) ? 0
		       : o->name == SO_DEBUG			? -EACCES
								: -EPERM;
	case SO_PASSCRED:
	case SO_PASSSEC:
	case SO_PASSPIDFD:
		return s->domain == AF_UNIX || s->domain == AF_NETLINK ? 0 : -EOPNOTSUPP;
	case SO_PEEK_OFF:
		return -EOPNOTSUPP;
	}
	return 0;
}

static int plain_option(struct socket *s, const struct plain_option *p, struct sock_option *o)
{
	char *field = (char *)&s->set + p->offset;
	int value, r;

	if (!o->set)
		return sock_option_int(o, p->flag ? *(bool *)field : *(int *)field);
	r = sock_option_get_int(o, &value);
	if (!r)
		r = plain_refused(s, o, value);
	if (r)
		return r;
	mutex_lock(&s->lock);
	if (p->flag)
		*(bool *)field = value != 0;
	else
		*(int *)field = value;
	mutex_unlock(&s->lock);
	return 0;
}

/* --- the rest ---------------------------------------------------------------------------- */

/* The kernel doubles what is asked for, and keeps it within bounds. */
static int set_buffer(struct sock_option *o, atomic_size_t *field, int smallest, bool *was_set)
{
	bool force = o->name == SO_SNDBUFFORCE || o->name == SO_RCVBUFFORCE;
	int value, r = sock_option_get_int(o, &value);

	if (r)
		return r;
	if (force && !cred_capable(o->caller->cred, CAP_NET_ADMIN))
		return -EPERM;
	value = force ? min(max(value, 0), 1 << 26) : (int)min((unsigned int)value, MAX_BUFFER);
	atomic_store(field, (size_t)max(value * 2, smallest));
	*was_set = true;
	return 0;
}

static int buffer_option(struct socket *s, struct sock_option *o)
{
	bool send = o->name == SO_SNDBUF || o->name == SO_SNDBUFFORCE;
	int r;

	if (!o->set)
		return sock_option_int(o, (int)atomic_load(send ? &s->sndbuf : &s->rcvbuf));
	r = set_buffer(o, send ? &s->sndbuf : &s->rcvbuf, send ? MIN_SNDBUF : MIN_RCVBUF,
		       send ? &s->set.sndbuf_set : &s->set.rcvbuf_set);
	if (!r && send)
		waitq_wake(&s->wq, POLLOUT);
	return r;
}

static int timeout_option(struct socket *s, struct sock_option *o)
{
	atomic_uint_fast64_t *field =
	    o->name == SO_RCVTIMEO ? &s->file.read_timeout : &s->file.write_timeout;
	struct timeval tv;
	uint64_t ns;

	if (!o->set) {
		ns = atomic_load(field);
		tv = (struct timeval){(time_t)(ns / NSEC_PER_SEC),
				      (suseconds_t)(ns % NSEC_PER_SEC / NSEC_PER_USEC)};
		return sock_option_bytes(o, &tv, sizeof(tv));
	}
	if (o->len < sizeof(tv))
		return -EINVAL;
	memcpy(&tv, o->value, sizeof(tv));
	if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
		return -EDOM;
	if (tv.tv_sec < 0)
		ns = 1; /* in the past: never waits */
	else if (tv.tv_sec > INT32_MAX)
		ns = 0;
	else
		ns = (uint64_t)tv.tv_sec * NSEC_PER_SEC + (uint64_t)tv.tv_usec * NSEC_PER_USEC;
	atomic_store(field, ns);
	return 0;
}

static int linger_option(struct socket *s, struct sock_option *o)
{
	struct linger l = {s->set.linger_on, s->set.linger};

	if (!o->set)
		return sock_option_bytes(o, &l, sizeof(l));
	if (o->len < sizeof(l))
		return -EINVAL;
	memcpy(&l, o->value, sizeof(l));
	s->set.linger_on = l.l_onoff != 0;
	if (l.l_onoff)
		s->set.linger = l.l_linger;
	return 0;
}

static int lowat_option(struct socket *s, struct sock_option *o)
{
	int value, r;

	if (!o->set)
		return sock_option_int(o, o->name == SO_RCVLOWAT ? s->set.rcvlowat : 1);
	if (o->name == SO_SNDLOWAT)
		return -ENOPROTOOPT;
	r = sock_option_get_int(o, &value);
	if (!r)
		s->set.rcvlowat = value < 0 ? INT32_MAX : value ? value : 1;
	return r;
}

/* SO_TIMESTAMP and SO_TIMESTAMPNS exclude each other. */
static int timestamp_option(struct socket *s, struct sock_option *o)
{
	bool *field = o->name == SO_TIMESTAMP ? &s->set.timestamp : &s->set.timestamp_ns;
	bool *other = o->name == SO_TIMESTAMP ? &s->set.timestamp_ns : &s->set.timestamp;
	int value, r;

	if (!o->set)
		return sock_option_int(o, *field);
	r = sock_option_get_int(o, &value);
	if (r)
		return r;
	*field = value != 0;
	if (value)
		*other = false;
	return 0;
}

static int device_option(struct socket *s, struct sock_option *o)
{
	char name[16] = "";

	if (!o->set)
		return sock_option_bytes(o, s->set.device,
					 s->set.device[0] ? strlen(s->set.device) + 1 : 0);
	memcpy(name, o->value, min((size_t)o->len, sizeof(name) - 1));
	if (name[0] && strcmp(name, "lo"))
		return -ENODEV;
	memcpy(s->set.device, name, sizeof(name));
	return 0;
}

static int peercred(struct socket *s, struct sock_option *o)
{
	struct ucred c;

	mutex_lock(&s->lock);
	c = (struct ucred){s->peer_id.pid, s->peer_id.uid, s->peer_id.gid};
	mutex_unlock(&s->lock);
	return sock_option_bytes(o, &c, sizeof(c));
}

static int peergroups(struct socket *s, struct sock_option *o)
{
	SCOPED_LOCK(&s->lock);
	const struct cred *c = s->peer_id.cred;
	uint32_t need = c ? (uint32_t)c->ngroups * 4 : 0;

	if (!c)
		return -ENODATA;
	if (o->len < need) {
		o->len = need;
		return -ERANGE;
	}
	return sock_option_bytes(o, c->groups, need);
}

static int read_only(struct socket *s, struct sock_option *o)
{
	uint64_t cookie = s->file.inode->ino;
	struct sock_addr addr;
	int r;

	switch (o->name) {
	case SO_TYPE:
		return sock_option_int(o, s->type);
	case SO_PROTOCOL:
		return sock_option_int(o, s->protocol);
	case SO_DOMAIN:
		return sock_option_int(o, s->domain);
	case SO_ERROR:
		return sock_option_int(o, socket_take_error(s));
	case SO_ACCEPTCONN:
		return sock_option_int(o, atomic_load(&s->state) == SOCK_LISTENING);
	case SO_PEERCRED:
		return peercred(s, o);
	case SO_PEERGROUPS:
		return peergroups(s, o);
	case SO_COOKIE:
		return o->len < sizeof(cookie) ? -EINVAL : sock_option_bytes(o, &cookie, 8);
	case SO_PEERNAME:
		r = s->ops->name(s, NAME_PEER, &addr);
		if (r)
			return -ENOTCONN;
		return addr.len < o->len ? -EINVAL : sock_option_bytes(o, addr.raw, addr.len);
	case SO_SELECT_ERR_QUEUE:
	case SO_LOCK_FILTER:
		return sock_option_int(o, 0);
	}
	return -ENOPROTOOPT;
}

static int write_only(struct socket *s, struct sock_option *o)
{
	switch (o->name) {
	case SO_BSDCOMPAT:
		return 0;
	case SO_DETACH_FILTER:
		return -ENOENT;
	}
	return -ENOPROTOOPT;
}

static int own_option(struct socket *s, struct sock_option *o)
{
	const struct plain_option *p = plain_find(o->name);

	if (p)
		return plain_option(s, p, o);
	switch (o->name) {
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		if (!o->set)
			return -ENOPROTOOPT;
		/* fall through */
	case SO_SNDBUF:
	case SO_RCVBUF:
		return buffer_option(s, o);
	case SO_RCVTIMEO:
	case SO_SNDTIMEO:
		return timeout_option(s, o);
	case SO_LINGER:
		return linger_option(s, o);
	case SO_RCVLOWAT:
	case SO_SNDLOWAT:
		return lowat_option(s, o);
	case SO_TIMESTAMP:
	case SO_TIMESTAMPNS:
		return timestamp_option(s, o);
	case SO_BINDTODEVICE:
		return device_option(s, o);
	}
	return o->set ? write_only(s, o) : read_only(s, o);
}

/* The _NEW names of options that carry times differ only where long has 32 bits. */
static int old_name(int name)
{
	switch (name) {
	case 63:
		return SO_TIMESTAMP;
	case 64:
		return SO_TIMESTAMPNS;
	case 66:
		return SO_RCVTIMEO;
	case 67:
		return SO_SNDTIMEO;
	}
	return name;
}

int socket_option(struct socket *s, struct sock_option *o)
{
	if (o->level == SOL_SOCKET) {
		o->name = old_name(o->name);
		return own_option(s, o);
	}
	return s->ops->option ? s->ops->option(s, o) : -EOPNOTSUPP;
}
