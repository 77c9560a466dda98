/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/proxy/template.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/config/diag.h"
#include "engine/http/uri.h"
#include "engine/mem/arena.h"

#define DIGITS	"0123456789ABCDEF"

/* Which bytes stay as they are in what is put into a hole; the others become %XX. */
enum {
	IN_PATH = 1,	/* RFC 3986, 3.3: and "/"; escapes are whole, so "%" stays */
	IN_TAIL = 2,	/* a value of a query: what separates its parts is encoded */
	IN_QUERY = 4	/* {query}: all of one, as the client wrote it */
};
#define ALL	(IN_PATH | IN_TAIL | IN_QUERY)

static const uint8_t stays[256] = {
	['!'] = ALL, ['$'] = ALL, ['%'] = ALL, ['&'] = IN_PATH | IN_QUERY, ['\'' ... '*'] = ALL,
	['+'] = IN_PATH | IN_QUERY, [',' ... '/'] = ALL, ['0' ... '9'] = ALL, [':'] = ALL,
	[';'] = IN_PATH | IN_QUERY, ['='] = IN_PATH | IN_QUERY, ['?'] = IN_QUERY, ['@'] = ALL,
	['A' ... 'Z'] = ALL, ['['] = IN_QUERY, [']'] = IN_QUERY, ['_'] = ALL, ['a' ... 'z'] = ALL,
	['~'] = ALL,
};

static const struct {
	const char *name;
	unsigned places;	/* bits by enum template_place */
} vars[TEMPLATE__MAX] = {
	[TEMPLATE_HOST] = { "host", 1 << TEMPLATE_IN_ORIGIN | 1 << TEMPLATE_IN_PATH |
	    1 << TEMPLATE_IN_TAIL },
	[TEMPLATE_PATH] = { "path", 1 << TEMPLATE_IN_PATH | 1 << TEMPLATE_IN_TAIL },
	[TEMPLATE_QUERY] = { "query", 1 << TEMPLATE_IN_TAIL },
	[TEMPLATE_SCHEME] = { "scheme", 1 << TEMPLATE_IN_ORIGIN | 1 << TEMPLATE_IN_PATH |
	    1 << TEMPLATE_IN_TAIL },
};

/* ---- at load ---- */

struct compiler {
	struct template_piece	 v[TEMPLATE_PIECES_MAX];
	unsigned		 n;
	enum template_place	 place;
	int			 groups;
	struct arena		*arena;
	const char		*why;
};

static bool
refuse(struct compiler *c, const char *why)
{
	c->why = why;
	return (false);
}

static bool
add(struct compiler *c, struct template_piece piece)
{
	if (c->n == TEMPLATE_PIECES_MAX)
		return (refuse(c, "it has more parts than anybody could read"));
	c->v[c->n++] = piece;
	return (true);
}

/* `$1` or `$$`, at the dollar. */
static bool
take_dollar(struct compiler *c, struct slice *rest)
{
	char next = rest->len > 1 ? rest->p[1] : '\0';
	int n = next - '0';

	*rest = slice_skip(*rest, 2);
	if (next == '$')
		return (add(c, (struct template_piece){ .text = SLICE("$") }));
	if (n < 1 || n > 9)
		return (refuse(c, "captures are $1 to $9, and a dollar is written $$"));
	if (c->place == TEMPLATE_IN_ORIGIN)
		return (refuse(c, "no part of a path may choose the host that clients are sent "
		    "to"));
	if (c->groups < 0)
		return (refuse(c, arena_printf(c->arena, "there is no regex that could capture "
		    "$%d; a dollar is written $$", n)));
	if (n > c->groups)
		return (refuse(c, arena_printf(c->arena, "$%d captures nothing: the regex has "
		    "%d group%s", n, c->groups, c->groups == 1 ? "" : "s")));
	return (add(c, (struct template_piece){ .kind = TEMPLATE_CAPTURE,
		.capture = (uint8_t)n }));
}

static bool
unknown_var(struct compiler *c, struct slice name)
{
	const char *names[TEMPLATE__MAX], *near;
	size_t n = 0;

	for (unsigned i = TEMPLATE_HOST; i < TEMPLATE__MAX; i++)
		names[n++] = vars[i].name;
	near = diag_nearest(name, names, n);
	if (near != NULL)
		return (refuse(c, arena_printf(c->arena, "there is no {" SLICE_FMT "}; did you "
		    "mean {%s}?", SLICE_ARG(name), near)));
	return (refuse(c, arena_printf(c->arena, "there is no {" SLICE_FMT "}, but {host}, "
	    "{path}, {query} and {scheme}", SLICE_ARG(name))));
}

