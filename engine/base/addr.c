/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/addr.h"

#include <arpa/inet.h>

#include <stdlib.h>
#include <string.h>

#include "engine/base/siphash.h"
#include "engine/base/text.h"

/* ::ffff:0:0/96, RFC 4291, section 2.5.5.2 */
static const uint8_t addr_mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

enum { ADDR_UN_HEAD = offsetof(struct sockaddr_un, sun_path) };

static bool
addr_ip16_is_mapped(const uint8_t ip[16])
{
	return (memcmp(ip, addr_mapped, sizeof(addr_mapped)) == 0);
}

/* As a C string for inet_pton(); false when too long or holding a NUL. */
static bool
addr_copy_text(struct slice s, char *buf, size_t n)
{
	if (s.len == 0 || s.len >= n || slice_find_byte(s, '\0') >= 0)
		return (false);
	memcpy(buf, s.p, s.len);
	buf[s.len] = '\0';
	return (true);
}

static bool
addr_parse_v4(struct slice s, struct addr *r)
{
	char buf[INET_ADDRSTRLEN];
	struct addr a;

	memset(&a, 0, sizeof(a));
	if (!addr_copy_text(s, buf, sizeof(buf)) || inet_pton(AF_INET, buf, &a.u.in.sin_addr) != 1)
		return (false);
	a.u.in.sin_family = AF_INET;
	a.len = sizeof(a.u.in);
	*r = a;
	return (true);
}

static bool
addr_parse_v6(struct slice s, struct addr *r)
{
	char buf[INET6_ADDRSTRLEN];
	struct addr a;

	memset(&a, 0, sizeof(a));
	if (!addr_copy_text(s, buf, sizeof(buf)) ||
	    inet_pton(AF_INET6, buf, &a.u.in6.sin6_addr) != 1)
		return (false);
	a.u.in6.sin6_family = AF_INET6;
	a.len = sizeof(a.u.in6);
	*r = a;
	return (true);
}

static bool
addr_parse_unix(struct slice path, struct addr *r)
{
	struct addr a;

	memset(&a, 0, sizeof(a));
	if (path.len == 0 || path.len >= sizeof(a.u.un.sun_path) ||
	    slice_find_byte(path, '\0') >= 0)
		return (false);
	memcpy(a.u.un.sun_path, path.p, path.len);
	a.u.un.sun_family = AF_UNIX;
	a.len = (socklen_t)(ADDR_UN_HEAD + path.len + 1);
	if (path.p[0] == '@') {
		/* abstract: a NUL in front, none behind */
		if (path.len == 1)
			return (false);
		a.u.un.sun_path[0] = '\0';
		a.len--;
	}
	*r = a;
	return (true);
}

bool
addr_parse_ip(struct slice text, struct addr *r)
{
	if (text.len >= 2 && text.p[0] == '[' && text.p[text.len - 1] == ']')
		return (addr_parse_v6(slice_sub(text, 1, text.len - 2), r));
	if (slice_find_byte(text, ':') >= 0)
		return (addr_parse_v6(text, r));
	return (addr_parse_v4(text, r));
}

bool
addr_parse(struct slice text, struct addr *r)
{
	const char *colon;
	struct slice host;
	struct slice port_text;
	struct addr a;
	uint64_t port;

	if (slice_has_prefix(text, SLICE("unix:")))
		return (addr_parse_unix(slice_skip(text, 5), r));
	colon = text.len == 0 ? NULL : memrchr(text.p, ':', text.len);
	if (colon == NULL)
		return (false);
	host = slice_of(text.p, (size_t)(colon - text.p));
	port_text = slice_skip(text, host.len + 1);
	/* without brackets the last group of an IPv6 address would pass for a port */
	if (slice_find_byte(host, ':') >= 0 && host.p[0] != '[')
		return (false);
	if (port_text.len > 5 || !text_to_u64(port_text, &port) || port > UINT16_MAX)
		return (false);
	if (!addr_parse_ip(host, &a))
		return (false);
	addr_set_port(&a, (uint16_t)port);
	*r = a;
	return (true);
}

bool
addr_from_sockaddr(struct addr *r, const struct sockaddr *sa, socklen_t len)
{
	socklen_t least;

	if (len < sizeof(sa->sa_family) || len > sizeof(r->u.un))
		return (false);
	switch (sa->sa_family) {
	case AF_INET:
		least = sizeof(struct sockaddr_in);
		break;
	case AF_INET6:
		least = sizeof(struct sockaddr_in6);
		break;
	case AF_UNIX:
		least = sizeof(sa_family_t);
		break;
	default:
		return (false);
	}
	if (len < least)
		return (false);
	memset(r, 0, sizeof(*r));
	memcpy(&r->u, sa, len);
	r->len = len;
	return (true);
}

uint16_t
addr_port(const struct addr *a)
{
	if (!addr_is_ip(a))
		return (0);
	return (ntohs(a->u.sa.sa_family == AF_INET ? a->u.in.sin_port : a->u.in6.sin6_port));
}

