/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/addr.h"
#include "engine/http/method.h"
#include "engine/upstream/up_impl.h"

/*
 * Servers close idle connections, and a request may be on its way when they do. Whether such a
 * request may be sent once more, on a fresh connection:
 *
 *	reused connection, and not a byte of an answer	else: no
 *	nothing of it was written			yes
 *	an idempotent method (RFC 9110, 9.2.2)		yes
 *	the connection was reset			no: the server may have read it
 *	it ended, and part of it was acknowledged	no
 *	it ended, and nothing of it was acknowledged	wait, up to 20 ms:
 *		a reset follows, still nothing acknowledged	yes
 *		anything else					no
 *
 * Why the last row is safe: a server that has read the request and closes then acknowledges it with
 * its FIN at the latest. An end without that was sent before the request arrived; and the reset
 * says that nobody was there any more to read it. A server that has only ended its own direction,
 * and reads on, acknowledges and does not reset. Unix sockets have neither acknowledgements nor
 * resets in this sense: idempotent methods only.
 */
enum up_replay
up_replay_verdict(const struct up_stream *us, enum reason reason)
{
	const struct transport *t;
	uint64_t written;
	int64_t unacked;

	if (!us->reused || us->head_seen || us->uc->conn.bytes_in != us->bytes_in_before ||
	    (reason != REASON_UPSTREAM_CLOSED && reason != REASON_UPSTREAM_RESET))
		return (UP_REPLAY_NO);
	written = up_written(us);
	if (written == 0 || method_is_idempotent((enum http_method)us->req->method))
		return (UP_REPLAY_YES);
	if (reason != REASON_UPSTREAM_CLOSED || !addr_is_ip(&us->peer->server.addr))
		return (UP_REPLAY_NO);
	t = &us->uc->conn.t;
	unacked = t->ops->unacked(&us->uc->conn.t);
	return (unacked >= 0 && (uint64_t)unacked >= written ? UP_REPLAY_WAIT : UP_REPLAY_NO);
}
