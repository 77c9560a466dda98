/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/base/text.h"
#include "engine/config/scalar.h"
#include "engine/mem/arena.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is written back reads as the same. */
#define AGAIN(parse_, put_, type_)                                                              \
	do {                                                                                    \
		type_ x, y;                                                                     \
		text_init(&t, buf, sizeof(buf));                                                \
		if (!parse_(s, &x, &why))                                                       \
			break;                                                                  \
		put_(&t, x);                                                                    \
		must(parse_(text_slice(&t), &y, &why) && memcmp(&x, &y, sizeof(x)) == 0);       \
	} while (0)

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice s = slice_of((const char *)data, size), host, again;
	struct arena *a = arena_new("fuzz");
	struct scalar_server server;
	struct scalar_why why;
	struct text t;
	char buf[256];

	AGAIN(scalar_parse_duration, text_put_duration_ms, uint64_t);
	AGAIN(scalar_parse_bytes, text_put_bytes, uint64_t);
	AGAIN(scalar_parse_byte_rate, scalar_put_byte_rate, uint64_t);
	AGAIN(scalar_parse_percent, scalar_put_percent, uint64_t);
	AGAIN(scalar_parse_rate, scalar_put_rate, struct scalar_rate);
	AGAIN(scalar_parse_int, text_u64, uint64_t);
	if (scalar_parse_host(s, a, &host, &why))
		must(scalar_parse_host(host, a, &again, &why) && slice_eq(host, again));
	if (scalar_parse_server(s, a, &server, &why))
		must(server.is_name ? server.name.len > 0 && server.port != 0 : server.addr.len > 0);
	must(!scalar_check_header_value(s, &why) || slice_find_byte(s, '\n') < 0);
	must(!scalar_check_path(s, &why) || s.p[0] == '/');
	arena_free(&a);
	return (0);
}