void
addr_set_port(struct addr *a, uint16_t port)
{
	if (!addr_is_ip(a))
		return;
	if (a->u.sa.sa_family == AF_INET)
		a->u.in.sin_port = htons(port);
	else
		a->u.in6.sin6_port = htons(port);
}

bool
addr_ip16(const struct addr *a, uint8_t ip_r[16])
{
	if (!addr_is_ip(a))
		return (false);
	if (a->u.sa.sa_family == AF_INET6) {
		memcpy(ip_r, &a->u.in6.sin6_addr, 16);
		return (true);
	}
	memcpy(ip_r, addr_mapped, sizeof(addr_mapped));
	memcpy(ip_r + 12, &a->u.in.sin_addr, 4);
	return (true);
}

bool
addr_is_ipv4(const struct addr *a)
{
	uint8_t ip[16];

	return (addr_ip16(a, ip) && addr_ip16_is_mapped(ip));
}

/* Zero for IPv4: two link-local addresses on different links are different. */
static uint32_t
addr_scope(const struct addr *a)
{
	return (a->u.sa.sa_family == AF_INET6 ? a->u.in6.sin6_scope_id : 0);
}

/* Path or abstract name (with its leading NUL); empty for an unnamed socket. */
static struct slice
addr_un_name(const struct addr *a)
{
	struct slice s;

	if (a->len <= ADDR_UN_HEAD)
		return (SLICE_NONE);
	s = slice_of(a->u.un.sun_path, a->len - ADDR_UN_HEAD);
	if (s.p[0] != '\0')
		s.len = strnlen(s.p, s.len);
	return (s);
}

static void
addr_put_ip16(struct text *t, const uint8_t ip[16])
{
	char buf[INET6_ADDRSTRLEN];

	if (!addr_ip16_is_mapped(ip)) {
		text_puts(t, inet_ntop(AF_INET6, ip, buf, sizeof(buf)));
		return;
	}
	for (unsigned i = 12; i < 16; i++) {
		if (i > 12)
			text_putc(t, '.');
		text_u64(t, ip[i]);
	}
}

/* Hands the text to a caller's buffer of n bytes, cut if need be, with a NUL. */
static size_t
addr_finish(struct text *t)
{
	if (t->cap == 0)
		return (0);
	(void)text_cstr(t);
	return (t->len);
}

static void
addr_put_unix(struct text *t, const struct addr *a)
{
	struct slice name = addr_un_name(a);

	text_puts(t, "unix:");
	if (name.len > 0 && name.p[0] == '\0') {
		text_putc(t, '@');
		name = slice_skip(name, 1);
	}
	text_put(t, name);
}

size_t
addr_format(const struct addr *a, char *buf, size_t n)
{
	struct text t;
	uint8_t ip[16];
	bool is_v6;

	text_init(&t, buf, n);
	if (!addr_ip16(a, ip)) {
		if (a->len != 0)
			addr_put_unix(&t, a);
		return (addr_finish(&t));
	}
	is_v6 = !addr_ip16_is_mapped(ip);
	if (is_v6)
		text_putc(&t, '[');
	addr_put_ip16(&t, ip);
	if (is_v6)
		text_putc(&t, ']');
	text_putc(&t, ':');
	text_u64(&t, addr_port(a));
	return (addr_finish(&t));
}

size_t
addr_format_ip(const struct addr *a, char *buf, size_t n)
{
	struct text t;
	uint8_t ip[16];

	text_init(&t, buf, n);
	if (addr_ip16(a, ip))
		addr_put_ip16(&t, ip);
	else if (a->len != 0)
		text_puts(&t, "unix");
	return (addr_finish(&t));
}

bool
addr_eq_ip(const struct addr *a, const struct addr *b)
{
	uint8_t x[16];
	uint8_t y[16];

	return (addr_ip16(a, x) && addr_ip16(b, y) && memcmp(x, y, 16) == 0 &&
	    addr_scope(a) == addr_scope(b));
}

bool
addr_eq(const struct addr *a, const struct addr *b)
{
	if (addr_is_ip(a) || addr_is_ip(b))
		return (addr_eq_ip(a, b) && addr_port(a) == addr_port(b));
	return ((a->len == 0) == (b->len == 0) && slice_eq(addr_un_name(a), addr_un_name(b)));
}

uint64_t
addr_hash(const struct addr *a, const uint8_t key[16])
{
	uint8_t bytes[16 + 2 + 4];
	struct slice name;
	uint16_t port;
	uint32_t scope;

	if (!addr_ip16(a, bytes)) {
		name = addr_un_name(a);
		return (siphash(key, name.p, name.len));
	}
	port = addr_port(a);
	scope = addr_scope(a);
	memcpy(bytes + 16, &port, 2);
	memcpy(bytes + 18, &scope, 4);
	return (siphash(key, bytes, sizeof(bytes)));
}

static uint64_t
cidr_load(const uint8_t *p)
{
	uint64_t x;

	memcpy(&x, p, sizeof(x));
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	x = __builtin_bswap64(x);
#endif
	return (x);
}

