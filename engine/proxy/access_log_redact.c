/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/cc.h"
#include "engine/http/uri.h"
#include "engine/proxy/access_log_redact.h"

enum {
	NAME_BYTES = 128,	/* a longer name is taken for a secret's */
	NAMELESS_BYTES = 16	/* what has no name and is longer is taken for a secret */
};

/* In lower case, without what parts words. A name's last word. */
static const char *const words[] = {
	"assertion", "auth", "authorization", "code", "cookie", "hmac", "jwt", "key", "otp", "pass",
	"pin", "pwd", "samlresponse", "session", "sid", "sig", "ticket",
};

/* No other word ends so: dbpassword, phpsessid. */
static const char *const endings[] = {
	"accesskey", "apikey", "authkey", "credential", "credentials", "passphrase", "passwd",
	"password", "privatekey", "secret", "secretkey", "sessid", "sessionid", "signature",
	"token",
};

static const char *const fields[] = {
	"authorization", "cookie", "proxy-authorization", "set-cookie", "x-amz-security-token",
	"x-api-key", "x-auth-token", "x-csrf-token",
};

/* Whose values are URLs: of pages that clients come from and are sent to. */
static const char *const urls[] = {
	"content-location", "location", "referer",
};

static bool
is_listed(const struct access_log_redact *r, struct slice name)
{
	for (uint32_t i = 0; i < r->n; i++) {
		if (slice_eq_fold(r->names[i], name))
			return (true);
	}
	return (false);
}

static bool
is_digit(char c)
{
	return (c >= '0' && c <= '9');
}

static bool
is_upper(char c)
{
	return (c >= 'A' && c <= 'Z');
}

static bool
is_lower(char c)
{
	return (c >= 'a' && c <= 'z');
}

/* As a server reads it: %74oken is token. */
static struct slice
decode(struct slice s, char buf[NAME_BYTES])
{
	size_t n = 0;

	while (uri_query_byte(&s, &buf[n]))
		n++;
	return (slice_of(buf, n));
}

static bool
has_ending(struct slice s)
{
	for (size_t i = 0; i < array_len(endings); i++) {
		if (slice_has_suffix(s, slice_str(endings[i])))
			return (true);
	}
	return (false);
}

static bool
is_word(struct slice s)
{
	for (size_t i = 0; i < array_len(words); i++) {
		if (slice_eq(s, slice_str(words[i])))
			return (true);
	}
	return (false);
}

/* The number of an element is no part of a name: token[0]. */
static struct slice
without_index(struct slice s)
{
	while (s.len > 0 && !is_upper(s.p[s.len - 1]) && !is_lower(s.p[s.len - 1]))
		s.len--;
	return (s);
}

/* Is what begins with any of the words and goes on to the end a secret's name? The words are run
   together, so that session_id and sessionId are sessionid. */
static bool
ends_in_secret(struct slice name)
{
	char run[NAME_BYTES];
	uint8_t begins[NAME_BYTES];
	size_t n = 0, n_words = 0;
	char before = '.';

	name = without_index(name);
	for (size_t i = 0; i < name.len; i++) {
		char c = name.p[i];
		bool joins = is_lower(c) || is_upper(c) || is_digit(c);

		if (joins) {
			bool parted = !is_lower(before) && !is_upper(before) && !is_digit(before);

			if (parted || (is_upper(c) && !is_upper(before)))
				begins[n_words++] = (uint8_t)n;
			run[n++] = slice_to_lower_byte(c);
		}
		before = c;
	}
	if (has_ending(slice_of(run, n)))
		return (true);
	for (size_t i = 0; i < n_words; i++) {
		if (is_word(slice_of(run + begins[i], n - begins[i])))
			return (true);
	}
	return (false);
}

bool
access_log_is_secret_parameter(const struct access_log_redact *r, struct slice name)
{
	char buf[NAME_BYTES];

	if (r->off)
		return (false);
	if (name.len > NAME_BYTES)
		return (true);
	name = decode(name, buf);
	return (ends_in_secret(name) || is_listed(r, name));
}

static bool
is_among(const char *const *v, size_t n, struct slice name)
{
	for (size_t i = 0; i < n; i++) {
		if (slice_eq_fold(name, slice_str(v[i])))
			return (true);
	}
	return (false);
}

bool
access_log_is_secret_field(const struct access_log_redact *r, struct slice name)
{
	return (!r->off && (is_among(fields, array_len(fields), name) || is_listed(r, name)));
}

bool
access_log_is_url_field(struct slice name)
{
	return (is_among(urls, array_len(urls), name));
}

/* The bytes of a piece of a query that may be told; all of it, where it holds no secret. What has
   no name is judged by its length: `?flag` and `?wsdl` are told, `?eyJhbGciOiJIUzI1NiJ9` is not. */
static size_t
told_bytes(const struct access_log_redact *r, struct slice piece)
{
	ssize_t at = slice_find_byte(piece, '=');
	size_t told = at < 0 ? 0 : (size_t)at + 1;

	if (told <= 1)
		return (r->off || piece.len - told <= NAMELESS_BYTES ? piece.len : told);
	return (told < piece.len && access_log_is_secret_parameter(r,
	    slice_sub(piece, 0, (size_t)at)) ? told : piece.len);
}

/* Servers part parameters at "&", some at ";" too: a secret behind either is one. Of a URL there is
   a fragment too, which may hold parameters (RFC 6749, 4.2.2). */
static size_t
piece_bytes(struct slice query)
{
	size_t n = 0;

	while (n < query.len && query.p[n] != '&' && query.p[n] != ';' && query.p[n] != '#')
		n++;
	return (n);
}

static void
put_parameter(const struct access_log_redact *r, struct slice piece, struct text *out)
{
	size_t told = told_bytes(r, piece);

	text_put(out, slice_sub(piece, 0, told));
	if (told < piece.len)
		text_puts(out, ACCESS_LOG_REDACTED);
}

void
access_log_redact_query(const struct access_log_redact *r, struct slice query, struct text *out)
{
	while (!out->full) {
		size_t n = piece_bytes(query);

		put_parameter(r, slice_sub(query, 0, n), out);
		if (n == query.len)
			return;
		text_putc(out, query.p[n]);
		query = slice_skip(query, n + 1);
	}
}

void
access_log_redact_url(const struct access_log_redact *r, struct slice url, struct text *out)
{
	size_t n = 0;

	while (n < url.len && url.p[n] != '?' && url.p[n] != '#')
		n++;
	n += n < url.len;
	text_put(out, slice_sub(url, 0, n));
	access_log_redact_query(r, slice_skip(url, n), out);
}

struct slice
access_log_redact_target(struct slice s)
{
	size_t n = 0;

	while (n < s.len && s.p[n] != '?' && s.p[n] != '#')
		n++;
	s = slice_sub(s, 0, n);
	if (s.len > 0 && s.p[0] != '/') {
		const char *at = memrchr(s.p, '@', s.len);

		if (at != NULL)
			s = slice_skip(s, (size_t)(at - s.p) + 1);
	}
	return (s);
}
