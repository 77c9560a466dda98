/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunked coding (RFC 9112, 7.1), in and out. Private to the folder.
 *
 * In: sizes are hex digits only, sixteen at most and not above INT64_MAX; then either CR LF or
 * ';' and an extension, which is thrown away and bounded. No white space anywhere, no bare CR or
 * LF.
 */
#ifndef WEIR_H1_CHUNK_H
#define WEIR_H1_CHUNK_H

#include <stddef.h>
#include <stdint.h>

#include "engine/h1/h1.h"

enum h1_chunk_rc {
	H1_CHUNK_MORE,		/* all used, the line is not whole */
	H1_CHUNK_DATA,		/* `left` bytes of data come next */
	H1_CHUNK_LAST,		/* the trailer section comes next */
	H1_CHUNK_BAD
};

enum {
	H1_CHUNK_LINE_MAX = 16 + 2	/* what h1_chunk_put writes at most */
};

/* Before the first chunk of a body. */
void	h1_chunk_begin(struct h1_chunk_in *);

/*
 * From the end of the last chunk's data to the end of the next size line. *used_r: how many of
 * the n bytes are done with. The caller counts `left` down as data passes and then calls again.
 */
enum h1_chunk_rc h1_chunk_line(struct h1_chunk_in *, unsigned max_ext, const char *p, size_t n,
    size_t *used_r);

/* A size line for n bytes; at least H1_CHUNK_LINE_MAX bytes of room. Returns its length. */
size_t	h1_chunk_put(char *, uint64_t n);

/* May a field with this id stand in trailers (RFC 9110, 6.5.1)? HDR_OTHER may. */
bool	h1_trailer_may(enum hdr_id);

#endif
