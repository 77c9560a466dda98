/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads of HTTP/1 messages, from bytes to slices, in one pass and strictly (RFC 9112, 2 to 5).
 * Private to the folder.
 *
 * The syntax comes first (h1_parse_*), into a struct on the caller's stack, because nothing may be
 * allocated before the head is whole; then its meaning (h1_req_fill, h1_resp_fill in h1_head.c),
 * into the message. Nothing is copied: slices point into the bytes given. A field's raw bytes
 * keep the optional white space around the value, which is harmless to every reader; `value` is
 * without it.
 */
#ifndef WEIR_H1_PARSE_H
#define WEIR_H1_PARSE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/http/codec.h"

enum h1_parse_rc {
	H1_PARSE_MORE,		/* sound so far, not whole */
	H1_PARSE_DONE,
	H1_PARSE_BAD		/* see head.reason */
};

/* No magic: lives on the stack for one call. Rows beyond n_rows are not initialised. */
struct h1_head {
	struct slice	 method;	/* request line; empty until it has been read */
	struct slice	 target;
	const char	*query;		/* the first '?' in the target, or NULL */
	struct slice	 phrase;
	uint16_t	 status;
	uint8_t		 version;	/* enum http_version; 0: no first line yet */
	uint8_t		 reason;	/* enum reason, with H1_PARSE_BAD */
	uint16_t	 n_rows;
	uint16_t	 n_fields;	/* field lines seen, those dropped included */
	uint16_t	 fields_max;	/* that n_fields may be: the limit's, and rows for all */
	uint32_t	 counted;	/* bytes, each field with + 32 */
	uint32_t	 len;		/* of the head, with H1_PARSE_DONE */
	struct hdr	 rows[HEADERS_MAX];
};

enum h1_parse_rc h1_parse_request(struct h1_head *, const struct codec_limits *, const char *p,
    size_t n);
enum h1_parse_rc h1_parse_response(struct h1_head *, const struct codec_limits *, const char *p,
    size_t n);
/* Field lines and the empty line, as trailers are; `head` is reset first. */
enum h1_parse_rc h1_parse_trailers(struct h1_head *, const struct codec_limits *, const char *p,
    size_t n);

/* Content-Length: digits only. False: empty, another byte, or above INT64_MAX. */
bool	h1_parse_length(struct slice, int64_t *r);

/*
 * The meaning of a request head, into an initialised message. REASON_NONE, or why it is refused
 * (what is known of the request is filled in all the same, for the log).
 */
enum reason h1_req_fill(struct msg_req *, const struct h1_head *);
/* Of a response head to a request of that method. `upgrade` is the protocol asked for, or empty. */
enum reason h1_resp_fill(struct msg_resp *, const struct h1_head *, enum http_method,
    struct slice upgrade);

#endif
