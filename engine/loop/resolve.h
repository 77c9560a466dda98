/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_LOOP_RESOLVE_H
#define WEIR_LOOP_RESOLVE_H

/*
 * Host names to addresses, asynchronously: /etc/hosts first, then DNS (A and AAAA; TCP when
 * an answer is truncated). localhost, and what ends in .localhost, never goes to DNS. One
 * resolver a loop; all calls on the loop's thread.
 */

#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/loop/loop.h"

#define RESOLVER_MAGIC		0x52534c56u	/* "RSLV" */
#define RESOLVE_CALL_MAGIC	0x5253434cu	/* "RSCL" */

/* Answers that carry no TTL (/etc/hosts, an address written as a name) are held this long. */
#define RESOLVE_LOCAL_TTL_S	60u

/* A name in text form has at most 253 bytes and may end in a dot (RFC 1035 2.3.4). */
#define RESOLVE_NAME_MAX	254u

struct resolver;
struct resolve_call;

enum resolve_rc {
	RESOLVE_OK,		/* at least one address */
	RESOLVE_NOT_FOUND,	/* no such name, or no address of it: the servers said so (of one
				   family at least, when the other got no answer) */
	RESOLVE_TIMEOUT,	/* no server answered in time */
	RESOLVE_FAILED,		/* refused, malformed, out of memory, bad name */
	RESOLVE_RC__MAX,
};

struct resolver_conf {
	unsigned	 timeout_ms;	/* of the first try; it doubles with each; 0: 2000 */
	unsigned	 tries;		/* per server; 0: 3 */
	const char	*servers;	/* "ip[:port],..." in place of the system's; or NULL */
};

/*
 * Called once on the loop's thread, never from inside resolve_start(). addrs holds n
 * addresses with the port asked for, in the order of the answer, valid until fn returns.
 * ttl_s is the least TTL of the records used, CNAMEs included; 0 unless RESOLVE_OK.
 * The call is idle again: fn may start it anew or free it.
 */
typedef void resolve_fn(struct resolve_call *call, const struct addr *addrs, unsigned n,
    uint32_t ttl_s, enum resolve_rc rc);

/* Owned by the caller; the fields belong to the resolver while the call runs. */
struct resolve_call {
	unsigned		 magic;
	struct resolver		*resolver;	/* NULL when idle */
	struct list		 link;		/* among the resolver's calls */
	void			*flight;	/* the query under way */
	resolve_fn		*fn;
	struct deferred		 deferred;
	struct addr		*addrs;
	unsigned		 n;
	uint32_t		 ttl_s;
	enum resolve_rc		 rc;
};

/* The library below, as in "c-ares 1.18.1"; for `version`. */
const char *resolver_library(void);

/*
 * Reads the system's resolver configuration once; /etc/hosts is read anew for each call. conf
 * may be NULL: the defaults. Returns NULL when out of memory or for a bad servers text.
 */
struct resolver *resolver_new(struct loop *l, const struct resolver_conf *conf);

/* Calls under way are dropped without calling back. Frees and nulls. */
void	resolver_free(struct resolver **r);

void	resolve_call_init(struct resolve_call *call);

/* name need not live on after the return. The call must be idle. */
void	resolve_start(struct resolver *r, struct resolve_call *call, struct slice name,
	    uint16_t port, resolve_fn *fn);

/* fn is not called any more; the call's memory may go. Harmless when idle. */
void	resolve_cancel(struct resolve_call *call);

#endif /* WEIR_LOOP_RESOLVE_H */
