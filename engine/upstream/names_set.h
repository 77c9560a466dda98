/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_NAMES_SET_H
#define WEIR_UPSTREAM_NAMES_SET_H

/*
 * What is known of names, as a list of servers. Private to names.c, main thread.
 */
#include "engine/loop/resolve.h"
#include "engine/loop/timer.h"
#include "engine/upstream/endset.h"

struct upstream_conf;

/* One name, whoever uses it. */
struct names_host {
	unsigned		 magic;
#define NAMES_HOST_MAGIC	0x11d7ea60
	unsigned		 n;		/* addresses, ports not set */
	struct addr		*addrs;
	bool			 answered;	/* well or badly */
	bool			 told_late;	/* it was warned of that no answer came */
	unsigned		 failures;	/* since the last good answer */
	struct upstream_names	*names;
	struct list		 uses;
	struct resolve_call	 call;
	struct timer		 timer;
	struct slice		 name;		/* its text lies behind */
};

/* Takes the addresses over. False: they are what they were, in whatever order, or memory is short
   and the old ones stay. */
bool		 names_host_take(struct names_host *, const struct addr *, unsigned n);

/*
 * The servers as they are now: literal ones, and each address of each name. host_of gives the host
 * of the i-th named server. An address that comes twice stands once, under the first server, with
 * the weights of both. NULL: no memory.
 */
struct endset	*names_set_build(const struct upstream_conf *,
		    struct names_host *(*host_of)(void *, unsigned i), void *arg);

#endif
