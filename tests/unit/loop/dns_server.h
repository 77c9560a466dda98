/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_LOOP_DNS_SERVER_H
#define WEIR_TESTS_LOOP_DNS_SERVER_H

/*
 * A DNS server for tests, on a thread of its own, UDP and TCP on one loopback port.
 * A name that no row has does not exist.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct dns_row {
	const char	*name;		/* lower case, no dot at the end */
	const char	*alias;		/* answers hang on this name, by a CNAME of ttl */
	const char	*a;		/* IPv4, or NULL */
	unsigned	 n_a;		/* so many, counted up from a; 0 is 1 */
	const char	*aaaa;		/* IPv6, or NULL */
	uint32_t	 ttl;		/* of the CNAME when there is one, else of a */
	uint32_t	 ttl_addr;	/* of the addresses behind a CNAME, and of aaaa */
	bool		 silent;	/* no answer */
	bool		 garbage;	/* an answer that cannot be parsed */
	bool		 truncate;	/* over UDP: TC and no records */
	bool		 servfail;
};

struct dns_server;

struct dns_server *dns_server_start(const struct dns_row *rows, unsigned n);
void	dns_server_stop(struct dns_server **s);

uint16_t dns_server_port(const struct dns_server *s);
unsigned dns_server_queries(struct dns_server *s);	/* so far, both transports */
unsigned dns_server_tcp(struct dns_server *s);		/* of them over TCP */

#endif
