/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/cc.h"
#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/config/load.h"
#include "engine/config/schema_impl.h"
#include "engine/mem/arena.h"

/* One row a type: what it is called, how large it is. */
static const struct {
	const char *name;
	const char *due; /* "a duration such as 10s" */
	uint32_t size;
	bool is_number;
} types[SCHEMA_TYPE__MAX] = {
	[SCHEMA_BOOL] = { "boolean", "true or false", sizeof(bool), false },
	[SCHEMA_INT] = { "number", "a whole number", sizeof(uint64_t), true },
	[SCHEMA_DURATION] = { "duration", "a time such as 10s", sizeof(uint64_t), true },
	[SCHEMA_BYTES] = { "size", "a size such as 16KiB", sizeof(uint64_t), true },
	[SCHEMA_BYTE_RATE] = { "bytes a second", "a rate such as 240B/s", sizeof(uint64_t), true },
	[SCHEMA_PERCENT] = { "share", "a share such as 5%", sizeof(uint64_t), true },
	[SCHEMA_RATE] = { "rate", "a rate such as 10/s", sizeof(struct scalar_rate), false },
	[SCHEMA_ENUM] = { "word", "a word", sizeof(int), false },
	[SCHEMA_STRING] = { "string", "a string", sizeof(struct slice), false },
	[SCHEMA_TEXT] = { "text", "a text", sizeof(struct slice), false },
	[SCHEMA_NAME] = { "name", "a name", sizeof(struct slice), false },
	[SCHEMA_REF] = { "name", "a name", sizeof(struct slice), false },
	[SCHEMA_HEADER_NAME] = { "header name", "a header name", sizeof(struct slice), false },
	[SCHEMA_HEADER_VALUE] = { "header value", "a header value", sizeof(struct slice), false },
	[SCHEMA_HOST] = { "host name", "a host name", sizeof(struct slice), false },
	[SCHEMA_PATH] = { "path", "a path", sizeof(struct slice), false },
	[SCHEMA_METHOD] = { "method", "a method", sizeof(struct slice), false },
	[SCHEMA_FILE] = { "file", "a file name", sizeof(struct slice), false },
	[SCHEMA_SERVER] = { "address", "an address", sizeof(struct scalar_server), false },
	[SCHEMA_LISTEN] = { "listen address", "a port or an address", sizeof(struct scalar_listen),
	    false },
	[SCHEMA_CIDR] = { "address range", "a range such as 10.0.0.0/8", sizeof(struct cidr),
	    false },
	[SCHEMA_SECRET] = { "secret", "a text, { file: } or { env: }", sizeof(struct scalar_secret),
	    false },
	[SCHEMA_ANY] = { "anything", "a value", sizeof(const struct node *), false },
	[SCHEMA_OBJECT] = { "map", "a map", sizeof(void *), false },
	[SCHEMA_LIST] = { "list", "a list", sizeof(struct schema_list), false },
	[SCHEMA_MAP] = { "map", "a map", sizeof(struct schema_map), false },
};

size_t
schema_value_size(enum schema_type type)
{
	must(types[type].size != 0);
	return (types[type].size);
}

bool
schema_value_is_number(enum schema_type type)
{
	return (types[type].is_number);
}

const char *
schema_type_name(enum schema_type type)
{
	return (types[type].name);
}

const char *
schema_type_due(enum schema_type type)
{
	return (types[type].due);
}

/* ---- forms ---- */

#define TOKEN "A-Za-z0-9!#$%&'*+.^_`|~-"

/*
 * What a text must look like: all that the parser of the type takes, and nothing that it refuses
 * but numbers that are too large. NULL: no short expression says it.
 */
const char *
schema_value_pattern(enum schema_type type)
{
	switch (type) {
	case SCHEMA_DURATION:
		return ("^(?=.)([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$");
	case SCHEMA_BYTES:
		return ("^[0-9]+(B|KiB|MiB|GiB)$");
	case SCHEMA_BYTE_RATE:
		return ("^[0-9]+(B|KiB|MiB|GiB)/s$");
	case SCHEMA_PERCENT:
		return ("^[0-9]+(\\.[0-9]{1,4})?%$");
	case SCHEMA_RATE:
		return ("^[0-9]+/[smhd]$");
	case SCHEMA_NAME:
	case SCHEMA_REF:
		return ("^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$");
	case SCHEMA_PATH:
		return ("^/[^?#\\u0000-\\u0020\\u007f]*$");
	case SCHEMA_METHOD:
		return ("^[A-Z0-9!#$%&'*+.^_`|~-]{1,31}$");
	case SCHEMA_HEADER_NAME:
		return ("^[" TOKEN "]+$");
	case SCHEMA_HEADER_VALUE:
		return ("^([^\\u0000-\\u0020\\u007f]([^\\u0000-\\u0008\\u000a-\\u001f\\u007f]*"
			"[^\\u0000-\\u0020\\u007f])?)?$");
	default:
		return (NULL);
	}
}

