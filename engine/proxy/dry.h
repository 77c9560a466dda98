/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_DRY_H
#define WEIR_PROXY_DRY_H

/*
 * A request that nobody sent, taken through the steps of a real one: the codec reads it, the router
 * finds its route, filters judge it, the balancer picks, all by the functions that serve. It ends
 * where a server would be asked, or an answer written. Nothing leaves, waits or is counted.
 *
 * Filters run only where they say that they may (filter_ops.dry); of the others it is not known
 * what they would say, and the request goes on as if they let it pass.
 *
 * Main thread, or another that serves nothing. One request at a time.
 */
#include <stdbool.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/http/msg.h"
#include "engine/http/reason.h"
#include "engine/mem/err.h"
#include "engine/proxy/filter.h"
#include "engine/proxy/registry.h"
#include "engine/proxy/router_trace.h"

struct dry;			/* what a worker has, for such requests */
struct endset;
struct listener;
struct route;
struct server;
struct snapshot;
struct upstream;

struct dry_request {
	/* As a client would send it, the empty line included; a body is never there. */
	struct slice		 head;
	const struct addr	*client;	/* the peer; NULL: not known */
	/* Told of each rule that was looked at (router_trace.h); may be NULL. Keep nothing but
	   what the generation has. */
	router_verdict_fn	*on_rule;
	void			*arg;
};

enum dry_how {
	DRY_NOT_MET,		/* it has no phase of requests, or one before it ended that */
	DRY_NOT_KNOWN,		/* it may not run beforehand, or needs to know the client */
	DRY_PASSED,
	DRY_REPLIED,
	DRY_FAULTED
};

struct dry_filter {
	const struct filter_ops	*ops;
	struct filter_call	*fc;		/* for ops->explain() */
	enum dry_how		 how;
	bool			 met_response;	/* it has seen the head of our own answer */
};

enum dry_end {
	DRY_FORWARD,		/* a server would be asked */
	DRY_ANSWER,		/* ours: resp, and a reason if it is a refusal */
	DRY_CUT			/* no answer could be given: see reason */
};

/* Lives until dry_done(). */
struct dry_result {
	enum dry_end		 end;
	enum reason		 reason;
	const struct route	*route;		/* NULL: none */
	bool			 is_preflight;	/* it was routed by what it announces */
	const struct msg_req	*req;		/* as far as filters have edited it */
	const struct msg_resp	*resp;		/* DRY_ANSWER */
	struct slice		 host;		/* as received, for whom it was routed; */
	struct slice		 path;		/* canonical; empty: it has none */
	const struct addr	*client;	/* NULL: not known */
	struct upstream		*upstream;	/* DRY_FORWARD */
	bool			 by_chance;	/* of a split: the next time it may be another */
	struct dry_filter	 filters[REGISTRY_FILTERS_MAX];	/* in the order of requests */
	unsigned		 n_filters;
};

struct err	*dry_new(struct dry **);
void		 dry_free(struct dry **);	/* nulls; NULL is fine */

/* The generation is held by the caller until dry_done(). False: no memory. */
bool		 dry_run(struct dry *, struct snapshot *, struct listener *,
		    const struct dry_request *, struct dry_result *);
/* As up_choose(). */
bool		 dry_choose(struct dry *, struct upstream *, const struct endset *now,
		    const struct server **server_r);
/* The head as this server would get it (NULL: any); it changes where `host: upstream` says so.
   Empty: no memory, or a head that would not be sent. */
struct slice	 dry_head(struct dry *, const struct server *);
/* Lets the request go. */
void		 dry_done(struct dry *);
/* What was kept of upstreams for dry_choose() goes: before the generation does. */
void		 dry_forget(struct dry *);

#endif
