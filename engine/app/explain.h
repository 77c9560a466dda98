/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_APP_EXPLAIN_H
#define WEIR_APP_EXPLAIN_H

/*
 * `explain`: what the gateway would do with a request, and why. The request is taken through the
 * steps of a real one (proxy/dry.h); made here are only the words around it, and the places of what
 * the files say. Main thread.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "engine/base/slice.h"
#include "engine/mem/err.h"

struct build;
struct explain;			/* asks one generation */
struct snapshot;

enum { EXPLAIN_FIELDS_MAX = 254 };

struct explain_ask {
	struct slice		 method;	/* empty: GET */
	struct slice		 url;		/* with a scheme; or a path, beside a Host field */
	struct slice		 listener;	/* empty: by the URL's port; else all */
	struct slice		 client;	/* its address; empty: not known */
	const struct slice	*fields;	/* "name: value" */
	unsigned		 n_fields;
};

/*
 * `b` has read what the snapshot was built from, by build_run() or build_read_again(); both outlive
 * it. `is_live`: names of servers are known as the process knows them.
 */
struct err	*explain_new(struct explain **, struct build *, struct snapshot *, bool is_live);
void		 explain_free(struct explain **);	/* nulls; NULL is fine */

/* The caller's; keys: docs/operations.md. NULL: this is no request that could be asked about, which
   *wrong_r says, or *wrong_r is NULL and there is no memory. */
json_t		*explain_request(struct explain *, const struct explain_ask *,
		    const char **wrong_r);
/* The same for people. */
void		 explain_print(const json_t *, FILE *out);

#endif