/* ---- parsing ---- */

static bool
is_all_digits(struct slice s)
{
	uint64_t v;

	/* Zeros in front may be any number: as many as schema_value_print() has room for. */
	return (s.len < ADDR_TEXT_MAX && text_to_u64(s, &v));
}

static bool
refuse(struct scalar_why *why, const char *what, const char *hint)
{
	(void)snprintf(why->what, sizeof(why->what), "%s", what);
	(void)snprintf(why->hint, sizeof(why->hint), "%s", hint);
	return (false);
}

static bool
parse_bool(const struct node *n, bool *r, struct scalar_why *why)
{
	why->kind = DIAG_TYPE;
	if (node_scalar_kind(n) == NODE_BOOL) {
		*r = n->text[0] == 't' || n->text[0] == 'T';
		return (true);
	}
	if (n->flags & NODE_QUOTED)
		return (
		    refuse(why, "text in quotes is a string", "write true or false without them"));
	(void)snprintf(why->what, sizeof(why->what), "\"%.60s\" is a string", n->text);
	(void)snprintf(why->hint, sizeof(why->hint), "write true or false");
	return (false);
}

/* auto, unlimited and off, where the row allows them. */
static bool
parse_word(const struct schema_row *row, struct slice s, uint64_t *r)
{
	if ((row->flags & SCHEMA_CAN_AUTO) && slice_eq(s, SLICE("auto")))
		*r = SCALAR_AUTO;
	else if ((row->flags & SCHEMA_UNLIMITED) && slice_eq(s, SLICE("unlimited")))
		*r = SCALAR_UNLIMITED;
	else if ((row->flags & SCHEMA_CAN_OFF) && slice_eq(s, SLICE("off")))
		*r = 0;
	else
		return (false);
	return (true);
}

static bool
parse_number(enum schema_type type, struct slice s, uint64_t *r, struct scalar_why *why)
{
	switch (type) {
	case SCHEMA_INT:
		return (scalar_parse_int(s, r, why));
	case SCHEMA_DURATION:
		return (scalar_parse_duration(s, r, why));
	case SCHEMA_BYTES:
		return (scalar_parse_bytes(s, r, why));
	case SCHEMA_BYTE_RATE:
		return (scalar_parse_byte_rate(s, r, why));
	case SCHEMA_PERCENT:
		return (scalar_parse_percent(s, r, why));
	default:
		never("not a number");
	}
}

void
schema_number_put(const struct schema_row *row, enum schema_type type, uint64_t v, struct text *t)
{
	if (v == SCALAR_AUTO && (row->flags & SCHEMA_CAN_AUTO))
		text_puts(t, "auto");
	else if (v == SCALAR_UNLIMITED && (row->flags & SCHEMA_UNLIMITED))
		text_puts(t, "unlimited");
	else if (v == 0 && (row->flags & SCHEMA_CAN_OFF) && row->min > 0)
		text_puts(t, "off");
	else if (type == SCHEMA_DURATION)
		text_put_duration_ms(t, v);
	else if (type == SCHEMA_BYTES)
		text_put_bytes(t, v);
	else if (type == SCHEMA_BYTE_RATE)
		scalar_put_byte_rate(t, v);
	else if (type == SCHEMA_PERCENT)
		scalar_put_percent(t, v);
	else
		text_u64(t, v);
}

static bool
check_bounds(const struct schema_row *row, enum schema_type type, struct slice s, uint64_t v,
    struct scalar_why *why)
{
	char buf[64];
	struct text t;
	bool is_low = v < row->min;

