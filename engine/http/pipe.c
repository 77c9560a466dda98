/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/http/pipe.h"

#include <stddef.h>
#include <string.h>

#include "engine/base/check.h"

_Static_assert((PIPE_SPANS & (PIPE_SPANS - 1)) == 0, "the ring is indexed by a mask");

static inline struct span *
at(struct pipe *p, unsigned i)
{
	return (&p->v[(p->head + i) & (PIPE_SPANS - 1)]);
}

static void
wake(bool *waits, pipe_wake_fn *fn, void *arg)
{
	if (!*waits)
		return;
	*waits = false;
	if (fn != NULL)
		fn(arg);
}

void
pipe_init(struct pipe *p, uint32_t low, uint32_t high)
{
	must(low <= high && high > 0);
	memset(p, 0, offsetof(struct pipe, v));
	p->tap = NULL;
	p->magic = PIPE_MAGIC;
	p->low = low;
	p->high = high;
}

static void
drop_kept(struct pipe *p)
{
	struct pipe_kept *k = p->kept;

	for (; k->at < k->n; k->at++) {
		if (k->v[k->at].page != NULL)
			page_unref(&k->v[k->at].page);
	}
	p->kept = NULL;
}

static void
drop_all(struct pipe *p)
{
	if (p->kept != NULL)
		drop_kept(p);
	for (; p->n > 0; p->n--) {
		if (at(p, 0)->page != NULL)
			page_unref(&at(p, 0)->page);
		p->head = (uint8_t)((p->head + 1) & (PIPE_SPANS - 1));
	}
	p->queued = 0;
}

void
pipe_fini(struct pipe *p)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	drop_all(p);
	p->source_wake = NULL;
	p->sink_wake = NULL;
	p->tap = NULL;
	p->source_waits = false;
	p->sink_waits = false;
}

void
pipe_set_source(struct pipe *p, pipe_wake_fn *fn, void *arg)
{
	p->source_wake = fn;
	p->source = arg;
}

void
pipe_set_sink(struct pipe *p, pipe_wake_fn *fn, void *arg)
{
	p->sink_wake = fn;
	p->sink = arg;
}

void
pipe_set_tap(struct pipe *p, pipe_tap_fn *fn, void *arg)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	p->tap = fn;
	p->tap_arg = arg;
}

/* Apart, and rare: a pipe without a tap saves no registers for it. */
static CC_COLD void
show(const struct pipe *p, const struct span *s)
{
	p->tap(p->tap_arg, p, s);
}

static bool
is_full(const struct pipe *p)
{
	return (p->queued >= p->high || p->n == PIPE_SPANS);
}

bool
pipe_put(struct pipe *p, struct span s)
{
	struct span *last = p->n > 0 ? at(p, p->n - 1u) : NULL;

	CHECK_OBJ(p, PIPE_MAGIC);
	must(p->end != PIPE_END);
	if (s.len == 0 || p->end == PIPE_BROKEN) {
		if (s.page != NULL)
			page_unref(&s.page);
		return (pipe_has_room(p));
	}
	if (unlikely(p->tap != NULL))
		show(p, &s);
	p->queued += s.len;
	p->total += s.len;
	if (last != NULL && last->page == s.page && last->p + last->len == s.p) {
		last->len += s.len;
		if (s.page != NULL)
			page_unref(&s.page);
	} else {
		must(p->n < PIPE_SPANS);
		p->n++;
		*at(p, p->n - 1u) = s;
	}
	wake(&p->sink_waits, p->sink_wake, p->sink);
	return (pipe_has_room(p));
}

bool
pipe_has_room(struct pipe *p)
{
	if (!is_full(p))
		return (true);
	p->source_waits = true;
	return (false);
}

void
pipe_put_end(struct pipe *p, struct headers *trailers)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	if (p->end != PIPE_OPEN)
		return;
	p->end = PIPE_END;
	p->trailers = trailers;
	if (unlikely(p->tap != NULL))
		show(p, NULL);
	wake(&p->sink_waits, p->sink_wake, p->sink);
}

