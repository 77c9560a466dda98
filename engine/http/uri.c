/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/uri.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "engine/base/cc.h"
#include "engine/mem/arena.h"

/* What a byte may be in a raw path. */
enum {
	URI_BAD = 0,		/* controls, space, DEL, non-ASCII; `?` and `#` end a path */
	URI_PLAIN,		/* stays as it is */
	URI_UNRESERVED,		/* the same, and its escape stands for it (RFC 3986, 2.3) */
	URI_SLASH,
	URI_PERCENT,
	URI_BACKSLASH
};

static const uint8_t uri_class[256] = {
	['!'] = URI_PLAIN, ['"'] = URI_PLAIN, ['$'] = URI_PLAIN, ['%'] = URI_PERCENT,
	['&' ... ','] = URI_PLAIN, ['-'] = URI_UNRESERVED, ['.'] = URI_UNRESERVED,
	['/'] = URI_SLASH, ['0' ... '9'] = URI_UNRESERVED, [':' ... '>'] = URI_PLAIN,
	['@'] = URI_PLAIN, ['A' ... 'Z'] = URI_UNRESERVED, ['['] = URI_PLAIN,
	['\\'] = URI_BACKSLASH, [']' ... '^'] = URI_PLAIN, ['_'] = URI_UNRESERVED,
	['`'] = URI_PLAIN, ['a' ... 'z'] = URI_UNRESERVED, ['{' ... '}'] = URI_PLAIN,
	['~'] = URI_UNRESERVED
};

static const int8_t uri_hex[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15,
	['F'] = 16, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16
};

/* Of a name in an authority: unreserved, and sub-delims but `,` (RFC 3986, 3.2.2). */
static const bool uri_host[256] = {
	['!'] = true, ['$'] = true, ['&' ... '+'] = true, ['-'] = true, ['.'] = true,
	['0' ... '9'] = true, [';'] = true, ['='] = true, ['A' ... 'Z'] = true, ['_'] = true,
	['a' ... 'z'] = true, ['~'] = true
};

enum {
	URI_IPV6_MAX = 45,	/* the longest text of an address: seven colons, IPv4 at the end */
	URI_PORT_DIGITS = 5
};

/* No byte that needs a second look, and no `//` or `/.`: such a path is canonical. */
static bool
is_plain_bytes(const char *p, size_t n, bool after_slash)
{
	for (size_t i = 0; i < n; i++) {
		unsigned c = uri_class[(uint8_t)p[i]];

		if (c == URI_BAD || c >= URI_PERCENT)
			return (false);
		if (after_slash && (c == URI_SLASH || p[i] == '.'))
			return (false);
		after_slash = c == URI_SLASH;
	}
	return (true);
}

#ifdef __SSE2__
/* Sixteen bytes at once; after_slash: the byte before them is a slash. */
static inline bool
is_plain_16(const char *p, bool after_slash)
{
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
	__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('/'));
	__m128i dot = _mm_or_si128(slash, _mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
	/* Signed: bytes above 0x7f are below the space too. */
	__m128i bad = _mm_cmplt_epi8(v, _mm_set1_epi8('!'));
	unsigned slashes, dots;

	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('%')));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('#')));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('?')));
	bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));
	slashes = (unsigned)_mm_movemask_epi8(slash);
	dots = (unsigned)_mm_movemask_epi8(dot);
	return ((((slashes << 1 | after_slash) & dots) | (unsigned)_mm_movemask_epi8(bad)) == 0);
}
#endif

static bool
is_plain(struct slice s)
{
#ifdef __SSE2__
	size_t i;

	if (s.len >= 16) {
		if (!is_plain_16(s.p, false))
			return (false);
		for (i = 16; i + 16 <= s.len; i += 16) {
			if (!is_plain_16(s.p + i, s.p[i - 1] == '/'))
				return (false);
		}
		/* The rest in a block that overlaps the one before. */
		i = s.len - 16;
		return (i % 16 == 0 || is_plain_16(s.p + i, s.p[i - 1] == '/'));
	}
#endif
	return (is_plain_bytes(s.p, s.len, false));
}

/*
 * The slow path. out holds whole segments, each with the slash before it; an empty segment is a
 * slash alone and stays until the end, so that `..` after one can be seen: some servers merge
 * `//` first, others remove dot segments first, and then the path has two meanings.
 */
struct uri_out {
	char	*p;
	size_t	 len;
	bool	 encoded_slash;
};

/* One escape at in; false: bad. */
static bool
put_escape(struct uri_out *out, const char *in, const char *end)
{
	static const char digits[] = "0123456789ABCDEF";
	int hi, lo;
	uint8_t c;

	if (end - in < 3)
		return (false);
	hi = uri_hex[(uint8_t)in[1]] - 1;
	lo = uri_hex[(uint8_t)in[2]] - 1;
	if (hi < 0 || lo < 0)
		return (false);
	c = (uint8_t)(hi << 4 | lo);
	if (c == 0)
		return (false);
	if (uri_class[c] == URI_UNRESERVED) {
		out->p[out->len++] = (char)c;
		return (true);
	}
	out->encoded_slash |= c == '/' || c == '\\';
	out->p[out->len++] = '%';
	out->p[out->len++] = digits[hi];
	out->p[out->len++] = digits[lo];
	return (true);
}

