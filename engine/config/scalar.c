/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/base/cc.h"
#include "engine/config/scalar.h"
#include "engine/mem/arena.h"

/*
 * What is wrong is decided after a parse has failed, so that the right path stays short. The
 * texts quoted in messages are cut: a value may be a megabyte.
 */

#define SHOWN_MAX    60
#define SHOWN_ARG(s) (int)((s).len > SHOWN_MAX ? SHOWN_MAX : (s).len), (s).len == 0 ? "" : (s).p

static bool refuse(struct scalar_why *why, const char *hint, const char *fmt, ...) CC_PRINTF(3, 4);

static bool
refuse(struct scalar_why *why, const char *hint, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why->what, sizeof(why->what), fmt, ap);
	va_end(ap);
	(void)snprintf(why->hint, sizeof(why->hint), "%s", hint);
	return (false);
}

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

static bool
is_all_digits(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!is_digit(s.p[i]))
			return (false);
	return (s.len > 0);
}

static bool
is_alnum(char c)
{
	return ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c));
}

/* ---- numbers with units ---- */

/* `examples` has the number twice or thrice: "write %.*sms, %.*ss or %.*sm". */
static bool
refuse_unit(
    struct slice s, const char *const examples[3], const char *wants, struct scalar_why *why)
{
	if (!is_all_digits(s) || s.len > 20)
		return (refuse(why, wants, "\"%.*s\" is not right", SHOWN_ARG(s)));
	(void)refuse(why, "", "%.*s has no unit", SHOWN_ARG(s));
	(void)snprintf(why->hint, sizeof(why->hint), "write %.*s%s, %.*s%s or %.*s%s", SHOWN_ARG(s),
	    examples[0], SHOWN_ARG(s), examples[1], SHOWN_ARG(s), examples[2]);
	return (false);
}

bool
scalar_parse_duration(struct slice s, uint64_t *ms_r, struct scalar_why *why)
{
	static const char *const examples[3] = { "ms", "s", "m" };

	if (text_to_duration_ms(s, ms_r))
		return (true);
	return (refuse_unit(s, examples, "write a time as in 500ms, 10s, 5m or 1h30m", why));
}

bool
scalar_parse_bytes(struct slice s, uint64_t *bytes_r, struct scalar_why *why)
{
	static const char *const examples[3] = { "B", "KiB", "MiB" };

	if (text_to_bytes(s, bytes_r))
		return (true);
	return (refuse_unit(s, examples, "write a size as in 512B, 16KiB, 2MiB or 1GiB", why));
}

bool
scalar_parse_byte_rate(struct slice s, uint64_t *per_second_r, struct scalar_why *why)
{
	static const char *const examples[3] = { "B/s", "KiB/s", "MiB/s" };

	if (slice_has_suffix(s, SLICE("/s")) &&
	    text_to_bytes(slice_of(s.p, s.len - 2), per_second_r))
		return (true);
	return (refuse_unit(s, examples, "write bytes a second as in 240B/s or 1MiB/s", why));
}

struct scalar_period {
	char letter;
	uint64_t ms;
};

static const struct scalar_period periods[] = {
	{ 's', 1000 },
	{ 'm', 60 * 1000 },
	{ 'h', 3600 * 1000 },
	{ 'd', 24 * 3600 * 1000 },
};

bool
scalar_parse_rate(struct slice s, struct scalar_rate *r, struct scalar_why *why)
{
	static const char *const examples[3] = { "/s", "/m", "/h" };

	if (s.len > 2 && s.p[s.len - 2] == '/' &&
	    text_to_u64(slice_of(s.p, s.len - 2), &r->count)) {
		for (size_t i = 0; i < array_len(periods); i++) {
			if (periods[i].letter != s.p[s.len - 1])
				continue;
			r->per_ms = periods[i].ms;
			return (true);
		}
	}
	return (refuse_unit(s, examples, "write a rate as in 10/s, 600/m, 1000/h or 5000/d", why));
}

/* The digits after a point, as parts of 10,000; at most four. */
static bool
parse_fraction(struct slice s, uint64_t *r)
{
	uint64_t scale = 10000, v;

	if (s.len > 4 || !text_to_u64(s, &v))
		return (false);
	for (size_t i = 0; i < s.len; i++)
		scale /= 10;
	*r = v * scale;
	return (true);
}

