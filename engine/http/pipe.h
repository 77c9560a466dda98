/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_HTTP_PIPE_H
#define WEIR_HTTP_PIPE_H

/*
 * A body on its way: bytes in order from one source to one sink of the same worker, by
 * reference to the pages they arrived in. Bounded: a source puts while there is room, then stops
 * reading its socket and the kernel's window does the rest.
 *
 * Wake-ups are plain calls to what source and sink gave; both must only mark work and defer it
 * (conn_want_flush, conn_resume), never run the exchange from within. A source is woken once when
 * `queued` falls to `low` after it was refused room; a sink is woken when the first bytes or the
 * end arrive while it waits. End and breakage are states, not messages.
 *
 * A sink whose attempt may have to be made again has what it consumes kept, by reference and up to
 * a bound, until it is released or put back in front. Kept bytes do not count as queued: they hold
 * up no source. Put back they do, and they are then consumed like any others.
 *
 * A tap sees what is put, and the end, and has no say: it takes references of its own.
 */
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/cc.h"
#include "engine/base/slice.h"
#include "engine/mem/page.h"

struct headers;
struct pipe;

struct span {
	struct page	*page;		/* one reference held; NULL: static bytes that outlive it */
	const char	*p;
	uint32_t	 len;
};

enum pipe_end {
	PIPE_OPEN,
	PIPE_END,		/* the source has put everything; trailers, if any, are set */
	PIPE_BROKEN		/* the source died: the sink must not pretend a clean end */
};

enum {
	PIPE_SPANS = 8,			/* spans in place; a pipe is full when they are used up */
	PIPE_KEPT = 8,			/* spans, and */
	PIPE_KEPT_BYTES = 64 * 1024,	/* bytes that are kept at most; with more none are */
	PIPE_PEEK_MAX = PIPE_SPANS + PIPE_KEPT,	/* spans that can lie in a pipe */
	PIPE_LOW = 32 * 1024,		/* bytes, each way of an exchange */
	PIPE_HIGH = 64 * 1024
};

typedef void pipe_wake_fn(void *);
/* A span that is about to be put, or NULL: the end or breakage, as the pipe says. It may end the
   tap, and does nothing else to the pipe. */
typedef void pipe_tap_fn(void *, const struct pipe *, const struct span *);

/* What was consumed, in order. No magic: only ever reached through its pipe. */
struct pipe_kept {
	uint32_t	 bytes;
	uint8_t		 at, n;		/* v[at..n) */
	bool		 is_back;	/* in front of the pipe's own spans, counted in `queued` */
	struct span	 v[PIPE_KEPT];
};

struct pipe {
	unsigned	 magic;
#define PIPE_MAGIC	0x71be2f05
	uint32_t	 queued;	/* bytes in the pipe */
	uint32_t	 low, high;
	uint8_t		 end;		/* enum pipe_end */
	uint8_t		 head, n;	/* ring of spans */
	bool		 source_waits;	/* refused room; wake it at low */
	bool		 sink_waits;	/* found it empty; wake it at the first byte or the end */
	pipe_wake_fn	*source_wake, *sink_wake;
	void		*source, *sink;
	struct pipe_kept *kept;		/* NULL: nothing is kept or back in front */
	struct headers	*trailers;	/* valid with PIPE_END; NULL: none */
	uint64_t	 total;		/* bytes ever put */
	struct span	 v[PIPE_SPANS];
	pipe_tap_fn	*tap;		/* NULL: none */
	void		*tap_arg;
};

void	pipe_init(struct pipe *, uint32_t low, uint32_t high);
/* Drops what is queued (page references) and forgets both ends. Idempotent. */
void	pipe_fini(struct pipe *);
void	pipe_set_source(struct pipe *, pipe_wake_fn *, void *);
void	pipe_set_sink(struct pipe *, pipe_wake_fn *, void *);
/* One at a time, from now on, until pipe_fini(); NULL: no more. */
void	pipe_set_tap(struct pipe *, pipe_tap_fn *, void *);

/*
 * Takes over the caller's page reference. A span that continues the last one in the same page
 * is joined to it. Takes the bytes, even above `high` (the reader has them already), while fewer
 * than PIPE_SPANS spans are there; returns false when the source must now stop reading, until it
 * is woken. In a broken pipe they vanish; after pipe_put_end() it must not be called.
 */
bool	pipe_put(struct pipe *, struct span);
/* May the source read more? When not, it is marked as waiting and will be woken. */
bool	pipe_has_room(struct pipe *);
void	pipe_put_end(struct pipe *, struct headers *trailers);
void	pipe_break(struct pipe *);

/* Up to `cap` spans from the front, not taken out; returns how many: at most PIPE_SPANS where
   nothing was put back, PIPE_PEEK_MAX where something was. */
unsigned pipe_peek(const struct pipe *, struct span *v, unsigned cap);
/* `n` bytes have gone; releases pages. Wakes the source when it crosses low. */
void	pipe_consume(struct pipe *, uint32_t n);
/* The sink says that it has seen the pipe empty and wants to be woken. */
void	pipe_wait(struct pipe *);

/*
 * From now on what is consumed is kept, in `room`: the caller's, it need not be set to anything and
 * stays until pipe_fini(). Beyond the bound all of it is dropped, and keeping is over.
 */
void	pipe_keep(struct pipe *, struct pipe_kept *room);
/* Puts what was kept back in front, and keeps no more. False: not all of it is there (keeping was
   given up, released or never begun), and nothing has changed. Wakes nobody. */
bool	pipe_rewind(struct pipe *);
/* Private to pipe_release(). */
void	pipe_drop_kept(struct pipe *);

static inline bool
pipe_is_kept(const struct pipe *p)
{
	return (p->kept != NULL && !p->kept->is_back);
}

/* What was kept is not needed any more. What is back in front stays. */
static inline void
pipe_release(struct pipe *p)
{
	if (unlikely(p->kept != NULL))
		pipe_drop_kept(p);
}

static inline bool
pipe_is_drained(const struct pipe *p)
{
	return (p->queued == 0 && p->end == PIPE_END);
}

#endif
