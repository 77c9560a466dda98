/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_TEMPLATE_H
#define WEIR_PROXY_TEMPLATE_H

/*
 * Texts with holes, for paths and redirects: `$1` to `$9` are what a regular expression captured,
 * `{host}`, `{path}`, `{query}` and `{scheme}` are of the request, `$$` is a dollar. Compiled
 * when the configuration is loaded to a short list of pieces; there is nothing to run, and no
 * name is looked up, when a request comes. What is put into a hole is encoded for where it
 * stands.
 *
 *	{host}    as the client named it, in lower case, without port
 *	{path}    the canonical path
 *	{query}   without `?`; only behind one
 *	{scheme}  http, or https where a trusted proxy says so
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/http/msg.h"
#include "engine/http/reason.h"
#include "engine/regex/regex.h"

struct arena;
struct diag;

enum {
	TEMPLATE_PIECES_MAX = 32	/* bounds what one byte of a request can become */
};

enum template_kind {
	TEMPLATE_TEXT,
	TEMPLATE_CAPTURE,
	TEMPLATE_HOST,
	TEMPLATE_PATH,
	TEMPLATE_QUERY,
	TEMPLATE_SCHEME,
	TEMPLATE__MAX
};

/* Where it stands in a URL: which holes it may have, and which bytes pass as they are. */
enum template_place {
	TEMPLATE_IN_ORIGIN,	/* scheme://host:port; nothing of a path or a capture */
	TEMPLATE_IN_PATH,
	TEMPLATE_IN_TAIL	/* ?query#fragment */
};

struct template_piece {		/* tiny, in an array: no magic */
	uint8_t		 kind;		/* enum template_kind */
	uint8_t		 capture;
	struct slice	 text;
};

struct template {
	unsigned		 magic;
#define TEMPLATE_MAGIC	0x1b6f24d9
	uint8_t			 place;		/* enum template_place */
	uint8_t			 n;
	uint16_t		 uses;		/* bits by enum template_kind */
	const struct template_piece *v;
};

/*
 * Main thread. `groups`: of the expression whose captures it may use; below 0: there is none. What
 * the text says is copied to the arena. NULL, or what is wrong with it, in the arena.
 */
const char	*template_compile(struct template *, enum template_place, struct slice text,
		    int groups, struct arena *);
static inline bool
template_uses(const struct template *t, enum template_kind kind)
{
	return ((t->uses >> kind & 1) != 0);
}
/* Nothing but text? */
static inline bool
template_is_plain(const struct template *t)
{
	return ((t->uses & ~1u) == 0);
}
/* What it could become, for checks when it is loaded. */
struct slice	 template_sample(const struct template *, struct arena *);

struct template_input {
	const struct msg_req	*req;
	const struct regex_captures *captures;	/* NULL: of an expression that there is not */
};
/* Worker thread. Bytes that it will take, and writing them; returns the byte behind the last. */
size_t		 template_len(const struct template *, const struct template_input *);
char		*template_put(const struct template *, const struct template_input *, char *at);

/*
 * A path that was made, *path_r, is brought to its canonical form where it lies (it never grows);
 * an empty one stays so. Not REASON_NONE: it must not leave. Dot segments could lead out of where
 * the template leads to; an encoded slash must have been there before, in the request or in the
 * configuration.
 */
enum reason	 template_settle_path(struct arena *, const struct msg_req *, bool may_encode_slash,
		    struct slice *path_r);
/* Does it hold "." or ".." as a segment, however that is written? */
bool		 template_has_dots(struct slice path);
/* Does it hold an encoded slash or backslash? */
bool		 template_has_encoded_slash(struct slice path);

#endif