bool
scalar_parse_percent(struct slice s, uint64_t *ppm_r, struct scalar_why *why)
{
	uint64_t whole, part = 0;
	struct slice digits;
	ssize_t point;

	if (is_all_digits(s) && s.len < 20) {
		(void)refuse(why, "", "%.*s has no unit", SHOWN_ARG(s));
		(void)snprintf(why->hint, sizeof(why->hint), "write %.*s%%", SHOWN_ARG(s));
		return (false);
	}
	if (slice_has_suffix(s, SLICE("%"))) {
		digits = slice_of(s.p, s.len - 1);
		point = slice_find_byte(digits, '.');
		if ((point < 0 || parse_fraction(slice_skip(digits, (size_t)point + 1), &part)) &&
		    text_to_u64(point < 0 ? digits : slice_of(digits.p, (size_t)point), &whole) &&
		    whole <= 100000) {
			*ppm_r = whole * 10000 + part;
			return (true);
		}
	}
	return (
	    refuse(why, "write a share as in 5% or 0.5%", "\"%.*s\" is not right", SHOWN_ARG(s)));
}

bool
scalar_parse_int(struct slice s, uint64_t *r, struct scalar_why *why)
{
	if (text_to_u64(s, r) && *r < SCALAR_AUTO)
		return (true);
	if (is_all_digits(s))
		return (refuse(why, "", "%.*s is too large", SHOWN_ARG(s)));
	return (refuse(why, "write a whole number, 0 or more, without a unit",
	    "\"%.*s\" is not a whole number", SHOWN_ARG(s)));
}

/* ---- addresses ---- */

static struct slice
lower(struct arena *a, struct slice s)
{
	char *copy;
	size_t i = 0;

	while (i < s.len && slice_to_lower_byte(s.p[i]) == s.p[i])
		i++;
	if (i == s.len)
		return (s);
	copy = arena_alloc(a, s.len + 1);
	for (i = 0; i < s.len; i++)
		copy[i] = slice_to_lower_byte(s.p[i]);
	copy[s.len] = '\0';
	return (slice_of(copy, s.len));
}

/* Labels of letters, digits, "-" and "_", RFC 1123 2.1 and what names in use really hold. */
static bool
is_dns_name(struct slice s)
{
	size_t label = 0;

	if (s.len == 0 || s.len > 253)
		return (false);
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] == '.') {
			if (label == 0 || s.p[i - 1] == '-')
				return (false);
			label = 0;
			continue;
		}
		if (!is_alnum(s.p[i]) && s.p[i] != '_' && (s.p[i] != '-' || label == 0))
			return (false);
		if (++label > 63)
			return (false);
	}
	return (label > 0 && s.p[s.len - 1] != '-');
}

/* A name whose last label is a number would be read as an address somewhere. */
static bool
ends_in_number(struct slice s)
{
	size_t i = s.len;

	while (i > 0 && s.p[i - 1] != '.')
		i--;
	return (is_all_digits(slice_skip(s, i)));
}

static bool
parse_port(struct slice s, uint16_t *port_r)
{
	uint64_t v;

	if (s.len > 5 || !text_to_u64(s, &v) || v == 0 || v > 65535)
		return (false);
	*port_r = (uint16_t)v;
	return (true);
}

/* The host and port of "name:port"; false when there is no single ":". */
static bool
split_port(struct slice s, struct slice *host_r, struct slice *port_r)
{
	ssize_t at = slice_find_byte(s, ':');

	if (at < 0)
		return (false);
	*host_r = slice_of(s.p, (size_t)at);
	*port_r = slice_skip(s, (size_t)at + 1);
	return (slice_find_byte(*port_r, ':') < 0);
}

/* Why it is no server: the commonest mistakes have answers of their own. */
static bool
refuse_server(struct slice s, struct scalar_why *why)
{
	static const char wants[] = "write ip:port, name:port or unix:/path";
	struct slice host, port;
	struct addr ip;

	if (slice_find(s, SLICE("://")) >= 0)
		return (refuse(why, "write host:port; \"tls: {}\" turns TLS on",
		    "\"%.*s\" is a URL", SHOWN_ARG(s)));
	if (slice_has_prefix(s, SLICE("unix:")))
		return (refuse(why, "write unix:/path, at most 107 bytes of path",
		    "\"%.*s\" is not a Unix socket", SHOWN_ARG(s)));
	if (slice_find_byte(s, '/') >= 0)
		return (refuse(why, "paths are changed by \"rewrite\" on the route",
		    "\"%.*s\" carries a path", SHOWN_ARG(s)));
	if (s.len > 0 && s.p[0] != '[' && addr_parse_ip(s, &ip) && slice_find_byte(s, ':') >= 0)
		return (refuse(
		    why, "write [ip]:port", "\"%.*s\" is IPv6 without brackets", SHOWN_ARG(s)));
	if (addr_parse_ip(s, &ip) || is_dns_name(s))
		return (refuse(why, wants, "\"%.*s\" has no port", SHOWN_ARG(s)));
	if (split_port(s, &host, &port) && is_dns_name(host))
		return (
		    refuse(why, "a port is 1 to 65535", "\"%.*s\" has a wrong port", SHOWN_ARG(s)));
	return (refuse(why, wants, "\"%.*s\" is not an address", SHOWN_ARG(s)));
}

