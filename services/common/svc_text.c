/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "services/common/svc_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/http.h>

#define BAD_CHAR UINT32_MAX

/*
 * Takes one character off *text; BAD_CHAR for what RFC 3629 forbids: overlong forms, surrogates,
 * above U+10FFFF.
 */
static uint32_t
next_char(const char **text)
{
	const unsigned char *s = (const unsigned char *)*text;
	unsigned more;
	uint32_t least;
	uint32_t c;

	if (s[0] < 0x80) {
		*text += 1;
		return (s[0]);
	}
	if ((s[0] & 0xe0) == 0xc0) {
		more = 1, least = 0x80, c = s[0] & 0x1fu;
	} else if ((s[0] & 0xf0) == 0xe0) {
		more = 2, least = 0x800, c = s[0] & 0x0fu;
	} else if ((s[0] & 0xf8) == 0xf0) {
		more = 3, least = 0x10000, c = s[0] & 0x07u;
	} else {
		return (BAD_CHAR);
	}
	for (unsigned i = 1; i <= more; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return (BAD_CHAR);
		c = c << 6 | (s[i] & 0x3fu);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return (BAD_CHAR);
	*text += more + 1;
	return (c);
}

bool
svc_text_length(const char *text, size_t *chars_r)
{
	*chars_r = 0;
	while (*text != '\0') {
		if (next_char(&text) == BAD_CHAR)
			return (false);
		++*chars_r;
	}
	return (true);
}

bool
svc_text_has_control(const char *text)
{
	while (*text != '\0') {
		uint32_t c = next_char(&text);

		if (c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
		    c == BAD_CHAR)
			return (true);
	}
	return (false);
}

/* Unicode's White_Space, and the zero-width ones that leave nothing to see. */
static bool
is_space(uint32_t c)
{
	return (c == ' ' || (c >= 0x09 && c <= 0x0d) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
	    (c >= 0x2000 && c <= 0x200d) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
	    c == 0x205f || c == 0x2060 || c == 0x3000 || c == 0xfeff);
}

bool
svc_text_is_blank(const char *text)
{
	while (*text != '\0') {
		if (!is_space(next_char(&text)))
			return (false);
	}
	return (true);
}

void
svc_text_trim_utf8(char *text)
{
	const char *p = text;

	while (*p != '\0') {
		if (next_char(&p) == BAD_CHAR) {
			text[p - text] = '\0';
			return;
		}
	}
}

bool
svc_text_number(const char *text, uint64_t least, uint64_t most, uint64_t *value_r)
{
	uint64_t value = 0;
	size_t len = strspn(text, "0123456789");

	if (len == 0 || len > 18 || text[len] != '\0')
		return (false);
	for (size_t i = 0; i < len; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	if (value < least || value > most)
		return (false);
	*value_r = value;
	return (true);
}

bool
svc_etag_matches(const char *field, int64_t version, bool weak)
{
	char tag[32];
	size_t tag_len = (size_t)snprintf(tag, sizeof(tag), "\"%" PRId64 "\"", version);
	const char *p = field;

	while (*p != '\0') {
		size_t len;
		bool is_weak;

		p += strspn(p, " \t,");
		len = strcspn(p, " \t,");
		is_weak = strncmp(p, "W/", 2) == 0;
		if (len == 1 && *p == '*')
			return (true);
		if (is_weak && weak && len == tag_len + 2 && memcmp(p + 2, tag, tag_len) == 0)
			return (true);
		if (!is_weak && len == tag_len && memcmp(p, tag, tag_len) == 0)
			return (true);
		p += len;
	}
	return (false);
}

/* Decodes one side of name=value; NULL on a broken escape or a NUL. */
static char *
decode(const char *raw, size_t raw_len)
{
	char *copy = strndup(raw, raw_len);
	char *text = NULL;
	size_t len = 0;
	bool is_good = copy != NULL;

	for (const char *p = copy; is_good && (p = strchr(p, '%')) != NULL; p++)
		is_good = strspn(p + 1, "0123456789abcdefABCDEF") >= 2;
	if (is_good)
		text = evhttp_uridecode(copy, 1, &len);
	free(copy);
	if (text != NULL && strlen(text) != len) {
		free(text);
		return (NULL);
	}
	return (text);
}

bool
svc_query_parse(const char *query, struct evkeyvalq *out)
{
	const char *p = query == NULL ? "" : query;

	while (*p != '\0') {
		size_t len = strcspn(p, "&");
		size_t name_len = strcspn(p, "&=");
		bool has_value = p[name_len] == '=';
		char *name = decode(p, name_len);
		char *value = decode(p + name_len + has_value, len - name_len - has_value);
		bool is_good = name != NULL && value != NULL;

		/*
		 * a name or value with a line end is no parameter of ours, and evhttp's list
		 * refuses it
		 */
		if (is_good && name_len > 0)
			evhttp_add_header(out, name, value);
		free(name);
		free(value);
		if (!is_good)
			return (false);
		p += len;
		p += *p == '&';
	}
	return (true);
}
