/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/mem/page.h"
#include "engine/net/conn.h"

enum {
	CONN_READS_A_TURN = 4,	/* then neighbours have their turn; the rest is deferred */
	CONN_PIECES = 16,	/* iovecs gathered for one write */
	CONN_BULK_READS = 16,	/* a read that filled its page: so many more are into big pages */
	CONN_LEAST_ROOM = 4 * 1024 /* less than this left in a page: take a fresh one */
};

static void conn_read(struct conn *c);

static void
on_flush(void *arg)
{
	struct conn *c;

	CAST_OBJ(c, arg, CONN_MAGIC);
	conn_flush(c);
}

static void
on_again(void *arg)
{
	struct conn *c;

	CAST_OBJ(c, arg, CONN_MAGIC);
	conn_read(c);
}

void
conn_init(struct conn *c, struct loop *loop, struct page_pool *pages, struct codec *codec,
    const struct conn_events *events, void *owner)
{
	c->magic = CONN_MAGIC;
	c->readable = c->closed_seen = c->blocked = false;
	c->in_eof = c->eof_told = c->is_closed = c->in_feed = false;
	c->bulk = 0;
	c->writable = true;
	c->codec = codec;
	c->in = NULL;
	c->in_start = c->in_end = 0;
	c->pages = pages;
	c->loop = loop;
	c->events = events;
	c->owner = owner;
	c->bytes_in = c->bytes_out = 0;
	c->read_ms = c->wrote_ms = loop_now_ms(loop);
	deferred_init(&c->flush, on_flush, c);
	deferred_init(&c->again, on_again, c);
}

static void
drop_input(struct conn *c)
{
	if (c->in != NULL)
		page_unref(&c->in);
	c->in_start = c->in_end = 0;
}

/* The connection is dead, or what it said is: told at once. */
static void
end_of_conn(struct conn *c, enum conn_end why)
{
	c->readable = false;
	c->blocked = true;
	if (!c->is_closed)
		c->events->on_end(c, why);
}

/* The end of the peer's direction, in its turn: after all that came before it has been fed. */
static void
tell_eof(struct conn *c)
{
	if (!c->in_eof || c->eof_told || c->blocked || c->is_closed)
		return;
	c->eof_told = true;
	if (c->codec->ops->feed_eof(c->codec) == CODEC_ERROR)
		end_of_conn(c, CONN_END_CODEC);
	else if (!c->is_closed)
		c->events->on_end(c, CONN_END_EOF);
}

static void
see_eof(struct conn *c)
{
	c->readable = false;
	c->in_eof = true;
	if (c->events->on_eof_seen != NULL)
		c->events->on_eof_seen(c);
}

/*
 * Makes room to read into. A page that is used up by spans still in flight is left to them; a
 * part of a head moves to a fresh or larger page, since heads must lie in one piece.
 */
static bool
make_room(struct conn *c)
{
	uint32_t left = c->in_end - c->in_start;
	size_t want = c->bulk > 0 ? PAGE_BIG_BYTES : PAGE_BYTES;
	struct page *p;

	if (c->in != NULL && left == 0 && c->in->refs == 1 && c->in->cap >= want) {
		c->in_start = c->in_end = 0;	/* nobody else holds it: start over */
		return (true);
	}
	if (c->in != NULL && c->in_end < c->in->cap && left > 0)
		return (true);
	if (c->in != NULL && left == 0 && c->in->cap - c->in_end >= CONN_LEAST_ROOM && c->bulk == 0)
		return (true);
	if (left > 0 && left >= want)
		want = c->codec->ops->head_room(c->codec);
	if (left > 0 && left >= want)
		return (false);		/* the codec will have refused it before; never spin */
	p = want <= PAGE_BYTES ? page_get(c->pages) : page_get_large(c->pages, want);
	if (p == NULL)
		return (false);
	if (left > 0)
		memcpy(p->data, c->in->data + c->in_start, left);
	if (c->in != NULL)
		page_unref(&c->in);
	c->in = p;
	c->in_start = 0;
	c->in_end = left;
	return (true);
}

/* Feeds the codec what is in the page. False: stop reading for now. */
static bool
feed(struct conn *c)
{
	must(!c->in_feed);
	c->in_feed = true;
	while (c->in_start < c->in_end && !c->blocked && !c->is_closed) {
		size_t used = 0;
		enum codec_rc rc;

		rc = c->codec->ops->feed(c->codec, c->in, c->in->data + c->in_start,
		    c->in_end - c->in_start, &used);
		if (c->is_closed)
			break;
		c->in_start += (uint32_t)used;
		if (rc == CODEC_BLOCKED)
			c->blocked = true;
		if (rc == CODEC_ERROR) {
			c->in_feed = false;
			drop_input(c);
			end_of_conn(c, CONN_END_CODEC);
			return (false);
		}
		if (rc == CODEC_MORE && used == 0)
			break;		/* part of a head: keep it */
	}
	c->in_feed = false;
	if (c->is_closed && c->in != NULL)
		drop_input(c);		/* conn_close left it to us */
	return (!c->blocked && !c->is_closed);
}