bool
scalar_parse_server(
    struct slice s, struct arena *a, struct scalar_server *r, struct scalar_why *why)
{
	struct slice host, port;

	memset(r, 0, sizeof(*r));
	r->text = s;
	if (addr_parse(s, &r->addr)) {
		r->port = addr_port(&r->addr);
		if (addr_is_ip(&r->addr) && r->port == 0)
			return (refuse_server(s, why));
		return (true);
	}
	if (!split_port(s, &host, &port) || !is_dns_name(host) || ends_in_number(host) ||
	    !parse_port(port, &r->port))
		return (refuse_server(s, why));
	r->name = lower(a, host);
	r->is_name = true;
	return (true);
}

bool
scalar_parse_listen(struct slice s, struct scalar_listen *r, struct scalar_why *why)
{
	static const char wants[] = "write 8080, 0.0.0.0:8080 or [::]:8080";
	uint16_t port;

	memset(r, 0, sizeof(*r));
	if (parse_port(s, &port)) {
		r->is_dual = addr_parse(SLICE("[::]:0"), &r->addr);
		addr_set_port(&r->addr, port);
		return (true);
	}
	if (is_all_digits(s))
		return (refuse(why, "a port is 1 to 65535", "%.*s is not a port", SHOWN_ARG(s)));
	if (addr_parse(s, &r->addr) && addr_is_ip(&r->addr) && addr_port(&r->addr) != 0)
		return (true);
	if (s.len > 1 && (s.p[0] == '*' || (s.p[0] == ':' && is_digit(s.p[1]))))
		return (refuse(why, wants, "\"%.*s\" has no address", SHOWN_ARG(s)));
	if (addr_parse_ip(s, &r->addr))
		return (refuse(why, wants, "\"%.*s\" has no port", SHOWN_ARG(s)));
	return (refuse(why, wants, "\"%.*s\" is not an address to listen on", SHOWN_ARG(s)));
}

bool
scalar_parse_cidr(struct slice s, struct cidr *r, struct scalar_why *why)
{
	ssize_t slash = slice_find_byte(s, '/');
	struct addr ip;

	memset(r, 0, sizeof(*r));
	if (cidr_parse(s, r))
		return (true);
	if (slash > 0 && addr_parse_ip(slice_of(s.p, (size_t)slash), &ip) &&
	    is_all_digits(slice_skip(s, (size_t)slash + 1)))
		return (refuse(why, "write its first address and at most 32 bits (IPv6: 128)",
		    "\"%.*s\" is not a range of addresses", SHOWN_ARG(s)));
	return (refuse(why, "write 10.0.0.0/8, fd00::/8 or one address",
	    "\"%.*s\" is not a range of addresses", SHOWN_ARG(s)));
}

static bool
refuse_host(struct slice s, struct scalar_why *why)
{
	if (slice_find(s, SLICE("://")) >= 0 || slice_find_byte(s, '/') >= 0)
		return (refuse(why, "write the host name alone",
		    "\"%.*s\" is more than a host name", SHOWN_ARG(s)));
	if (slice_find_byte(s, ':') >= 0 && s.len > 0 && s.p[0] != '[')
		return (refuse(why, "leave the port out: it is ignored in requests",
		    "\"%.*s\" has a port", SHOWN_ARG(s)));
	if (slice_find_byte(s, '*') >= 0)
		return (refuse(why, "a wildcard is the whole first label: *.example.com",
		    "\"%.*s\" is not a host pattern", SHOWN_ARG(s)));
	return (refuse(why, "write api.example.com or *.example.com", "\"%.*s\" is not a host name",
	    SHOWN_ARG(s)));
}

bool
scalar_parse_host(struct slice s, struct arena *a, struct slice *r, struct scalar_why *why)
{
	struct slice name = s, bare;
	struct addr ip;

	if (name.len > 1 && name.p[name.len - 1] == '.')
		name.len--;
	bare = slice_has_prefix(name, SLICE("*.")) ? slice_skip(name, 2) : name;
	if (addr_parse_ip(name, &ip)) {
		/* Requests name an IPv6 address in brackets. */
		if (name.p[0] != '[' && slice_find_byte(name, ':') >= 0)
			name = slice_str(
			    arena_printf(a, "[" SLICE_FMT "]", SLICE_ARG(name)));
	} else if (!is_dns_name(bare) || ends_in_number(bare)) {
		return (refuse_host(s, why));
	}
	*r = lower(a, name);
	return (true);
}

/* ---- texts with rules ---- */