/* The bytes of a segment up to the next slash or the end; NULL: malformed. */
static const char *
put_segment(struct uri_out *out, const char *in, const char *end)
{
	while (in < end) {
		switch (uri_class[(uint8_t)*in]) {
		case URI_SLASH:
			return (in);
		case URI_PLAIN:
		case URI_UNRESERVED:
			out->p[out->len++] = *in++;
			break;
		case URI_PERCENT:
			if (!put_escape(out, in, end))
				return (NULL);
			in += 3;
			break;
		case URI_BACKSLASH:
			/* To some servers a slash: the same as its escape. */
			out->encoded_slash = true;
			memcpy(out->p + out->len, "%5C", 3);
			out->len += 3;
			in++;
			break;
		default:
			return (NULL);
		}
	}
	return (in);
}

static bool
is_dots(struct slice s)
{
	return (slice_eq(s, SLICE(".")) || slice_eq(s, SLICE("..")));
}

/* `;`, or its escape, which some servers undo before they look for parameters. */
static bool
is_parameter(struct slice s)
{
	return (s.p[0] == ';' || slice_has_prefix(s, SLICE("%3B")));
}

/* Would it be a dot segment to a server that cuts `;x` off, or takes an encoded slash for one? */
static bool
hides_dots(struct slice seg)
{
	size_t from = 0, step;
	bool in_parameter = false;

	for (size_t i = 0; i < seg.len; i += step) {
		struct slice rest = slice_skip(seg, i);
		bool semicolon = is_parameter(rest);
		bool slash = slice_has_prefix(rest, SLICE("%2F")) ||
		    slice_has_prefix(rest, SLICE("%5C"));

		step = rest.p[0] == '%' ? 3 : 1;
		if ((semicolon || slash) && !in_parameter &&
		    is_dots(slice_sub(seg, from, i - from)))
			return (true);
		in_parameter = semicolon || (in_parameter && !slash);
		if (slash)
			from = i + step;
	}
	return (from > 0 && !in_parameter && is_dots(slice_skip(seg, from)));
}

/* Takes the segment that begins at `at` away when it is a dot segment; false: malformed. */
static bool
drop_dots(struct uri_out *out, size_t at, bool is_last)
{
	struct slice seg = slice_of(out->p + at + 1, out->len - at - 1);
	bool up = slice_eq(seg, SLICE(".."));

	if (!is_dots(seg))
		return (!hides_dots(seg));
	out->len = at;
	if (up) {
		/* Above the root, or an empty segment before it. */
		if (at == 0 || out->p[at - 1] == '/')
			return (false);
		while (out->p[--out->len] != '/')
			;
	}
	if (is_last)
		out->p[out->len++] = '/';
	return (true);
}

static size_t
merge_slashes(char *p, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != '/' || len == 0 || p[len - 1] != '/')
			p[len++] = p[i];
	}
	return (len);
}

static size_t
count_backslashes(struct slice s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += s.p[i] == '\\';
	return (n);
}

static CC_COLD enum uri_rc
make_canonical(struct slice raw, struct arena *arena, struct slice *path_r)
{
	struct arena_mark mark = arena_mark(arena);
	const char *in = raw.p, *end = raw.p + raw.len;
	struct uri_out out = {NULL, 0, false};

	/* A backslash grows by two; a dot segment at the end leaves its slash. */
	out.p = arena_alloc(arena, raw.len + 2 * count_backslashes(raw) + 1);
	if (out.p == NULL)
		return (URI_NO_MEMORY);
	while (in < end) {
		size_t at = out.len;

		out.p[out.len++] = '/';
		in = put_segment(&out, in + 1, end);
		if (in == NULL || !drop_dots(&out, at, in == end)) {
			arena_rewind(arena, &mark);
			return (URI_MALFORMED);
		}
	}
	out.len = merge_slashes(out.p, out.len);
	*path_r = slice_of(out.p, out.len);
	if (slice_eq(*path_r, raw)) {
		arena_rewind(arena, &mark);
		*path_r = raw;
	}
	return (out.encoded_slash ? URI_ENCODED_SLASH : URI_OK);
}

enum uri_rc
uri_canonical(struct slice raw, struct arena *arena, struct slice *path_r)
{
	if (unlikely(raw.len == 0 || raw.p[0] != '/'))
		return (URI_MALFORMED);
	if (likely(is_plain(raw))) {
		*path_r = raw;
		return (URI_OK);
	}
	return (make_canonical(raw, arena, path_r));
}

