/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_EDIT_H
#define WEIR_PROXY_EDIT_H

/*
 * Edits of header fields, compiled when the configuration is loaded: names looked up, lines
 * written out, so that applying them copies nothing and measures nothing.
 *
 * The order is: what is removed, what is set (replacing every line of that name), what is added.
 */
#include <stdbool.h>
#include <stdio.h>

#include "engine/config/schema.h"
#include "engine/http/headers.h"

struct arena;
struct diag;

enum edit_kind {
	EDIT_REMOVE,
	EDIT_SET,
	EDIT_ADD
};

/* Tiny, hot, in an array: no magic. */
struct edit_op {
	uint8_t		 kind;		/* enum edit_kind */
	uint8_t		 id;		/* enum hdr_id */
	struct slice	 name;		/* EDIT_SET and EDIT_ADD: the begin of the line */
	struct slice	 value;		/* in the line */
	uint32_t	 line_len;	/* "Name: value\r\n" */
};

struct edit_list {
	const struct edit_op	*v;
	unsigned		 n;
};

/*
 * Main thread. `set` and `add` map field names to values, `remove` lists names, all as decoded;
 * everything is copied to the arena. Mistakes go to the diag: a name that is set and removed, and
 * names that edit_refused() does not let pass.
 */
void		 edit_compile(struct edit_list *, const struct schema_map *set,
		    const struct schema_map *add, const struct schema_list *remove,
		    bool is_request, struct arena *, struct diag *);

/*
 * Why this field may not be edited so, or NULL. Refused are the fields of one connection and of
 * the framing, which codecs write themselves (RFC 9110, 7.6.1), Expect, and for Host all but `set`
 * on a request.
 */
const char	*edit_refused(struct slice name, enum edit_kind, bool is_request);

/* In words: "removes X-A, sets X-B: b, adds X-C: c". */
void		 edit_explain(const struct edit_list *, FILE *out);

/* Worker thread. False: no memory, or too many fields. */
bool		 edit_apply(const struct edit_list *, struct headers *);

#endif