bool
scalar_check_name(struct slice s, struct scalar_why *why)
{
	static const char rule[] =
	    "a name has letters, digits, \"_\", \"-\" and \".\", and begins with none of \"-.\"";

	if (s.len == 0)
		return (refuse(why, rule, "a name is empty"));
	if (s.len > 64)
		return (refuse(why, "at most 64 bytes", "\"%.*s...\" is too long", SHOWN_ARG(s)));
	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && s.p[i] != '_' &&
		    (i == 0 || (s.p[i] != '-' && s.p[i] != '.')))
			return (refuse(why, rule, "\"%.*s\" is not a name", SHOWN_ARG(s)));
	return (true);
}

static bool
is_token(struct slice s)
{
	static const char others[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.len; i++)
		if (!is_alnum(s.p[i]) && memchr(others, s.p[i], sizeof(others) - 1) == NULL)
			return (false);
	return (s.len > 0);
}

bool
scalar_check_header_name(struct slice s, struct scalar_why *why)
{
	if (!is_token(s))
		return (refuse(why, "a name has letters, digits and \"-\", and no \":\"",
		    "\"%.*s\" is not a header name", SHOWN_ARG(s)));
	return (true);
}

bool
scalar_check_header_value(struct slice s, struct scalar_why *why)
{
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return (refuse(why, "", "a header value cannot hold control characters"));
	}
	if (s.len != slice_trim(s).len)
		return (refuse(why, "", "a header value cannot begin or end with a space"));
	return (true);
}

bool
scalar_check_method(struct slice s, struct scalar_why *why)
{
	char upper[32];

	if (!is_token(s) || s.len >= sizeof(upper))
		return (
		    refuse(why, "write GET, POST...", "\"%.*s\" is not a method", SHOWN_ARG(s)));
	for (size_t i = 0; i < s.len; i++)
		upper[i] = s.p[i] >= 'a' && s.p[i] <= 'z' ? (char)(s.p[i] - 'a' + 'A') : s.p[i];
	upper[s.len] = '\0';
	if (memcmp(upper, s.p, s.len) == 0)
		return (true);
	(void)refuse(why, "", "methods are in capitals, not \"%.*s\"", SHOWN_ARG(s));
	(void)snprintf(why->hint, sizeof(why->hint), "write %s", upper);
	return (false);
}

bool
scalar_check_path(struct slice s, struct scalar_why *why)
{
	if (s.len == 0 || s.p[0] != '/')
		return (refuse(
		    why, "a path begins with \"/\"", "\"%.*s\" is not a path", SHOWN_ARG(s)));
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];

		if (c == '?' || c == '#')
			return (refuse(why, "the query is matched by \"query\"",
			    "\"%.*s\" is more than a path", SHOWN_ARG(s)));
		if (c <= 0x20 || c == 0x7f)
			return (refuse(why, "write it as %XX",
			    "a path cannot hold a space or a control character"));
	}
	return (true);
}

bool
scalar_is_usual_path(const void *path, struct scalar_why *why)
{
	struct slice s = *(const struct slice *)path;
	char hint[sizeof(why->hint)];

	if (s.len == 0 || s.p[s.len - 1] != '*')
		return (true);
	while (s.len > 1 && (s.p[s.len - 1] == '*' || s.p[s.len - 1] == '/'))
		s.len--;
	(void)snprintf(hint, sizeof(hint), "\"prefix: %.*s\" takes all below it", SHOWN_ARG(s));
	return (refuse(why, s.len > SHOWN_MAX ? "a prefix without it takes all below it" : hint,
	    "\"*\" is an ordinary character in a path"));
}

/* ---- values to text ---- */

void
scalar_put_byte_rate(struct text *t, uint64_t per_second)
{
	text_put_bytes(t, per_second);
	text_puts(t, "/s");
}

void
scalar_put_rate(struct text *t, struct scalar_rate r)
{
	text_u64(t, r.count);
	for (size_t i = 0; i < array_len(periods); i++)
		if (periods[i].ms == r.per_ms)
			text_printf(t, "/%c", periods[i].letter);
}

void
scalar_put_percent(struct text *t, uint64_t ppm)
{
	unsigned part = (unsigned)(ppm % 10000), width = 4;

	text_u64(t, ppm / 10000);
	if (part != 0) {
		for (; part % 10 == 0; part /= 10)
			width--;
		text_printf(t, ".%0*u", (int)width, part);
	}
	text_putc(t, '%');
}

void
scalar_put_listen(struct text *t, const struct scalar_listen *l)
{
	char buf[ADDR_TEXT_MAX];

	if (l->is_dual) {
		text_u64(t, addr_port(&l->addr));
		return;
	}
	text_put(t, slice_of(buf, addr_format(&l->addr, buf, sizeof(buf))));
}

void
scalar_put_cidr(struct text *t, const struct cidr *c)
{
	char buf[ADDR_TEXT_MAX];

	text_put(t, slice_of(buf, cidr_format(c, buf, sizeof(buf))));
}
