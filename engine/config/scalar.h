/* SPDX-License-Identifier: Apache-2.0 */
#ifndef ENGINE_CONFIG_SCALAR_H
#define ENGINE_CONFIG_SCALAR_H

/*
 * The scalars of the configuration language: text to value, value to text.
 *
 * Every scalar_parse_*() takes the text as it stands in the file and returns false with `why`
 * filled when it is not right: what is wrong and, where we know it, what would be right. No
 * allocation; a slice in the result points into the text. Any thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/base/addr.h"
#include "engine/base/slice.h"
#include "engine/base/text.h"
#include "engine/config/diag.h"

struct arena;

struct scalar_why {
	enum diag_kind kind; /* schema_value_parse() says it */
	char what[160]; /* "3 has no unit" */
	char hint[160]; /* "write 3ms, 3s or 3m", or "" */
};

/* What `auto` and `unlimited` become where a number allows them; `off` becomes 0. */
#define SCALAR_AUTO      (UINT64_MAX - 1)
#define SCALAR_UNLIMITED UINT64_MAX

/* Percents are in parts per million: 5% is 50000. */
#define SCALAR_PPM       1000000U

/* 10/s is { 10, 1000 }. */
struct scalar_rate {
	uint64_t count;
	uint64_t per_ms;
};

/* Where an upstream's server is: an address, a name to look up, or a Unix socket. */
struct scalar_server {
	struct slice text; /* as written */
	struct slice name; /* a host name, lower case; empty when `addr` is set */
	struct addr addr;  /* IP and port, or path */
	uint16_t port;     /* of name or IP */
	bool is_name;
};

struct scalar_listen {
	struct addr addr;
	bool is_dual; /* a bare port: all addresses, IPv4 and IPv6, on one IPv6 socket */
};

/*
 * A secret: written in the file, or read from { file: } or { env: } when decoded. Its value is
 * never printed, not even in an error.
 */
enum scalar_secret_from {
	SCALAR_SECRET_NONE,
	SCALAR_SECRET_LITERAL,
	SCALAR_SECRET_FILE,
	SCALAR_SECRET_ENV,
	SCALAR_SECRET__MAX
};

struct scalar_secret {
	enum scalar_secret_from from;
	struct slice where; /* the file or the variable */
	struct slice value; /* one line end at the end of a file is left out */
};

/* Units: ms s m h d (1h30m); B KiB MiB GiB; B/s KiB/s MiB/s GiB/s; /s /m /h /d; %. */
bool scalar_parse_duration(struct slice s, uint64_t *ms_r, struct scalar_why *why);
bool scalar_parse_bytes(struct slice s, uint64_t *bytes_r, struct scalar_why *why);
bool scalar_parse_byte_rate(struct slice s, uint64_t *per_second_r, struct scalar_why *why);
bool scalar_parse_rate(struct slice s, struct scalar_rate *r, struct scalar_why *why);
bool scalar_parse_percent(struct slice s, uint64_t *ppm_r, struct scalar_why *why);
bool scalar_parse_int(struct slice s, uint64_t *r, struct scalar_why *why);

/* `a` keeps a lower-case copy when the text has capitals. */
bool scalar_parse_server(
    struct slice s, struct arena *a, struct scalar_server *r, struct scalar_why *why);
bool scalar_parse_listen(struct slice s, struct scalar_listen *r, struct scalar_why *why);
bool scalar_parse_cidr(struct slice s, struct cidr *r, struct scalar_why *why);
/* An exact host name or "*.example.com"; lower case, no dot at the end, no port. */
bool scalar_parse_host(struct slice s, struct arena *a, struct slice *r, struct scalar_why *why);

/* These only say yes or no: the value is the text. */
bool scalar_check_name(struct slice s, struct scalar_why *why);
bool scalar_check_header_name(struct slice s, struct scalar_why *why);  /* RFC 9110 5.6.2 */
bool scalar_check_header_value(struct slice s, struct scalar_why *why); /* RFC 9110 5.5 */
bool scalar_check_method(struct slice s, struct scalar_why *why);
bool scalar_check_path(struct slice s, struct scalar_why *why);

/* struct slice: a path that is matched. False where it ends with a star, as other gateways have
   it: no request that was meant would have that path. */
bool scalar_is_usual_path(const void *path, struct scalar_why *why);

/* As the language writes them; parsing the text again gives the same value. */
void scalar_put_byte_rate(struct text *t, uint64_t per_second);
void scalar_put_rate(struct text *t, struct scalar_rate r);
void scalar_put_percent(struct text *t, uint64_t ppm);
void scalar_put_listen(struct text *t, const struct scalar_listen *l);
void scalar_put_cidr(struct text *t, const struct cidr *c);

#endif