/* Bytes of the dot that s begins with, as itself or as its escape; 0: none. */
static size_t
dot_bytes(struct slice s)
{
	if (slice_has_prefix(s, SLICE(".")))
		return (1);
	return (slice_has_prefix_fold(s, SLICE("%2e")) ? 3 : 0);
}

bool
uri_strays(struct slice raw)
{
	struct slice rest = raw, seg;

	if (slice_has_prefix(raw, SLICE("//")))
		return (true);
	while (slice_split(&rest, '/', &seg)) {
		size_t one = dot_bytes(seg), two = dot_bytes(slice_skip(seg, one));

		if (one > 0 && two > 0 && one + two == seg.len)
			return (true);
	}
	return (false);
}

bool
uri_has_parameters(struct slice path)
{
	return (slice_find_byte(path, ';') >= 0 || (slice_find_byte(path, '%') >= 0 &&
	    slice_find(path, SLICE("%3B")) >= 0));
}

bool
uri_without_parameters(struct slice path, struct arena *arena, struct slice *path_r)
{
	char *out = arena_alloc(arena, path.len);
	bool in_parameter = false;
	size_t len = 0;

	if (out == NULL)
		return (false);
	for (size_t i = 0; i < path.len; i++) {
		in_parameter = path.p[i] != '/' && (in_parameter ||
		    is_parameter(slice_skip(path, i)));
		if (!in_parameter)
			out[len++] = path.p[i];
	}
	*path_r = slice_of(out, merge_slashes(out, len));
	return (true);
}

/* RFC 3986, 3.2.2 reg-name, escapes included; ',' would be two hosts in one Host field here. */
static bool
is_reg_name(struct slice s)
{
	const char *p = s.p;

	for (size_t left = s.len; left > 0; left--, p++) {
		if (likely(uri_host[(uint8_t)*p]))
			continue;
		if (*p != '%' || left < 3 || uri_hex[(uint8_t)p[1]] == 0 ||
		    uri_hex[(uint8_t)p[2]] == 0)
			return (false);
	}
	return (s.len > 0);
}

/* The inside of [ ]: hex digits, dots and two colons at least; not parsed any further. */
static bool
is_ip_literal(struct slice s)
{
	unsigned colons = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == ':')
			colons++;
		else if (s.p[i] != '.' && uri_hex[(uint8_t)s.p[i]] == 0)
			return (false);
	}
	return (colons >= 2 && s.len <= URI_IPV6_MAX);
}

/* ":port" or nothing. An empty port is allowed by RFC 3986, 3.2.3. */
static bool
is_port(struct slice s)
{
	unsigned port = 0;

	if (s.len == 0)
		return (true);
	if (s.p[0] != ':' || s.len > URI_PORT_DIGITS + 1)
		return (false);
	for (size_t i = 1; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return (false);
		port = port * 10 + (unsigned)(s.p[i] - '0');
	}
	return (port <= UINT16_MAX);
}

bool
uri_split_authority(struct slice authority, struct slice *host_r)
{
	struct slice host = authority;
	ssize_t end;

	if (authority.len > 0 && authority.p[0] == '[') {
		end = slice_find_byte(authority, ']');
		if (end < 0 || !is_ip_literal(slice_sub(authority, 1, (size_t)end - 1)))
			return (false);
		host.len = (size_t)end + 1;
		*host_r = host;
		return (is_port(slice_skip(authority, host.len)));
	}
	end = slice_find_byte(authority, ':');
	if (end >= 0)
		host.len = (size_t)end;
	if (!is_reg_name(host) || !is_port(slice_skip(authority, host.len)))
		return (false);
	if (host.len > 1 && host.p[host.len - 1] == '.')
		host.len--;
	*host_r = host;
	return (host.p[0] != '.' || host.len > 1);
}

bool
uri_query_next(struct slice *rest, struct slice *name_r, struct slice *value_r)
{
	struct slice piece;
	ssize_t at;

	while (slice_split(rest, '&', &piece)) {
		if (piece.len == 0)
			continue;
		at = slice_find_byte(piece, '=');
		*name_r = at < 0 ? piece : slice_of(piece.p, (size_t)at);
		*value_r = at < 0 ? slice_of(piece.p + piece.len, 0) :
		    slice_skip(piece, (size_t)at + 1);
		return (true);
	}
	return (false);
}

bool
uri_is_escape(struct slice s)
{
	return (s.len > 2 && s.p[0] == '%' && uri_hex[(uint8_t)s.p[1]] != 0 &&
	    uri_hex[(uint8_t)s.p[2]] != 0);
}

bool
uri_query_byte(struct slice *raw, char *c_r)
{
	const char *p = raw->p;
	bool is_escape = uri_is_escape(*raw);

	if (raw->len == 0)
		return (false);
	*c_r = *p == '+' ? ' ' : *p;
	if (is_escape)
		*c_r = (char)((uri_hex[(uint8_t)p[1]] - 1) << 4 | (uri_hex[(uint8_t)p[2]] - 1));
	*raw = slice_skip(*raw, is_escape ? 3 : 1);
	return (true);
}