	why->kind = type == SCHEMA_INT ? DIAG_BOUND : DIAG_VALUE;
	if (!is_low && (row->max == 0 || v <= row->max))
		return (true);
	text_init(&t, buf, sizeof(buf));
	schema_number_put(row, type, is_low ? row->min : row->max, &t);
	if (row->min == row->max) {
		(void)snprintf(why->what, sizeof(why->what), "%.*s is not known", (int)s.len, s.p);
		(void)snprintf(why->hint, sizeof(why->hint), "write %s", text_cstr(&t));
		return (false);
	}
	(void)snprintf(why->what, sizeof(why->what), "%.*s is too %s", (int)s.len, s.p,
	    is_low ? "small" : "large");
	(void)snprintf(why->hint, sizeof(why->hint), "at %s %s%s", is_low ? "least" : "most",
	    text_cstr(&t), v == 0 && (row->flags & SCHEMA_UNLIMITED) ?
	    ", or \"unlimited\" for no limit" : "");
	return (false);
}

static bool
parse_numeric(const struct schema_row *row, enum schema_type type, const struct node *n,
    uint64_t *r, struct scalar_why *why)
{
	struct slice s = node_text(n);
	const char *words[] = { (row->flags & SCHEMA_CAN_AUTO) ? "auto" : "",
		(row->flags & SCHEMA_UNLIMITED) ? "unlimited" : "",
		(row->flags & SCHEMA_CAN_OFF) ? "off" : "" };
	const char *near;

	if (parse_word(row, s, r))
		return (true);
	if (type == SCHEMA_INT && (n->flags & NODE_QUOTED) && node_scalar_kind(n) == NODE_STRING)
		return (refuse(why, "text in quotes is a string", "write the number without them"));
	if (type == SCHEMA_INT && s.len > 1 && s.p[0] == '0' && is_all_digits(s))
		return (refuse(
		    why, "a number with a 0 in front is a string", "write it without the 0"));
	if (!parse_number(type, s, r, why)) {
		near = diag_nearest(s, words, array_len(words));
		if (near != NULL)
			(void)snprintf(why->hint, sizeof(why->hint), "did you mean \"%s\"?", near);
		else if (slice_eq(s, SLICE("0")) && *words[1] != '\0')
			(void)snprintf(
			    why->hint, sizeof(why->hint), "write \"unlimited\" for no limit");
		return (false);
	}
	return (check_bounds(row, type, s, *r, why));
}

