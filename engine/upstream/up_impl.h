/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_UPSTREAM_UP_IMPL_H
#define WEIR_UPSTREAM_UP_IMPL_H

/*
 * Private to engine/upstream: what its files share.
 */
#include "engine/loop/loop.h"
#include "engine/mem/slab.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/up_conn.h"
#include "engine/upstream/up_stream.h"
#include "engine/worker/worker.h"

/* worker->slot[WORKER_SLOT_UPSTREAM] */
struct up_worker {
	unsigned	 magic;
#define UP_WORKER_MAGIC	0x7be1c02f
	struct slab	 conns;
	struct slab	 streams;
	struct list	 locals;	/* struct up_local.link */
};

static inline struct up_worker *
up_of(const struct worker *w)
{
	return (w->slot[WORKER_SLOT_UPSTREAM]);
}

struct up_stream {
	unsigned		 magic;
#define UP_STREAM_MAGIC	0x2a95d7e8
	bool			 reused:1;	/* the connection had served before */
	bool			 open:1;
	bool			 sent:1;	/* the request is with the kernel, whole */
	bool			 head_seen:1;
	bool			 done:1;	/* the response is whole */
	bool			 upgraded:1;
	bool			 cut:1;		/* the codec gave up on a message */
	bool			 doubt:1;	/* failed; may turn out not to have arrived */
	bool			 unseen:1;	/* the server's system refused every byte */
	struct worker		*worker;
	struct up_peer		*peer;
	struct up_conn		*uc;
	const struct up_events	*events;
	void			*ex;
	const struct msg_req	*req;		/* after up_send */
	struct msg		*resp;		/* the exchange's, from on_begin */
	struct pipe		*out, *in;
	uint64_t		 bytes_in_before, bytes_out_before; /* of the connection */
	uint64_t		 open_us;
	uint64_t		 doubt_unacked;	/* bytes; more acknowledged: it has arrived */
	enum reason		 reason;	/* what the codec said; NONE: nothing */
	enum reason		 late_reason;	/* of `late` */
	struct deferred		 late;		/* tells a failure that was known in up_open */
};

extern const struct codec_events up_codec_events;

/* From the connection: it is there; or it failed, with everything the stream needs to say why. */
void	up_stream_opened(struct up_stream *);
void	up_stream_failed(struct up_stream *, enum reason);

/* up_replay.c: may a request whose connection failed for this reason be sent once more? */
enum up_replay {
	UP_REPLAY_NO,
	UP_REPLAY_YES,
	UP_REPLAY_WAIT	/* if a reset follows, and nothing is acknowledged until then */
};
enum up_replay	up_replay_verdict(const struct up_stream *, enum reason);
enum {
	UP_REPLAY_WAIT_MS = 20
};
/* Bytes of this request that went to the socket. */
static inline uint64_t
up_written(const struct up_stream *us)
{
	return (us->uc->conn.bytes_out - us->bytes_out_before);
}

/* up_conn.c: nothing more is read or written; up_stream_failed comes, later or at once, when a
   reset has settled it or the time is up. */
void	up_conn_doubt(struct up_conn *);

/*
 * How long to keep an idle connection to a server that closes it after server_ms, as it says or as
 * was seen: less by the margin, since its end may be on its way when we write; half of it where
 * that is little.
 */
enum {
	UP_KEEPALIVE_MARGIN_MS = 4000
};
static inline uint32_t
up_keep_ms(uint32_t server_ms)
{
	return (server_ms > 2 * UP_KEEPALIVE_MARGIN_MS ? server_ms - UP_KEEPALIVE_MARGIN_MS :
	    server_ms / 2);
}

/* up_stats.c: finds the peer's series; an answer has come with this status, 0: none will. */
void	up_stats_begin(struct up_peer *);
void	up_stats_answer(struct up_peer *, unsigned status);

/* pool.c */
void	pool_unlist(struct up_conn *);
/* The server closed it while idle: learn how long it waits. */
void	pool_ended_idle(struct up_conn *);
/* What is known of it now, 0: nothing. */
uint32_t pool_learned_ms(struct up_peer *, uint64_t now_ms);

#endif
