/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_FILTERS_RUNS_H
#define WEIR_TESTS_FILTERS_RUNS_H

/*
 * The shipped filters in a whole gateway, on the simulated loop: tables of one request each, with
 * what both sides see, and of configurations that are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "filters/filters.h"
#include "tests/loop/rig.h"

extern const struct proxy_program runs_program;

#define RUNS_HEAD(listener)						\
	"version: 1\n"							\
	"listeners: { web: { listen: \"127.0.0.1:8080\"" listener " } }\n"	\
	"upstreams: { u: { servers: [\"10.0.0.1:80\"] } }\n"		\
	"routes:\n"
#define RUNS_TRUSTED	", trusted_proxies: [0.0.0.0/0, \"::/0\"]"
#define RUNS_UNTRUSTED	", trusted_proxies: [203.0.113.1]"

/* Wanted and unwanted texts are split by '|'. */
struct run {
	const char *listener;	/* more of it, or "" */
	/* without `upstream:`; with a `|` instead all routes, each from `- ` on, split by it */
	const char *route;
	const char *request;	/* request line's method and target, `|`, fields; Host first, or h */
	const char *response;	/* fields of the upstream's */
	const char *to_upstream, *not_to_upstream;	/* NULL: it must not be asked */
	const char *to_client, *not_to_client;
};
void	runs_check(const struct run *, unsigned n);
#define CHECK_RUNS(runs)	runs_check(runs, sizeof (runs) / sizeof (runs)[0])

/* A route without `upstream:`, and what the message says of it. */
struct mistake {
	const char *route, *says;
};
void	runs_check_mistakes(const struct mistake *, unsigned n);
#define CHECK_MISTAKES(cases)	runs_check_mistakes(cases, sizeof (cases) / sizeof (cases)[0])

#endif