/* `{name}`, at the brace. */
static bool
take_var(struct compiler *c, struct slice *rest)
{
	ssize_t end = slice_find_byte(*rest, '}');
	struct slice name;

	if (end < 0)
		return (refuse(c, "a brace is not closed; one that is meant as such is "
		    "written %7B"));
	name = slice_sub(*rest, 1, (size_t)end - 1);
	*rest = slice_skip(*rest, (size_t)end + 1);
	for (unsigned i = TEMPLATE_HOST; i < TEMPLATE__MAX; i++) {
		if (!slice_eq(name, slice_str(vars[i].name)))
			continue;
		if (!(vars[i].places >> c->place & 1))
			return (refuse(c, i == TEMPLATE_QUERY ? "{query} stands behind a `?` only" :
			    "no part of a path may choose the host that clients are sent to"));
		return (add(c, (struct template_piece){ .kind = (uint8_t)i }));
	}
	return (unknown_var(c, name));
}

/* Up to the next hole. Escapes are whole, so that no capture can complete one. */
static bool
take_text(struct compiler *c, struct slice *rest)
{
	unsigned stay = c->place == TEMPLATE_IN_PATH ? IN_PATH : ALL;
	struct slice text;
	size_t n = 0;

	for (; n < rest->len && rest->p[n] != '$' && rest->p[n] != '{'; n++) {
		uint8_t b = (uint8_t)rest->p[n];

		if (b == '}')
			return (refuse(c, "a brace was not opened; one that is meant as such is "
			    "written %7D"));
		if (!(stays[b] & stay) && !(c->place == TEMPLATE_IN_TAIL && b == '#'))
			return (refuse(c, b == '?' || b == '#' ? "a path ends at `?` and `#`" :
			    "bytes other than those of a URL are written %XX"));
		if (b == '%' && !uri_is_escape(slice_skip(*rest, n)))
			return (refuse(c, "a % has two hexadecimal digits behind it"));
	}
	text = arena_dup(c->arena, slice_sub(*rest, 0, n));
	*rest = slice_skip(*rest, n);
	return (add(c, (struct template_piece){ .text = text }));
}

const char *
template_compile(struct template *t, enum template_place place, struct slice text, int groups,
    struct arena *arena)
{
	struct compiler c = { .place = place, .groups = groups, .arena = arena };
	struct template_piece *v;
	bool ok = true;

	*t = (struct template){ .magic = TEMPLATE_MAGIC, .place = (uint8_t)place };
	while (ok && text.len > 0) {
		if (text.p[0] == '$')
			ok = take_dollar(&c, &text);
		else
			ok = text.p[0] == '{' ? take_var(&c, &text) : take_text(&c, &text);
	}
	if (!ok)
		return (c.why);
	v = arena_zarray(arena, c.n + 1, sizeof *v);
	for (unsigned i = 0; i < c.n; i++) {
		v[i] = c.v[i];
		t->uses |= (uint16_t)(1u << v[i].kind);
	}
	t->v = v;
	t->n = (uint8_t)c.n;
	return (NULL);
}

struct slice
template_sample(const struct template *t, struct arena *arena)
{
	static const char *const samples[TEMPLATE__MAX] = {
		[TEMPLATE_CAPTURE] = "x", [TEMPLATE_HOST] = "h", [TEMPLATE_PATH] = "/x",
		[TEMPLATE_QUERY] = "x", [TEMPLATE_SCHEME] = "http",
	};
	const char *s = "";

	for (unsigned i = 0; i < t->n; i++) {
		struct slice piece = t->v[i].kind == TEMPLATE_TEXT ? t->v[i].text :
		    slice_str(samples[t->v[i].kind]);

		s = arena_printf(arena, "%s" SLICE_FMT, s, SLICE_ARG(piece));
	}
	return (slice_str(s));
}

/* ---- for a request ---- */

static struct slice
scheme_of(const struct msg_req *req)
{
	/* What the server is told too: ours, or that of a trusted proxy. */
	const struct hdr *h = headers_get(&req->m.headers, HDR_X_FORWARDED_PROTO);

	if (h != NULL ? slice_eq_fold(hdr_value(h), SLICE("https")) : req->scheme_https)
		return (SLICE("https"));
	return (SLICE("http"));
}

