/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/cc.h"
#include "engine/config/node.h"

_Static_assert(sizeof(struct node) == 32, "a large file is mostly nodes");

const struct node *
node_get(const struct node *map, struct slice key)
{
	for (uint32_t i = 0; i < map->count; i++)
		if (slice_eq(node_text(node_key(map, i)), key))
			return (node_value(map, i));
	return (NULL);
}

static bool
is_word_of(struct slice s, const char *const words[3])
{
	for (int i = 0; i < 3; i++)
		if (slice_eq(s, slice_str(words[i])))
			return (true);
	return (false);
}

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

/* Skips digits; how many there were. */
static size_t
skip_digits(struct slice *s)
{
	size_t n = 0;

	while (n < s->len && is_digit(s->p[n]))
		n++;
	*s = slice_skip(*s, n);
	return (n);
}

static bool
take_char(struct slice *s, char a, char b)
{
	if (s->len == 0 || (s->p[0] != a && s->p[0] != b))
		return (false);
	*s = slice_skip(*s, 1);
	return (true);
}

static enum node_scalar
number_kind(struct slice s)
{
	struct slice digits;
	size_t whole, part = 0;
	bool is_int = true;

	if (s.len > 0 && s.p[0] == '-')
		s = slice_skip(s, 1);
	digits = s;
	whole = skip_digits(&s);
	if (whole > 1 && digits.p[0] == '0')
		return (NODE_STRING);
	if (take_char(&s, '.', '.')) {
		part = skip_digits(&s);
		is_int = false;
	}
	if (whole + part == 0)
		return (NODE_STRING);
	if (take_char(&s, 'e', 'E')) {
		(void)take_char(&s, '+', '-');
		if (skip_digits(&s) == 0)
			return (NODE_STRING);
		is_int = false;
	}
	if (s.len != 0)
		return (NODE_STRING);
	return (is_int ? NODE_INT : NODE_FLOAT);
}

enum node_scalar
node_scalar_kind(const struct node *n)
{
	static const char *const nulls[3] = { "null", "Null", "NULL" };
	static const char *const trues[3] = { "true", "True", "TRUE" };
	static const char *const falses[3] = { "false", "False", "FALSE" };
	static const char *const infs[3] = { ".inf", ".Inf", ".INF" };
	static const char *const nans[3] = { ".nan", ".NaN", ".NAN" };
	struct slice s = node_text(n);

	if (n->flags & NODE_QUOTED)
		return (NODE_STRING);
	if (s.len == 0 || (s.len == 1 && s.p[0] == '~'))
		return (NODE_NULL);
	switch (s.p[0]) {
	case 'n':
	case 'N':
		return (is_word_of(s, nulls) ? NODE_NULL : NODE_STRING);
	case 't':
	case 'T':
		return (is_word_of(s, trues) ? NODE_BOOL : NODE_STRING);
	case 'f':
	case 'F':
		return (is_word_of(s, falses) ? NODE_BOOL : NODE_STRING);
	case '-':
	case '.':
		if (is_word_of(s.p[0] == '-' ? slice_skip(s, 1) : s, infs) || is_word_of(s, nans))
			return (NODE_FLOAT);
		return (number_kind(s));
	default:
		return (is_digit(s.p[0]) ? number_kind(s) : NODE_STRING);
	}
}

bool
node_is_null(const struct node *n)
{
	return (n->kind == NODE_SCALAR && node_scalar_kind(n) == NODE_NULL);
}

static bool
node_map_eq(const struct node *a, const struct node *b)
{
	for (uint32_t i = 0; i < a->count; i++) {
		const struct node *other = node_get(b, node_text(node_key(a, i)));

		if (other == NULL || !node_eq(node_value(a, i), other))
			return (false);
	}
	return (true);
}

bool
node_eq(const struct node *a, const struct node *b)
{
	if (a->kind != b->kind)
		return (false);
	if (a->kind == NODE_SCALAR)
		return (node_scalar_kind(a) == node_scalar_kind(b) &&
		    (node_is_null(a) || slice_eq(node_text(a), node_text(b))));
	if (a->count != b->count)
		return (false);
	if (a->kind == NODE_MAP)
		return (node_map_eq(a, b));
	for (uint32_t i = 0; i < a->count; i++)
		if (!node_eq(node_item(a, i), node_item(b, i)))
			return (false);
	return (true);
}

const char *
node_describe(const struct node *n)
{
	static const char *const scalars[NODE_SCALAR__MAX] = { "a string", "empty", "a boolean",
		"a number", "a number" };

	switch (n->kind) {
	case NODE_MAP:
		return ("a map");
	case NODE_LIST:
		return ("a list");
	default:
		return (scalars[node_scalar_kind(n)]);
	}
}
