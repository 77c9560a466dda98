/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/http/date.h"
#include "engine/proxy/down_conn.h"
#include "engine/proxy/ex.h"
#include "engine/proxy/gate.h"

/*
 * What a gateway owes on every message it forwards: Via (RFC 9110, 7.6.3), the X-Forwarded
 * fields from the socket, and never a client's copy of them unless a trusted proxy sent it.
 * Forwarded (RFC 7239) is removed, never sent: one family of fields is enough to misread.
 */

const struct addr *
ex_client(const struct exchange *ex)
{
	return (ex->client != NULL ? ex->client : &ex->down->peer);
}

/*
 * The client's address by X-Forwarded-For, all its lines as one list: from the right, past every
 * trusted proxy. Stops at what is no address: nothing to its left can be believed. False: no
 * memory, and who the client is remains unknown: policies must not judge by a proxy's address.
 */
static bool
find_client(struct exchange *ex, struct slice value, const struct cidr_set *trusted)
{
	while (value.len > 0) {
		struct slice piece = value;
		struct addr *a;

		for (size_t i = value.len; i > 0; i--) {
			if (value.p[i - 1] == ',') {
				piece = slice_skip(value, i);
				break;
			}
		}
		value.len -= piece.len + (piece.len < value.len ? 1 : 0);
		a = arena_alloc(&ex->arena, sizeof *a);
		if (a == NULL)
			return (false);
		if (!addr_parse_ip(slice_trim(piece), a))
			break;
		ex->client = a;
		if (!cidr_set_has(trusted, a))
			break;
	}
	return (true);
}

/* All lines of the field as one list, in the arena where there are several. False: no memory. */
static bool
join_lines(struct exchange *ex, enum hdr_id id, struct slice *list_r)
{
	struct headers *hs = &ex->req.m.headers;
	const struct hdr *h = headers_get(hs, id), *next;
	struct slice all = h == NULL ? SLICE("") : hdr_value(h);

	while (h != NULL && (next = headers_next(hs, h)) != NULL) {
		const char *s = arena_printf(&ex->arena, SLICE_FMT ", " SLICE_FMT, SLICE_ARG(all),
		    SLICE_ARG(hdr_value(next)));

		if (s == NULL)
			return (false);
		all = slice_str(s);
		h = next;
	}
	*list_r = all;
	return (true);
}

/*
 * Lines of ours, one behind the other in the arena: what lies side by side leaves in one copy.
 */
struct lines {
	struct headers	*to;
	char		*at;
	bool		 ok;		/* no memory: not; then nothing is added any more */
};

static char *
put(char *at, struct slice s)
{
	return (mempcpy(at, s.p, s.len));
}

/* The bytes from `begin` on are a whole line, CR LF included. */
static void
end_line(struct lines *l, enum hdr_id id, const char *begin, char *end)
{
	l->ok = l->ok && headers_add_raw(l->to, id, slice_of(begin, (size_t)(end - begin)));
	l->at = end;
}

#define FOR	SLICE("X-Forwarded-For: ")
#define PROTO	SLICE("X-Forwarded-Proto: http\r\n")
#define HOST	SLICE("X-Forwarded-Host: ")
#define COMMA	SLICE(", ")
#define CRLF	SLICE("\r\n")

/* The peer's address, behind the list that a trusted proxy sent. */
static void
put_for(struct lines *l, struct slice before, struct slice ip)
{
	char *at = put(l->at, FOR);

	if (before.len > 0)
		at = put(put(at, before), COMMA);
	end_line(l, HDR_X_FORWARDED_FOR, l->at, put(put(at, ip), CRLF));
}

/* Does what the client sent of this field go on? If not it is gone. */
static bool
is_kept(struct headers *hs, enum hdr_id id, bool trust)
{
	if (trust && headers_get(hs, id) != NULL)
		return (true);
	(void)headers_remove_id(hs, id);
	return (false);
}

/* X-Forwarded-* and Via. */
static bool
add_our_fields(struct exchange *ex, struct slice before, bool trust, struct slice via)
{
	struct slice ip = slice_of(ex->down->peer_text, ex->down->peer_len);
	struct slice host = ex->req.authority;
	struct headers *hs = &ex->req.m.headers;
	size_t n = FOR.len + before.len + COMMA.len + ip.len + CRLF.len + PROTO.len + HOST.len +
	    host.len + CRLF.len + via.len;
	struct lines l = { hs, arena_alloc(&ex->arena, n), true };

	if (l.at == NULL)
		return (false);
	(void)headers_remove_id(hs, HDR_FORWARDED);
	(void)headers_remove_id(hs, HDR_X_FORWARDED_FOR);
	put_for(&l, before, ip);
	if (!is_kept(hs, HDR_X_FORWARDED_PROTO, trust))
		end_line(&l, HDR_X_FORWARDED_PROTO, l.at, put(l.at, PROTO));
	if (!is_kept(hs, HDR_X_FORWARDED_HOST, trust) && host.len > 0)
		end_line(&l, HDR_X_FORWARDED_HOST, l.at, put(put(put(l.at, HOST), host), CRLF));
	end_line(&l, HDR_VIA, l.at, put(l.at, via));
	return (l.ok);
}

bool
ex_forward_request(struct exchange *ex)
{
	const struct cidr_set *trusted = ex->down->local->listener->trusted;
	bool trust = trusted != NULL && cidr_set_has(trusted, &ex->down->peer);
	struct slice before = SLICE(""), via = proxy_program->via;

	/* The one protocol that is passed on; for another the request goes on without the offer. */
	if (ex->req.upgrade.len > 0 && !slice_eq_fold(ex->req.upgrade, SLICE("websocket")))
		ex->req.upgrade = SLICE("");
	if (trust && (!join_lines(ex, HDR_X_FORWARDED_FOR, &before) ||
	    !find_client(ex, before, trusted)))
		return (false);
	if (unlikely(ex->req.m.version == HTTP_1_0)) {
		/* Ignored from such a client (RFC 9110, 10.1.1); in our HTTP/1.1 it would count. */
		(void)headers_remove_id(&ex->req.m.headers, HDR_EXPECT);
		via = proxy_program->via_1_0;
	}
	return (add_our_fields(ex, before, trust, via));
}

bool
ex_forward_response(struct exchange *ex)
{
	struct headers *hs = &ex->resp.m.headers;

	/* An origin without a clock, or our own answer: RFC 9110, 6.6.1. */
	if (headers_get(hs, HDR_DATE) != NULL)
		return (true);
	return (headers_add_raw(hs, HDR_DATE, date_now(&proxy_of(ex->worker)->date,
	    loop_wall_us(ex->worker->loop))));
}
