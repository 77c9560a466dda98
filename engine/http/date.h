/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates of HTTP (RFC 9110, 5.6.7). No clock in here: callers give the time of their loop.
 */
#ifndef WEIR_HTTP_DATE_H
#define WEIR_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"

enum {
	DATE_BYTES = 29,			/* Sun, 06 Nov 1994 08:49:37 GMT */
	DATE_FIELD_BYTES = 6 + DATE_BYTES + 2	/* "Date: " before, CR LF behind */
};

/* One for each worker, zeroed at its start; no magic number: it has no other state. */
struct date_cache {
	uint64_t	 end_us;		/* wall time when the text is old; 0: no text */
	uint8_t		 which;			/* the text that holds now */
	char		 text[2][DATE_FIELD_BYTES];
};

/* Use date_now(). */
struct slice	date_make_(struct date_cache *, uint64_t wall_us);

/*
 * The whole field, "Date: ...\r\n", formatted once a second. Two texts take turns: what was
 * returned stays valid until the second call from now in which the second has changed.
 */
static inline struct slice
date_now(struct date_cache *c, uint64_t wall_us)
{
	/* A clock that was set back lies before the second, not in it. */
	if (wall_us >= c->end_us || c->end_us - wall_us > 1000000)
		return (date_make_(c, wall_us));
	return (slice_of(c->text[c->which], DATE_FIELD_BYTES));
}

/* IMF-fixdate, DATE_BYTES bytes and no NUL. Seconds since 1970; years up to 9999. */
void		date_format(uint64_t unix_s, char out[DATE_BYTES]);

/*
 * All three forms that a recipient must take: IMF-fixdate, RFC 850 and asctime. now_s decides the
 * century of a year of two digits: at most 50 years ahead. False: not a date. Before 1970: false.
 */
bool		date_parse(struct slice, uint64_t now_s, uint64_t *unix_s_r);

#endif
