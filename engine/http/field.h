/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of fields: lists, tokens, quoted strings, parameters, q-values (RFC 9110, 5.6 and 12.4.2)
 * and cookies (RFC 6265, 4.2.1 and 5.4). Slices in, slices of the same bytes out: nothing is
 * copied but by field_unquote(). A value is one field line's; several lines of a list are one list
 * after another. Pure functions; any thread.
 */
#ifndef WEIR_HTTP_FIELD_H
#define WEIR_HTTP_FIELD_H

#include <stdbool.h>

#include "engine/base/slice.h"

/* Bytes of a token (RFC 9110, 5.6.2): one or more, all of them tchar. */
bool	field_is_token(struct slice);

/*
 * The next element of a comma-separated list, without white space around it; empty elements are
 * skipped. A comma within a quoted string separates nothing; a string that is not closed ends with
 * the value. False: no more.
 */
bool	field_list_next(struct slice *rest, struct slice *item_r);

/* The same with `;`: the first part is the value that the parameters belong to. */
bool	field_part_next(struct slice *rest, struct slice *part_r);

/* Is token, ASCII case folded, an element of the list? */
bool	field_list_has(struct slice list, struct slice token);

/*
 * A part as name and value: `name`, `name=value`, `name="value"`, without white space around `=`'s
 * sides. The value is raw, quotes and all; empty when there is none. False: name is no token.
 */
bool	field_param(struct slice part, struct slice *name_r, struct slice *value_r);

/* The value of the parameter (name folded) of a list element, raw. False: it has none. */
bool	field_param_find(struct slice item, struct slice name, struct slice *value_r);

/*
 * A quoted string without its quotes and backslashes, a token as it is; out has room for
 * value.len bytes. False: starts with a quote and is not one whole quoted string.
 */
bool	field_unquote(struct slice value, char *out, struct slice *text_r);

/* qvalue as thousandths, 0 to 1000: "0.5" is 500. False: not one. */
bool	field_qvalue(struct slice, unsigned *thousandths_r);

/*
 * The next pair of a Cookie field's value. Quotes around a value belong to it and stay; a pair
 * without `=` is skipped. False: no more.
 */
bool	field_cookie_next(struct slice *rest, struct slice *name_r, struct slice *value_r);

/* The first cookie of this name (case matters) in one Cookie field's value. False: none. */
bool	field_cookie(struct slice cookies, struct slice name, struct slice *value_r);

#endif
