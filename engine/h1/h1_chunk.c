/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/h1/h1_chunk.h"

enum chunk_state {
	FIRST_DIGIT,
	DIGITS,
	EXTENSION,
	SIZE_LF,	/* after the CR of the size line */
	DATA_CR,	/* after the data */
	DATA_LF
};

/* Of a 64-bit size; leading zeros count, or a line could go on for ever. */
enum { MAX_DIGITS = 16 };

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return (c - '0');
	if (c >= 'a' && c <= 'f')
		return (c - 'a' + 10);
	if (c >= 'A' && c <= 'F')
		return (c - 'A' + 10);
	return (-1);
}

void
h1_chunk_begin(struct h1_chunk_in *c)
{
	c->left = 0;
	c->seen = 0;
	c->state = FIRST_DIGIT;
}

/* A byte of the size. */
static bool
take_digit(struct h1_chunk_in *c, char byte)
{
	int digit = hex_value(byte);

	if (digit >= 0) {
		c->left = c->left << 4 | (uint64_t)digit;
		c->state = DIGITS;
		return (++c->seen <= MAX_DIGITS && c->left <= INT64_MAX);
	}
	if (c->state == FIRST_DIGIT)
		return (false);
	c->seen = 0;
	c->state = byte == '\r' ? SIZE_LF : EXTENSION;
	return (byte == '\r' || byte == ';');
}

static bool
take_extension(struct h1_chunk_in *c, unsigned max, char byte)
{
	if (byte == '\r') {
		c->state = SIZE_LF;
		return (true);
	}
	if (((uint8_t)byte < 0x20 && byte != '\t') || byte == 0x7f)
		return (false);
	return (++c->seen <= max);
}

enum h1_chunk_rc
h1_chunk_line(struct h1_chunk_in *c, unsigned max_ext, const char *p, size_t n, size_t *used_r)
{
	for (size_t i = 0; i < n; i++) {
		bool sound = true;

		*used_r = i + 1;
		switch ((enum chunk_state)c->state) {
		case FIRST_DIGIT:
		case DIGITS:
			sound = take_digit(c, p[i]);
			break;
		case EXTENSION:
			sound = take_extension(c, max_ext, p[i]);
			break;
		case SIZE_LF:
			c->state = DATA_CR;
			if (p[i] == '\n')
				return (c->left > 0 ? H1_CHUNK_DATA : H1_CHUNK_LAST);
			sound = false;
			break;
		case DATA_CR:
			c->state = DATA_LF;
			sound = p[i] == '\r';
			break;
		case DATA_LF:
			c->state = FIRST_DIGIT;
			c->seen = 0;
			sound = p[i] == '\n';
			break;
		}
		if (!sound)
			return (H1_CHUNK_BAD);
	}
	*used_r = n;
	return (H1_CHUNK_MORE);
}

size_t
h1_chunk_put(char *p, uint64_t n)
{
	static const char digits[] = "0123456789abcdef";
	unsigned shift = 60, len = 0;

	while (shift > 0 && (n >> shift) == 0)
		shift -= 4;
	for (;; shift -= 4) {
		p[len++] = digits[(n >> shift) & 15];
		if (shift == 0)
			break;
	}
	p[len++] = '\r';
	p[len++] = '\n';
	return (len);
}

bool
h1_trailer_may(enum hdr_id id)
{
	switch (id) {
	/* who asks, for whom, and where to */
	case HDR_HOST:
	case HDR_AUTHORIZATION:
	case HDR_PROXY_AUTHORIZATION:
	case HDR_WWW_AUTHENTICATE:
	case HDR_PROXY_AUTHENTICATE:
	case HDR_COOKIE:
	case HDR_SET_COOKIE:
	case HDR_X_API_KEY:
	case HDR_ORIGIN:
	case HDR_FORWARDED:
	case HDR_X_FORWARDED_FOR:
	case HDR_X_FORWARDED_HOST:
	case HDR_X_FORWARDED_PROTO:
	case HDR_X_REAL_IP:
	case HDR_VIA:
	/* what is done with the request or the answer */
	case HDR_TRAILER:
	case HDR_EXPECT:
	case HDR_MAX_FORWARDS:
	case HDR_PRAGMA:
	case HDR_CACHE_CONTROL:
	case HDR_RANGE:
	case HDR_IF_MATCH:
	case HDR_IF_NONE_MATCH:
	case HDR_IF_MODIFIED_SINCE:
	case HDR_IF_UNMODIFIED_SINCE:
	case HDR_IF_RANGE:
	case HDR_AGE:
	case HDR_DATE:
	case HDR_EXPIRES:
	case HDR_LOCATION:
	case HDR_RETRY_AFTER:
	case HDR_VARY:
	/* what the content is */
	case HDR_CONTENT_ENCODING:
	case HDR_CONTENT_TYPE:
	case HDR_CONTENT_RANGE:
		return (false);
	default:
		return (true);	/* framing and hop-by-hop rows are HDR_HOP already */
	}
}
