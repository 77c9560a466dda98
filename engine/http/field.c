/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/field.h"

static const bool field_tchar[256] = {
	['!'] = true, ['#' ... '\''] = true, ['*'] = true, ['+'] = true, ['-'] = true,
	['.'] = true, ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['^' ... 'z'] = true,
	['|'] = true, ['~'] = true
};

bool
field_is_token(struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (!field_tchar[(uint8_t)s.p[i]])
			return (false);
	}
	return (s.len > 0);
}

/* Length up to the first sep that is not within quotes, or up to the end. */
static size_t
span_to(struct slice s, char sep)
{
	bool quoted = false;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (quoted && s.p[i] == '\\')
			i++;
		else if (!quoted && s.p[i] == sep)
			return (i);
	}
	return (s.len);
}

static bool
next_of(struct slice *rest, char sep, struct slice *item_r)
{
	while (rest->len > 0) {
		size_t n = span_to(*rest, sep);
		struct slice item = slice_trim(slice_of(rest->p, n));

		*rest = slice_skip(*rest, n + 1);
		if (item.len > 0) {
			*item_r = item;
			return (true);
		}
	}
	return (false);
}

bool
field_list_next(struct slice *rest, struct slice *item_r)
{
	return (next_of(rest, ',', item_r));
}

bool
field_part_next(struct slice *rest, struct slice *part_r)
{
	return (next_of(rest, ';', part_r));
}

bool
field_list_has(struct slice list, struct slice token)
{
	struct slice item;

	while (field_list_next(&list, &item)) {
		if (slice_eq_fold(item, token))
			return (true);
	}
	return (false);
}

bool
field_param(struct slice part, struct slice *name_r, struct slice *value_r)
{
	ssize_t eq = slice_find_byte(part, '=');

	if (eq < 0) {
		*name_r = slice_trim(part);
		*value_r = slice_of(part.p + part.len, 0);
	} else {
		*name_r = slice_trim(slice_of(part.p, (size_t)eq));
		*value_r = slice_trim(slice_skip(part, (size_t)eq + 1));
	}
	return (field_is_token(*name_r));
}

bool
field_param_find(struct slice item, struct slice name, struct slice *value_r)
{
	size_t own = span_to(item, ';');
	struct slice part, found, value;

	item = slice_skip(item, own + 1);
	while (field_part_next(&item, &part)) {
		if (field_param(part, &found, &value) && slice_eq_fold(found, name)) {
			*value_r = value;
			return (true);
		}
	}
	return (false);
}

bool
field_unquote(struct slice value, char *out, struct slice *text_r)
{
	size_t n = 0;

	if (value.len == 0 || value.p[0] != '"') {
		if (value.len > 0)
			memcpy(out, value.p, value.len);
		*text_r = slice_of(out, value.len);
		return (true);
	}
	for (size_t i = 1; i < value.len; i++) {
		if (value.p[i] == '"') {
			*text_r = slice_of(out, n);
			return (i + 1 == value.len);
		}
		if (value.p[i] == '\\' && ++i == value.len)
			return (false);
		out[n++] = value.p[i];
	}
	return (false);
}

bool
field_qvalue(struct slice s, unsigned *thousandths_r)
{
	unsigned v, weight = 100;

	if (s.len == 0 || s.len > 5 || (s.p[0] != '0' && s.p[0] != '1'))
		return (false);
	v = s.p[0] == '1' ? 1000 : 0;
	if (s.len > 1 && s.p[1] != '.')
		return (false);
	for (size_t i = 2; i < s.len; i++, weight /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return (false);
		v += (unsigned)(s.p[i] - '0') * weight;
	}
	if (v > 1000)
		return (false);
	*thousandths_r = v;
	return (true);
}

bool
field_cookie_next(struct slice *rest, struct slice *name_r, struct slice *value_r)
{
	struct slice pair;
	ssize_t eq;

	/* Cookies know no quoted separators: a `;` always ends a pair. */
	while (slice_split(rest, ';', &pair)) {
		eq = slice_find_byte(pair, '=');
		if (eq < 0)
			continue;
		*name_r = slice_trim(slice_of(pair.p, (size_t)eq));
		*value_r = slice_trim(slice_skip(pair, (size_t)eq + 1));
		if (name_r->len > 0)
			return (true);
	}
	return (false);
}

bool
field_cookie(struct slice cookies, struct slice name, struct slice *value_r)
{
	struct slice found, value;

	while (field_cookie_next(&cookies, &found, &value)) {
		if (slice_eq(found, name)) {
			*value_r = value;
			return (true);
		}
	}
	return (false);
}
