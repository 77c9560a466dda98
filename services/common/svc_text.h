/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_TEXT_H
#define SERVICES_COMMON_SVC_TEXT_H

/* Checks of text that comes from outside. Pure functions, any thread. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evkeyvalq;

/* The number of characters (code points) of valid UTF-8 (RFC 3629); false if it is not. */
bool svc_text_length(const char *text, size_t *chars_r);
/*
 * Has a control character (C0, DEL, C1) or a line or paragraph separator? The text is valid UTF-8.
 */
bool svc_text_has_control(const char *text);
/* Has nothing but spaces, of any kind that Unicode knows? The text is valid UTF-8. */
bool svc_text_is_blank(const char *text);
/* Cuts a broken character off the end of a text that snprintf may have cut. */
void svc_text_trim_utf8(char *text);

/* Digits only, least <= value <= most. */
bool svc_text_number(const char *text, uint64_t least, uint64_t most, uint64_t *value_r);

/*
 * Does an If-Match or If-None-Match field (RFC 9110 section 13.1) hold for the version's tag, "N"?
 * `*` always does. A weak tag matches only with `weak` (If-None-Match).
 */
bool svc_etag_matches(const char *field, int64_t version, bool weak);

/*
 * Splits and decodes a query string into `out`; false on a broken %-escape or a NUL. NULL is an
 * empty query.
 */
bool svc_query_parse(const char *query, struct evkeyvalq *out);

#endif