void
pipe_break(struct pipe *p)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	if (p->end != PIPE_OPEN)
		return;
	p->end = PIPE_BROKEN;
	if (unlikely(p->tap != NULL))
		show(p, NULL);
	wake(&p->sink_waits, p->sink_wake, p->sink);
}

unsigned
pipe_peek(const struct pipe *p, struct span *v, unsigned cap)
{
	unsigned back = 0, n;

	if (unlikely(p->kept != NULL) && p->kept->is_back) {
		for (unsigned i = p->kept->at; i < p->kept->n && back < cap; i++)
			v[back++] = p->kept->v[i];
		v += back;
		cap -= back;
	}
	n = p->n < cap ? p->n : cap;
	for (unsigned i = 0; i < n; i++)
		v[i] = p->v[(p->head + i) & (PIPE_SPANS - 1)];
	return (back + n);
}

/* A reference of its own for one span that is about to be consumed. False: no room. */
static bool
keep_span(struct pipe_kept *k, struct span s)
{
	struct span *last = k->n > 0 ? &k->v[k->n - 1] : NULL;

	if (last != NULL && last->page == s.page && last->p + last->len == s.p) {
		last->len += s.len;
		return (true);
	}
	if (k->n == PIPE_KEPT)
		return (false);
	if (s.page != NULL)
		(void)page_ref(s.page);
	k->v[k->n++] = s;
	return (true);
}

/* The first n bytes of the ring are about to be consumed. */
static void
keep_front(struct pipe *p, uint32_t n)
{
	struct pipe_kept *k = p->kept;

	if (n > PIPE_KEPT_BYTES - k->bytes) {
		drop_kept(p);
		return;
	}
	k->bytes += n;
	for (unsigned i = 0; n > 0; i++) {
		struct span s = *at(p, i);

		if (s.len > n)
			s.len = n;
		n -= s.len;
		if (!keep_span(k, s)) {
			drop_kept(p);
			return;
		}
	}
}

/* Of what is back in front; returns how many of the n bytes are left to take from the ring. */
static uint32_t
consume_back(struct pipe *p, uint32_t n)
{
	struct pipe_kept *k = p->kept;

	for (; n > 0 && k->at < k->n; k->at++) {
		struct span *s = &k->v[k->at];

		if (n < s->len) {
			s->p += n;
			s->len -= n;
			return (0);
		}
		n -= s->len;
		if (s->page != NULL)
			page_unref(&s->page);
	}
	if (k->at == k->n)
		p->kept = NULL;
	return (n);
}

void
pipe_consume(struct pipe *p, uint32_t n)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	must(n <= p->queued);
	p->queued -= n;
	if (unlikely(p->kept != NULL)) {
		if (p->kept->is_back)
			n = consume_back(p, n);
		else
			keep_front(p, n);
	}
	while (n > 0) {
		struct span *s = at(p, 0);

		if (n < s->len) {
			s->p += n;
			s->len -= n;
			break;
		}
		n -= s->len;
		if (s->page != NULL)
			page_unref(&s->page);
		p->head = (uint8_t)((p->head + 1) & (PIPE_SPANS - 1));
		p->n--;
	}
	if (p->queued <= p->low && p->n < PIPE_SPANS)
		wake(&p->source_waits, p->source_wake, p->source);
}

void
pipe_wait(struct pipe *p)
{
	p->sink_waits = true;
}

void
pipe_keep(struct pipe *p, struct pipe_kept *room)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	must(p->kept == NULL);
	room->bytes = 0;
	room->at = room->n = 0;
	room->is_back = false;
	p->kept = room;
}

bool
pipe_rewind(struct pipe *p)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	if (!pipe_is_kept(p))
		return (false);
	if (p->kept->n == 0) {
		p->kept = NULL;
		return (true);
	}
	p->kept->is_back = true;
	p->queued += p->kept->bytes;
	return (true);
}

void
pipe_drop_kept(struct pipe *p)
{
	CHECK_OBJ(p, PIPE_MAGIC);
	if (pipe_is_kept(p))
		drop_kept(p);
}
