/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_PROXY_ACCESS_LOG_REDACT_H
#define WEIR_PROXY_ACCESS_LOG_REDACT_H

/*
 * Private to access_log*.c: what must not be read in a log. Pure functions; any thread.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/base/text.h"

/* What stands in place of a secret. */
#define ACCESS_LOG_REDACTED	"***"

struct access_log_redact {
	bool			 off;		/* everything is told */
	uint32_t		 n;
	const struct slice	*names;		/* secret besides those that are known; any case */
};

/*
 * Does a query parameter of this name, as it stands in the target, hold a secret? Its last word
 * says so (token, api_key, clientSecret, user[password], X-Amz-Signature), some also at the end of
 * a longer one (dbpassword), or the list.
 */
bool	access_log_is_secret_parameter(const struct access_log_redact *, struct slice name);
/* Does a header field of this name carry credentials? The usual ones, or those of the list. */
bool	access_log_is_secret_field(const struct access_log_redact *, struct slice name);
/* Is a header field's value of this name a URL, and may have a query? */
bool	access_log_is_url_field(struct slice name);

/* The query with the values of secrets replaced, and what is long and has no name, cut where the
   text is full. */
void	access_log_redact_query(const struct access_log_redact *, struct slice query,
	    struct text *);
/* The same with what stands before the query, and a fragment as another query. */
void	access_log_redact_url(const struct access_log_redact *, struct slice url, struct text *);
/* Of a target that could not be taken apart: without what may be a password before an "@", without
   query and fragment. */
struct slice access_log_redact_target(struct slice);

#endif
