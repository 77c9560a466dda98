/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>

#include "engine/base/check.h"
#include "engine/h1/h1_parse.h"
#include "engine/mem/arena.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A response head, as an answer to each kind of request. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct codec_limits limits = { 4096, 1024, 20, 256 };
	static const enum http_method methods[] = { METHOD_GET, METHOD_HEAD };
	const char *p = (const char *)data;
	struct h1_head h;
	size_t len;

	if (h1_parse_response(&h, &limits, p, size) != H1_PARSE_DONE)
		return (0);
	len = h.len;
	must(len <= size && h.status >= 100 && h.status <= 999);
	must(h1_parse_response(&h, &limits, p, len - 1) == H1_PARSE_MORE);
	must(h1_parse_response(&h, &limits, p, len) == H1_PARSE_DONE);
	for (unsigned i = 0; i < 2; i++) {
		struct arena *arena = arena_new("fuzz");
		struct msg_resp r;

		msg_resp_init(&r, arena);
		if (h1_resp_fill(&r, &h, methods[i], SLICE("websocket")) == REASON_NONE) {
			must(r.m.body != MSG_BODY_LENGTH || r.m.content_length > 0);
			must(methods[i] != METHOD_HEAD || r.m.body == MSG_BODY_NONE ||
			    r.m.body == MSG_BODY_TUNNEL);
		}
		arena_free(&arena);
	}
	return (0);
}
