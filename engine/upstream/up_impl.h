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
	enum reason		 reason;	/* what the codec said; NONE: nothing */
	enum reason		 late_reason;	/* of `late` */
	struct deferred		 late;		/* tells a failure that was known in up_open */
};

extern const struct codec_events up_codec_events;

/* From the connection: it is there; or it failed, with everything the stream needs to say why. */
void	up_stream_opened(struct up_stream *);
void	up_stream_failed(struct up_stream *, enum reason);

/* up_stats.c: finds the peer's series; an answer has come with this status, 0: none will. */
void	up_stats_begin(struct up_peer *);
void	up_stats_answer(struct up_peer *, unsigned status);

/* pool.c */
void	pool_unlist(struct up_conn *);
/* The server closed it while idle: learn how long it waits. */
void	pool_ended_idle(struct up_conn *);

#endif
