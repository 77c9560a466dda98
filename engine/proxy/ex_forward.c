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

/* "X-Forwarded-For: 10.0.0.1\r\n", or the list that a trusted proxy sent with its address added. */
static bool
add_forwarded_for(struct exchange *ex, struct slice before)
{
	static const struct slice name = SLICE_INIT("X-Forwarded-For: ");
	struct slice ip = slice_of(ex->down->peer_text, ex->down->peer_len);
	size_t n = name.len + before.len + 2 + ip.len + 2;
	char *p = arena_alloc(&ex->arena, n), *at = p;

	if (p == NULL)
		return (false);
	at = mempcpy(at, name.p, name.len);
	if (before.len > 0) {
		at = mempcpy(at, before.p, before.len);
		at = mempcpy(at, ", ", 2);
	}
	at = mempcpy(at, ip.p, ip.len);
	at = mempcpy(at, "\r\n", 2);
	return (headers_add_raw(&ex->req.m.headers, HDR_X_FORWARDED_FOR,
	    slice_of(p, (size_t)(at - p))));
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

static bool
set_forwarded(struct exchange *ex)
{
	struct headers *hs = &ex->req.m.headers;
	const struct cidr_set *trusted = ex->down->local->listener->trusted;
	bool trust = trusted != NULL && cidr_set_has(trusted, &ex->down->peer);
	struct slice before = SLICE("");
	bool ok;

	if (trust && (!join_lines(ex, HDR_X_FORWARDED_FOR, &before) ||
	    !find_client(ex, before, trusted)))
		return (false);
	(void)headers_remove_id(hs, HDR_FORWARDED);
	(void)headers_remove_id(hs, HDR_X_FORWARDED_FOR);
	ok = add_forwarded_for(ex, before);
	if (!trust || headers_get(hs, HDR_X_FORWARDED_PROTO) == NULL) {
		(void)headers_remove_id(hs, HDR_X_FORWARDED_PROTO);
		ok = ok && headers_add_raw(hs, HDR_X_FORWARDED_PROTO,
		    SLICE("X-Forwarded-Proto: http\r\n"));
	}
	if (!trust || headers_get(hs, HDR_X_FORWARDED_HOST) == NULL) {
		(void)headers_remove_id(hs, HDR_X_FORWARDED_HOST);
		if (ex->req.authority.len > 0)
			ok = ok && headers_set_id(hs, HDR_X_FORWARDED_HOST, ex->req.authority);
	}
	return (ok);
}

bool
ex_forward_request(struct exchange *ex)
{
	/* The one protocol that is passed on; for another the request goes on without the offer. */
	if (ex->req.upgrade.len > 0 && !slice_eq_fold(ex->req.upgrade, SLICE("websocket")))
		ex->req.upgrade = SLICE("");
	if (!set_forwarded(ex))
		return (false);
	if (likely(ex->req.m.version != HTTP_1_0))
		return (headers_add_raw(&ex->req.m.headers, HDR_VIA, proxy_program->via));
	/* Ignored from such a client (RFC 9110, 10.1.1); in our HTTP/1.1 it would count. */
	(void)headers_remove_id(&ex->req.m.headers, HDR_EXPECT);
	return (headers_add_raw(&ex->req.m.headers, HDR_VIA, proxy_program->via_1_0));
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
