/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/msg.h"

#include <string.h>

/* *m is zeroed. */
static void
msg_init(struct msg *m, struct arena *arena, bool is_request)
{
	m->magic = MSG_MAGIC;
	m->version = HTTP_1_1;
	m->body = MSG_BODY_NONE;
	m->is_request = is_request;
	m->content_length = -1;
	m->headers.arena = arena;	/* the rest of an empty table is zero, as *m is */
}

void
msg_req_init(struct msg_req *r, struct arena *arena)
{
	memset(r, 0, sizeof(*r));
	msg_init(&r->m, arena, true);
}

void
msg_resp_init(struct msg_resp *r, struct arena *arena)
{
	memset(r, 0, sizeof(*r));
	msg_init(&r->m, arena, false);
}

const char *
status_phrase(unsigned status)
{
	switch (status) {
#define STATUS(code, phrase) case code: return (phrase);
#include "engine/http/status.def"
#undef STATUS
	default:
		return ("");
	}
}