/* One system call. False: nothing more for now, or the end. */
static bool
read_once(struct conn *c)
{
	struct iovec v;
	enum io_rc rc;
	size_t n = 0;

	if (!make_room(c)) {
		end_of_conn(c, CONN_END_NO_MEMORY);
		return (false);
	}
	v.iov_base = c->in->data + c->in_end;
	v.iov_len = c->in->cap - c->in_end;
	rc = transport_read(&c->t, &v, 1, &n);
	switch (rc) {
	case IO_OK:
		c->in_end += (uint32_t)n;
		c->bytes_in += n;
		c->read_ms = loop_now_ms(c->loop);
		/* Short and no FIN seen: the kernel has no more, its next bytes make a new edge. */
		if (n < v.iov_len && !c->closed_seen)
			c->readable = false;
		if (n == v.iov_len || n > PAGE_BYTES)
			c->bulk = CONN_BULK_READS;
		else if (c->bulk > 0)
			c->bulk--;
		return (true);
	case IO_AGAIN:
		c->readable = false;
		return (false);
	case IO_EOF:
		see_eof(c);
		return (false);
	case IO_RESET:
		end_of_conn(c, CONN_END_RESET);
		return (false);
	}
	never("io_rc");
}

/* An idle connection holds no page. */
static void
release_if_empty(struct conn *c)
{
	if (c->in != NULL && c->in_start == c->in_end)
		drop_input(c);
}

static void
conn_read(struct conn *c)
{
	unsigned budget = CONN_READS_A_TURN;

	if (c->is_closed)
		return;
	if (c->in_start < c->in_end && !c->blocked)
		(void)feed(c);
	while (c->readable && !c->blocked && !c->is_closed) {
		if (budget-- == 0) {
			loop_defer(c->loop, &c->again);
			return;
		}
		if (!read_once(c))
			break;
		(void)feed(c);
	}
	tell_eof(c);
	if (!c->is_closed)
		release_if_empty(c);
}

/*
 * Something came while nothing is taken (a response is awaited, a pipe is full): perhaps the end
 * or a reset, which libevent reports as plain readiness. Read on as far as the page has room, to
 * learn it: the owner can then cancel what runs for a peer that has gone.
 */
static void
look_for_end(struct conn *c)
{
	while (c->readable && !c->is_closed && !c->in_eof) {
		if (c->in != NULL && c->in_end == c->in->cap)
			return;
		if (!read_once(c))
			break;
	}
	if (!c->is_closed)
		release_if_empty(c);
}

void
conn_on_io(void *arg, unsigned what)
{
	struct conn *c;

	CAST_OBJ(c, arg, CONN_MAGIC);
	if (what & IO_WRITE && !c->writable) {
		c->writable = true;
		conn_want_flush(c);
	}
	if (what & IO_CLOSED)
		c->closed_seen = true;
	if (what & (IO_READ | IO_CLOSED))
		c->readable = true;
	if (!c->readable)
		return;
	if (!c->blocked)
		conn_read(c);
	else
		look_for_end(c);
}

void
conn_want_flush(struct conn *c)
{
	if (!c->is_closed && c->writable)
		loop_defer(c->loop, &c->flush);
}

static void
all_taken(struct conn *c)
{
	if (c->events->on_flushed != NULL)
		c->events->on_flushed(c);
}

void
conn_flush(struct conn *c)
{
	struct iovec v[CONN_PIECES];

	while (c->writable && !c->is_closed) {
		size_t total = 0, done = 0;
		enum io_rc rc;
		unsigned n;

		n = c->codec->ops->gather(c->codec, v, CONN_PIECES);
		if (n == 0) {
			all_taken(c);
			return;
		}
		for (unsigned i = 0; i < n; i++)
			total += v[i].iov_len;
		rc = transport_write(&c->t, v, n, &done);
		if (rc == IO_RESET || rc == IO_EOF) {
			c->writable = false;
			end_of_conn(c, CONN_END_RESET);
			return;
		}
		if (done < total)
			c->writable = false;	/* its next room makes a new edge */
		if (done > 0) {
			c->bytes_out += done;
			c->wrote_ms = loop_now_ms(c->loop);
			if (!c->codec->ops->wrote(c->codec, done) && !c->is_closed) {
				all_taken(c);
				return;
			}
		}
	}
	if (!c->is_closed && c->events->on_stalled != NULL)
		c->events->on_stalled(c);
}

void
conn_resume(struct conn *c)
{
	if (c->is_closed || !c->blocked)
		return;
	c->blocked = false;
	if (c->in_start < c->in_end || c->readable || c->in_eof)
		loop_defer(c->loop, &c->again);
}

void
conn_try_read(struct conn *c)
{
	must(!c->is_closed);
	c->readable = true;
	loop_defer(c->loop, &c->again);
}

void
conn_close(struct conn *c, enum close_how how)
{
	if (c->is_closed)
		return;
	c->is_closed = true;
	deferred_cancel(&c->flush);
	deferred_cancel(&c->again);
	if (c->in != NULL && !c->in_feed)
		drop_input(c);
	c->t.ops->close(&c->t, how);
}