static bool
parse_enum(const struct schema_row *row, struct slice s, int *r, struct scalar_why *why)
{
	const char *names[64];
	const char *near;
	size_t n = 0;
	struct text t;

	for (const struct schema_enum *e = row->names; e->name != NULL; e++) {
		if (slice_eq(s, slice_str(e->name))) {
			*r = e->value;
			return (true);
		}
		if (n < array_len(names))
			names[n++] = e->name;
	}
	(void)snprintf(why->what, sizeof(why->what), "\"%.*s\" is not known",
	    (int)(s.len > 60 ? 60 : s.len), s.p);
	near = is_all_digits(s) ? NULL : diag_nearest(s, names, n);
	text_init(&t, why->hint, sizeof(why->hint));
	if (near != NULL) {
		text_printf(&t, "did you mean \"%s\"?", near);
	} else {
		text_puts(&t, n > 1 ? "one of " : "write ");
		for (size_t i = 0; i < n; i++)
			text_printf(&t, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", names[i]);
		if (row->note != NULL && !(row->flags & SCHEMA_DEPRECATED))
			text_printf(&t, "; %s", row->note);
	}
	(void)text_cstr(&t);
	return (false);
}

/* A plain 5 or true where a string is due: say how to make it one. */
static bool
check_is_string(const struct node *n, struct scalar_why *why)
{
	enum node_scalar kind = node_scalar_kind(n);

	if (kind == NODE_STRING)
		return (true);
	why->kind = DIAG_TYPE;
	(void)snprintf(why->what, sizeof(why->what), "%.60s is %s, not a string",
	    n->count == 0 ? "nothing" : n->text, kind == NODE_NULL ? "null" : node_describe(n));
	(void)snprintf(why->hint, sizeof(why->hint), "write \"%.60s\"", n->text);
	return (false);
}

/* A name of something else in the file. Who writes an address is told where addresses stand. */
static bool
check_ref(struct slice s, struct scalar_why *why)
{
	if (scalar_check_name(s, why))
		return (true);
	if (slice_find_byte(s, ':') >= 0)
		(void)snprintf(why->hint, sizeof(why->hint),
		    "write the name under which the file has that address");
	return (false);
}

static bool
parse_text(struct arena *a, enum schema_type type, const struct node *n, struct slice *r,
    struct scalar_why *why)
{
	*r = node_text(n);
	if (type == SCHEMA_TEXT)
		return (true);
	if (!check_is_string(n, why))
		return (false);
	switch (type) {
	case SCHEMA_NAME:
		return (scalar_check_name(*r, why));
	case SCHEMA_REF:
		return (check_ref(*r, why));
	case SCHEMA_HEADER_NAME:
		return (scalar_check_header_name(*r, why));
	case SCHEMA_HEADER_VALUE:
		return (scalar_check_header_value(*r, why));
	case SCHEMA_HOST:
		return (scalar_parse_host(node_text(n), a, r, why));
	case SCHEMA_PATH:
		return (scalar_check_path(*r, why));
	case SCHEMA_METHOD:
		return (scalar_check_method(*r, why));
	case SCHEMA_FILE:
		if (r->len == 0)
			return (refuse(why, "a file name is empty", ""));
		*r = load_resolve(a, n->mark.file, *r);
		return (true);
	default:
		return (true);
	}
}

static bool
parse(struct arena *a, const struct schema_row *row, enum schema_type type, const struct node *n,
    void *value_r, struct scalar_why *why)
{
	struct slice s = node_text(n);

	switch (type) {
	case SCHEMA_BOOL:
		return (parse_bool(n, value_r, why));
	case SCHEMA_RATE:
		return (scalar_parse_rate(s, value_r, why));
	case SCHEMA_ENUM:
		return (parse_enum(row, s, value_r, why));
	case SCHEMA_SERVER:
		return (scalar_parse_server(s, a, value_r, why));
	case SCHEMA_LISTEN:
		return (scalar_parse_listen(s, value_r, why));
	case SCHEMA_CIDR:
		return (scalar_parse_cidr(s, value_r, why));
	default:
		break;
	}
	if (schema_value_is_number(type))
		return (parse_numeric(row, type, n, value_r, why));
	return (parse_text(a, type, n, value_r, why));
}

/* No pattern counts how much digits come to. */
static bool
has_long_number(struct slice s)
{
	size_t n = 0, longest = 0;

	for (size_t i = 0; i < s.len; i++) {
		n = s.p[i] >= '0' && s.p[i] <= '9' ? n + 1 : 0;
		longest = n > longest ? n : longest;
	}
	return (longest >= TEXT_U64_MAX / 2);
}

static enum diag_kind
kind_of_form(enum schema_type type, struct slice s)
{
	if (type == SCHEMA_INT || type == SCHEMA_ENUM)
		return (DIAG_FORM);
	return (schema_value_pattern(type) == NULL || has_long_number(s) ? DIAG_VALUE : DIAG_FORM);
}

bool
schema_value_parse(struct arena *a, const struct schema_row *row, enum schema_type type,
    const struct node *n, void *value_r, struct scalar_why *why)
{
	const char *wrong;

	why->kind = kind_of_form(type, node_text(n));
	if (!parse(a, row, type, n, value_r, why))
		return (false);
	why->kind = DIAG_BOUND;
	if ((row->flags & SCHEMA_NOT_EMPTY) && n->count == 0)
		return (refuse(why, "the text is empty", ""));
	why->kind = DIAG_VALUE;
	wrong = row->check != NULL ? row->check(value_r) : NULL;
	if (wrong == NULL)
		return (true);
	(void)snprintf(why->what, sizeof(why->what), "\"%.60s\": %s", n->text, wrong);
	why->hint[0] = '\0';
	return (false);
}

/* ---- printing ---- */

bool
schema_is_plain_text(struct slice s)
{
	struct node n = { .kind = NODE_SCALAR, .text = s.p, .count = (uint32_t)s.len };

	if (s.len == 0 || node_scalar_kind(&n) != NODE_STRING)
		return (false);
	for (size_t i = 0; i < s.len; i++) {
		char c = s.p[i];
		bool is_alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9');

		if (!is_alnum &&
		    memchr(i == 0 ? "/_.$^" : "/_.$^-+=~;@%", c, i == 0 ? 5 : 12) == NULL &&
		    (c != ':' || i == 0 || i + 1 == s.len || s.p[i + 1] == ' '))
			return (false);
	}
	return (true);
}

/*
 * The character at `s` when YAML would not take it raw in quotes: C1 controls and NEL, line and
 * paragraph separators, the byte order mark and U+FFFE. 0: it would.
 */
static unsigned
special_at(struct slice s)
{
	const unsigned char *p = (const unsigned char *)s.p;

	if (s.len >= 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return (p[1]);
	if (s.len >= 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9))
		return (0x2000U | (p[2] & 0x3fU));
	if (s.len >= 3 && p[0] == 0xef && p[1] == 0xbb && p[2] == 0xbf)
		return (0xfeff);
	if (s.len >= 3 && p[0] == 0xef && p[1] == 0xbf && p[2] >= 0xbe)
		return (0xffc0U | (p[2] & 0x3fU));
	return (0);
}

static void
print_escaped(struct slice s, FILE *out)
{
	while (s.len > 0) {
		unsigned char c = (unsigned char)s.p[0];
		unsigned special = special_at(s);

		if (special != 0)
			fprintf(out, "\\u%04x", special);
		else if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", out);
		else if (c < 0x20 || c == 0x7f)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
		s = slice_skip(s, special == 0 ? 1 : special < 0x800 ? 2 : 3);
	}
}

/* What is shown can be loaded: a variable's beginning is written so that it is none. */
void
schema_print_inner(struct slice s, FILE *out)
{
	ssize_t at;

	while ((at = slice_find(s, SLICE("${"))) >= 0) {
		print_escaped(slice_of(s.p, (size_t)at), out);
		fputs("$${", out);
		s = slice_skip(s, (size_t)at + 2);
	}
	print_escaped(s, out);
}

void
schema_print_text(struct slice s, FILE *out)
{
	if (schema_is_plain_text(s)) {
		(void)fwrite(s.p, 1, s.len, out);
		return;
	}
	fputc('"', out);
	schema_print_inner(s, out);
	fputc('"', out);
}

static void
print_secret(const struct scalar_secret *s, FILE *out)
{
	static const char *const froms[SCALAR_SECRET__MAX] = { "", "", "file", "env" };

	if (s->from == SCALAR_SECRET_FILE || s->from == SCALAR_SECRET_ENV) {
		fprintf(out, "{ %s: ", froms[s->from]);
		schema_print_text(s->where, out);
		fputs(" }", out);
	} else {
		fputs(s->from == SCALAR_SECRET_LITERAL ? "\"(secret)\"" : "\"\"", out);
	}
}

static void
print_node(const struct node *n, FILE *out)
{
	if (n->kind == NODE_SCALAR) {
		if ((n->flags & NODE_QUOTED) || node_scalar_kind(n) == NODE_STRING)
			schema_print_text(node_text(n), out);
		else
			fputs(n->count == 0 ? "null" : n->text, out);
		return;
	}
	fputs(n->kind == NODE_MAP ? "{ " : "[", out);
	for (uint32_t i = 0; i < n->count; i++) {
		fputs(i > 0 ? ", " : "", out);
		if (n->kind == NODE_MAP) {
			print_node(node_key(n, i), out);
			fputs(": ", out);
		}
		print_node(n->kind == NODE_MAP ? node_value(n, i) : node_item(n, i), out);
	}
	fputs(n->kind == NODE_MAP ? " }" : "]", out);
}

static void
print_enum(const struct schema_row *row, int value, FILE *out)
{
	for (const struct schema_enum *e = row->names; e->name != NULL; e++) {
		if (e->value != value)
			continue;
		fputs(e->name, out);
		return;
	}
	fputs("\"\"", out);
}

void
schema_value_print(
    const struct schema_row *row, enum schema_type type, const void *value, FILE *out)
{
	char buf[ADDR_TEXT_MAX];
	struct text t;

	text_init(&t, buf, sizeof(buf));
	if (schema_value_is_number(type))
		schema_number_put(row, type, *(const uint64_t *)value, &t);
	else if (type == SCHEMA_BOOL)
		text_puts(&t, *(const bool *)value ? "true" : "false");
	else if (type == SCHEMA_RATE)
		scalar_put_rate(&t, *(const struct scalar_rate *)value);
	else if (type == SCHEMA_LISTEN)
		scalar_put_listen(&t, value);
	else if (type == SCHEMA_CIDR)
		scalar_put_cidr(&t, value);
	else if (type == SCHEMA_ENUM)
		print_enum(row, *(const int *)value, out);
	else if (type == SCHEMA_SECRET)
		print_secret(value, out);
	else if (type == SCHEMA_SERVER)
		schema_print_text(((const struct scalar_server *)value)->text, out);
	else if (type == SCHEMA_ANY)
		print_node(*(const struct node *const *)value, out);
	else if (type == SCHEMA_TEXT && is_all_digits(*(const struct slice *)value))
		text_put(&t, *(const struct slice *)value);
	else
		schema_print_text(*(const struct slice *)value, out);
	(void)fwrite(t.p, 1, t.len, out);
}
