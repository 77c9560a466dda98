/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_TESTS_LOOP_PROBE_H
#define WEIR_TESTS_LOOP_PROBE_H

/*
 * A gateway (rig.h) with three filters made for tests, and one route to one server.
 *
 *	probe: WORD	waits, fails, answers or breaks a rule, as its word says
 *	shout: { ... }	puts bodies into capitals, in pieces or whole; or drops or refuses them
 *	behind		stands behind both and tells whether the chain came so far
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine/http/headers.h"
#include "engine/proxy/facts.h"
#include "engine/proxy/filter.h"
#include "tests/loop/rig.h"

/* What the filters saw since start(). */
struct seen {
	unsigned calls, wokens, cancels, gones, logs, behind;
	uint64_t body_bytes;
	unsigned body_calls, body_ends;
	uint64_t phase_us[FACTS_PHASE__MAX];	/* as the log was told */
};
extern struct seen seen;

extern const struct proxy_program program;

/* What a failed check would print, as the word `dump` has it. */
enum { DUMPED_BYTES = 8192 };
extern char dumped[DUMPED_BYTES];

#define HEAD								\
	"version: 1\n"							\
	"listeners: { web: { listen: \"127.0.0.1:8080\" } }\n"		\
	"upstreams: { u: { servers: [\"10.0.0.1:80\"] } }\n"		\
	"routes:\n"

#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

/* The gateway with these policies on its one route. */
void		 start(const char *policy);
bool		 has(struct slice all, const char *what);
/* A client that has sent a GET. */
struct sim_conn	*get(void);
/* The upstream gets a request and answers; returns what it got. */
struct slice	 answer(const char *response);
/* The client got this status and these bytes; then all ends, and one request was logged. */
void		 expect_end(struct sim_conn *, const char *status, const char *what);
/* In ms; there was no other. */
void		 expect_phases(uint64_t auth, uint64_t first_byte, uint64_t body);

#endif
