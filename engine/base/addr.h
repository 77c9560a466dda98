/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Socket addresses (IPv4, IPv6, Unix) as values, and blocks of IP addresses (CIDR).
 * An IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2) counts as IPv4 wherever addresses are
 * shown, compared, hashed or matched.  Nothing allocates and nothing asks DNS.
 */
#ifndef WEIR_BASE_ADDR_H
#define WEIR_BASE_ADDR_H

#include <sys/socket.h>
#include <sys/un.h>

#include <netinet/in.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"

struct addr {
	union {
		struct sockaddr sa;
		struct sockaddr_in in;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
	socklen_t len; /* of the part of u that counts, for bind and connect; 0: no address */
};

enum {
	ADDR_TEXT_MAX = 128,	/* room for any addr_format(), NUL included */
	ADDR_IP_TEXT_MAX = 46	/* room for any addr_format_ip(), NUL included */
};

/* "1.2.3.4:80", "[::1]:80", "unix:/path" ("unix:@name": Linux's abstract names).  The port is
   decimal, 0 to 65535.  False for anything else, names and zone ids included; *r is untouched. */
bool addr_parse(struct slice text, struct addr *r) CC_MUST_USE;

/* "1.2.3.4", "::1" or "[::1]"; the port is 0. */
bool addr_parse_ip(struct slice text, struct addr *r) CC_MUST_USE;

/* A copy of what accept(2) or getsockname(2) gave.  False for other families or a wrong len; *r is
   untouched. */
bool addr_from_sockaddr(struct addr *r, const struct sockaddr *sa, socklen_t len) CC_MUST_USE;

/* What addr_parse() reads, with a NUL; cut when n is too small; empty for no address.  Returns the
   length written, without the NUL. */
size_t addr_format(const struct addr *a, char *buf, size_t n);

/* The IP alone, without brackets; "unix" for a Unix socket. */
size_t addr_format_ip(const struct addr *a, char *buf, size_t n);

uint16_t addr_port(const struct addr *a); /* host order; 0 for a Unix socket */
void addr_set_port(struct addr *a, uint16_t port);

static inline bool
addr_is_ip(const struct addr *a)
{
	return (a->len != 0 && (a->u.sa.sa_family == AF_INET || a->u.sa.sa_family == AF_INET6));
}

/* Is it an IPv4 address, mapped ones included? */
bool addr_is_ipv4(const struct addr *a);

/* The 16 bytes of the IP, IPv4 as mapped.  False for a Unix socket. */
bool addr_ip16(const struct addr *a, uint8_t ip_r[16]);

bool addr_eq(const struct addr *a, const struct addr *b);	/* port included */
bool addr_eq_ip(const struct addr *a, const struct addr *b);	/* the IP alone */

/* Keyed hash, consistent with addr_eq(); key as in siphash.h. */
uint64_t addr_hash(const struct addr *a, const uint8_t key[16]);

/* A block of addresses: the first bits of ip.  IPv4 blocks are kept mapped: 10.0.0.0/8 has 104. */
struct cidr {
	uint8_t ip[16];
	uint8_t bits;
};

/* "10.0.0.0/8", "fd00::/8", or an address alone (a block of one).  An address with bits set
   behind the prefix (10.0.0.1/8) is refused: it hides a mistake. */
bool cidr_parse(struct slice text, struct cidr *r) CC_MUST_USE;

bool cidr_has(const struct cidr *c, const struct addr *a); /* false for Unix sockets */
bool cidr_has_ip16(const struct cidr *c, const uint8_t ip[16]);
size_t cidr_format(const struct cidr *c, char *buf, size_t n);

/* A set of blocks; membership in O(log n).  The array stays the caller's and outlives the set. */
struct cidr_set {
	const struct cidr *v;
	size_t n;
};

/* Sorts v in place and drops blocks that lie inside others.  n may be 0: the empty set. */
void cidr_set_build(struct cidr_set *set, struct cidr *v, size_t n);
bool cidr_set_has(const struct cidr_set *set, const struct addr *a);
/* The block that holds it, or NULL. */
const struct cidr *cidr_set_find(const struct cidr_set *set, const struct addr *a);
const struct cidr *cidr_set_find_ip16(const struct cidr_set *set, const uint8_t ip[16]);
bool cidr_set_has_ip16(const struct cidr_set *set, const uint8_t ip[16]);

#endif