static struct slice
value_of(const struct template_piece *piece, const struct template_input *in)
{
	switch ((enum template_kind)piece->kind) {
	case TEMPLATE_TEXT:
		return (piece->text);
	case TEMPLATE_CAPTURE:
		must(in->captures != NULL);
		return (in->captures->at[piece->capture]);
	case TEMPLATE_HOST:
		return (in->req->host);
	case TEMPLATE_PATH:
		return (in->req->path);
	case TEMPLATE_QUERY:
		return (in->req->query);
	case TEMPLATE_SCHEME:
		return (scheme_of(in->req));
	case TEMPLATE__MAX:
		break;
	}
	never("template_kind");
}

/* Which bytes stay; 0: all. */
static unsigned
stay_of(const struct template *t, const struct template_piece *piece)
{
	if (piece->kind == TEMPLATE_TEXT || t->place == TEMPLATE_IN_ORIGIN)
		return (0);
	if (t->place == TEMPLATE_IN_PATH)
		return (IN_PATH);
	return (piece->kind == TEMPLATE_QUERY ? IN_QUERY : IN_TAIL);
}

size_t
template_len(const struct template *t, const struct template_input *in)
{
	size_t len = 0;

	CHECK_OBJ(t, TEMPLATE_MAGIC);
	for (unsigned i = 0; i < t->n; i++) {
		struct slice value = value_of(&t->v[i], in);
		unsigned stay = stay_of(t, &t->v[i]);

		len += value.len;
		for (size_t j = 0; stay != 0 && j < value.len; j++)
			len += stays[(uint8_t)value.p[j]] & stay ? 0 : 2;
	}
	return (len);
}

static char *
put_encoded(char *at, struct slice value, unsigned stay)
{
	for (size_t i = 0; i < value.len; i++) {
		uint8_t b = (uint8_t)value.p[i];

		if (stays[b] & stay) {
			*at++ = (char)b;
			continue;
		}
		*at++ = '%';
		*at++ = DIGITS[b >> 4];
		*at++ = DIGITS[b & 0xf];
	}
	return (at);
}

char *
template_put(const struct template *t, const struct template_input *in, char *at)
{
	for (unsigned i = 0; i < t->n; i++) {
		struct slice value = value_of(&t->v[i], in);
		unsigned stay = stay_of(t, &t->v[i]);
		char *begin = at;

		if (stay != 0)
			at = put_encoded(at, value, stay);
		else if (value.len > 0)
			at = mempcpy(at, value.p, value.len);
		for (; t->v[i].kind == TEMPLATE_HOST && begin < at; begin++)
			*begin = slice_to_lower_byte(*begin);
	}
	return (at);
}

/* ---- paths ---- */

/* The dot at s, plain or encoded: its bytes, or 0. */
static size_t
dot_at(struct slice s)
{
	if (s.len > 0 && s.p[0] == '.')
		return (1);
	return (slice_has_prefix_fold(s, SLICE("%2e")) ? 3 : 0);
}

bool
template_has_dots(struct slice path)
{
	struct slice rest = path, segment;

	while (slice_split(&rest, '/', &segment)) {
		size_t n = dot_at(segment);

		if (n > 0)
			n += dot_at(slice_skip(segment, n));
		if (n > 0 && n == segment.len)
			return (true);
	}
	return (false);
}

bool
template_has_encoded_slash(struct slice path)
{
	for (; path.len >= 3; path = slice_skip(path, 1)) {
		if (path.p[0] == '%' && (slice_has_prefix_fold(path, SLICE("%2f")) ||
		    slice_has_prefix_fold(path, SLICE("%5c"))))
			return (true);
	}
	return (false);
}

enum reason
template_settle_path(struct arena *arena, const struct msg_req *req, bool may_encode_slash,
    struct slice *path_r)
{
	struct slice made = *path_r, path;

	if (made.len == 0)
		return (REASON_NONE);
	if (template_has_dots(made))
		return (REASON_PATH_REFUSED);
	switch (uri_canonical(made, arena, &path)) {
	case URI_OK:
		break;
	case URI_ENCODED_SLASH:
		if (!may_encode_slash && !template_has_encoded_slash(req->path))
			return (REASON_PATH_REFUSED);
		break;
	case URI_MALFORMED:
		return (REASON_PATH_REFUSED);
	case URI_NO_MEMORY:
		return (REASON_OVERLOADED);
	}
	must(path.len <= made.len);
	path_r->len = path.len;
	if (path.p != made.p)
		memcpy((char *)(uintptr_t)made.p, path.p, path.len);
	return (REASON_NONE);
}
