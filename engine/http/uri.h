/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_URI_H
#define WEIR_HTTP_URI_H

/*
 * Request targets. One meaning for a path: unreserved bytes decoded, dot segments removed, `//`
 * merged, hex digits in upper case (RFC 3986, 6.2.2), for matching; the bytes that are forwarded
 * stay as they came unless the route rewrites them.
 */
#include <stdbool.h>

#include "engine/base/slice.h"

struct arena;

enum uri_rc {
	URI_OK,
	URI_MALFORMED,		/* bad percent-encoding, %00, bytes that may not stand in a path */
	URI_ENCODED_SLASH,	/* %2F, %5C or a raw backslash: a route must allow it; path set */
	URI_NO_MEMORY
};

/*
 * *path_r is `raw` itself when that is canonical already (the usual case: no copy), else new bytes
 * in the arena; a raw backslash becomes %5C. %2F and %5C stay encoded. A path that climbs above the
 * root is URI_MALFORMED, and so is `..` where an empty segment (`//`) stands before it: servers
 * that merge slashes first and servers that do it last read two different paths there; and so are
 * dots beside a parameter (`..;x`) or an encoded slash (`..%2Fx`), which are a dot segment to some
 * servers. A slash at the end is part of the path; so are parameters.
 */
enum uri_rc	uri_canonical(struct slice raw, struct arena *, struct slice *path_r);

/*
 * Could a server that takes a sound raw path by the letter find another first segment in it? With
 * `..`, which some do not resolve (`/admin/../x` is below /admin to them), and with `//` at the
 * start, behind which some find a host. Such a path is forwarded in its canonical form.
 */
bool		uri_strays(struct slice raw);

/*
 * A canonical path as servers read it that cut parameters off: `/a;x/b` is `/a/b`, `/;x/b` is `/b`.
 * `%3B` begins one too. False: no memory.
 */
bool		uri_has_parameters(struct slice path);
bool		uri_without_parameters(struct slice path, struct arena *, struct slice *path_r);

/*
 * RFC 3986 authority without user: host [":" [port]]. The host alone: an IPv6 address keeps its
 * brackets; the trailing dot of a name is cut off. False: not an authority; *host_r is then
 * undefined.
 */
bool		uri_split_authority(struct slice authority, struct slice *host_r);

/* The next name=value of a query, raw. Empty pieces (`&&`) are skipped. False: no more. */
bool		uri_query_next(struct slice *rest, struct slice *name_r, struct slice *value_r);
/* The next byte that a raw name or value of a query means: %XX, `+` for a blank, or itself; a `%`
   without two digits behind it too. False: no more. */
bool		uri_query_byte(struct slice *raw, char *c_r);
/* Does it begin with %XX? */
bool		uri_is_escape(struct slice);

#endif