/* The first bits ones of 64; bits may be outside 0 to 64. */
static uint64_t
cidr_mask(int bits)
{
	if (bits <= 0)
		return (0);
	return (bits >= 64 ? UINT64_MAX : UINT64_MAX << (64 - bits));
}

static bool
cidr_is_ipv4(const struct cidr *c)
{
	return (c->bits >= 96 && addr_ip16_is_mapped(c->ip));
}

bool
cidr_has_ip16(const struct cidr *c, const uint8_t ip[16])
{
	uint64_t high = (cidr_load(c->ip) ^ cidr_load(ip)) & cidr_mask(c->bits);
	uint64_t low = (cidr_load(c->ip + 8) ^ cidr_load(ip + 8)) & cidr_mask(c->bits - 64);

	/* ::/0 means every IPv6 address; it does not take in IPv4 by way of the mapped block */
	return ((high | low) == 0 && (c->bits >= 96 || !addr_ip16_is_mapped(ip)));
}

bool
cidr_has(const struct cidr *c, const struct addr *a)
{
	uint8_t ip[16];

	return (addr_ip16(a, ip) && cidr_has_ip16(c, ip));
}

bool
cidr_parse(struct slice text, struct cidr *r)
{
	ssize_t slash = slice_find_byte(text, '/');
	struct slice host = text;
	struct cidr c;
	struct addr a;
	unsigned base;
	uint64_t bits;

	if (slash >= 0)
		host = slice_sub(text, 0, (size_t)slash);
	if (host.len == 0 || host.p[0] == '[' || !addr_parse_ip(host, &a) || !addr_ip16(&a, c.ip))
		return (false);
	base = a.u.sa.sa_family == AF_INET ? 96 : 0;
	bits = 128 - base;
	if (slash >= 0) {
		text = slice_skip(text, (size_t)slash + 1);
		if (text.len > 3 || !text_to_u64(text, &bits) || bits > 128 - base)
			return (false);
	}
	c.bits = (uint8_t)(base + bits);
	if ((cidr_load(c.ip) & ~cidr_mask(c.bits)) != 0 ||
	    (cidr_load(c.ip + 8) & ~cidr_mask(c.bits - 64)) != 0)
		return (false);
	*r = c;
	return (true);
}

size_t
cidr_format(const struct cidr *c, char *buf, size_t n)
{
	struct text t;

	text_init(&t, buf, n);
	if (cidr_is_ipv4(c)) {
		addr_put_ip16(&t, c->ip);
		text_putc(&t, '/');
		text_u64(&t, c->bits - 96u);
		return (addr_finish(&t));
	}
	addr_put_ip16(&t, c->ip);
	text_putc(&t, '/');
	text_u64(&t, c->bits);
	return (addr_finish(&t));
}

/* IPv6 first, then IPv4, each in the order of the addresses: see cidr_has_ip16() for why. */
static int
cidr_order(bool a_is_v4, const uint8_t a[16], bool b_is_v4, const uint8_t b[16])
{
	if (a_is_v4 != b_is_v4)
		return (a_is_v4 ? 1 : -1);
	return (memcmp(a, b, 16));
}

static int
cidr_compare(const void *x, const void *y)
{
	const struct cidr *a = x;
	const struct cidr *b = y;
	int r = cidr_order(cidr_is_ipv4(a), a->ip, cidr_is_ipv4(b), b->ip);

	return (r != 0 ? r : (int)a->bits - (int)b->bits);
}

/* Blocks nest or are apart; without the nested ones, at most one can hold an address: the last
   that begins at or before it. */
void
cidr_set_build(struct cidr_set *set, struct cidr *v, size_t n)
{
	size_t kept = 0;

	if (n > 0)
		qsort(v, n, sizeof(*v), cidr_compare);
	for (size_t i = 0; i < n; i++) {
		bool inside = kept > 0 && cidr_is_ipv4(&v[kept - 1]) == cidr_is_ipv4(&v[i]) &&
		    cidr_has_ip16(&v[kept - 1], v[i].ip);

		if (!inside)
			v[kept++] = v[i];
	}
	*set = (struct cidr_set){v, kept};
}

const struct cidr *
cidr_set_find_ip16(const struct cidr_set *set, const uint8_t ip[16])
{
	bool is_v4 = addr_ip16_is_mapped(ip);
	size_t lo = 0;
	size_t hi = set->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		const struct cidr *c = &set->v[mid];

		if (cidr_order(cidr_is_ipv4(c), c->ip, is_v4, ip) <= 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (lo > 0 && cidr_has_ip16(&set->v[lo - 1], ip) ? &set->v[lo - 1] : NULL);
}

bool
cidr_set_has_ip16(const struct cidr_set *set, const uint8_t ip[16])
{
	return (cidr_set_find_ip16(set, ip) != NULL);
}

const struct cidr *
cidr_set_find(const struct cidr_set *set, const struct addr *a)
{
	uint8_t ip[16];

	return (addr_ip16(a, ip) ? cidr_set_find_ip16(set, ip) : NULL);
}

bool
cidr_set_has(const struct cidr_set *set, const struct addr *a)
{
	return (cidr_set_find(set, a) != NULL);
}
