/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "engine/base/check.h"
#include "engine/proxy/chain_int.h"
#include "engine/proxy/exchange.h"
#include "engine/proxy/gate.h"
#include "engine/proxy/registry.h"

enum {
	/* resumptions of one exchange: more is a filter that runs in a circle */
	CHAIN_ACTIVATIONS_MAX = 1000,
	CHAIN_ALIGN = 16
};

/* ---- building ---- */

static bool
has_phase(const struct filter_ops *ops, enum chain_phase phase)
{
	switch (phase) {
	case CHAIN_REQ_HEADERS:
		return (ops->on_req_headers != NULL);
	case CHAIN_REQ_BODY:
		return (ops->on_req_body != NULL);
	case CHAIN_RESP_HEADERS:
		return (ops->on_resp_headers != NULL);
	case CHAIN_RESP_BODY:
		return (ops->on_resp_body != NULL);
	case CHAIN_LOG:
		return (ops->on_log != NULL);
	case CHAIN__MAX:
		break;
	}
	never("chain_phase");
}

static size_t
align_up(size_t n)
{
	return ((n + CHAIN_ALIGN - 1) & ~(size_t)(CHAIN_ALIGN - 1));
}

/* A stable insertion sort: a handful of filters. */
static void
sort_by_rank(struct chain_link *v, const uint16_t *rank, unsigned n)
{
	for (unsigned i = 1; i < n; i++) {
		struct chain_link l = v[i];
		unsigned j = i;

		for (; j > 0 && rank[v[j - 1].call] > rank[l.call]; j--)
			v[j] = v[j - 1];
		v[j] = l;
	}
}

const struct chain *
chain_build(struct arena *arena, const struct chain_item *items, unsigned n)
{
	struct chain *c = arena_znew(arena, struct chain);
	struct chain_link all[REGISTRY_FILTERS_MAX];
	uint16_t rank[REGISTRY_FILTERS_MAX];
	size_t at;

	must(n <= REGISTRY_FILTERS_MAX);
	c->magic = CHAIN_MAGIC;
	for (unsigned i = 0; i < n; i++) {
		if (items[i].conf == NULL)
			continue;
		all[c->n_calls] = (struct chain_link){ .ops = items[i].ops, .conf = items[i].conf,
			.call = c->n_calls, .filter = items[i].filter };
		c->answers_preflight |= items[i].ops->answers_preflight;
		rank[c->n_calls++] = items[i].resp_rank;
	}
	at = align_up(c->n_calls * sizeof(struct filter_call));
	for (unsigned i = 0; i < c->n_calls; i++) {
		all[i].ctx_off = (uint32_t)at;
		at += align_up(all[i].ops->ctx_size);
	}
	c->bytes = (uint32_t)at;
	for (enum chain_phase p = 0; p < CHAIN__MAX; p++) {
		struct chain_link *v;
		unsigned n_links = 0;

		for (unsigned i = 0; i < c->n_calls; i++)
			n_links += has_phase(all[i].ops, p);
		v = arena_zarray(arena, n_links, sizeof *v);
		for (unsigned i = 0; i < c->n_calls; i++) {
			if (has_phase(all[i].ops, p))
				v[c->phase[p].n++] = all[i];
		}
		if (p == CHAIN_RESP_HEADERS || p == CHAIN_RESP_BODY)
			sort_by_rank(v, rank, c->phase[p].n);
		c->phase[p].v = v;
	}
	return (c);
}

/* ---- waiting ---- */

static void
wake(struct chain_run *run, const struct chain_wait *wait)
{
	if (wait->pump != NULL)
		loop_defer(run->ex->worker->loop, wait->pump);
	else
		exchange_wake(run->ex);
}

/* The service is done. Only marks: the filter runs when its exchange, or its body, does. */
static void
on_done(struct pending *p, struct err *err)
{
	struct filter_call *fc;

	CAST_OBJ(fc, p->waiter, FILTER_CALL_MAGIC);
	fc->pending_err = err;
	if (fc->wait != NULL)
		wake(&fc->ex->chain, fc->wait);
	else
		fc->done_unseen = true;
}

static void
on_timeout(void *arg)
{
	struct chain_wait *wait = arg;
	struct filter_call *fc = wait->fc;

	CHECK_OBJ(fc, FILTER_CALL_MAGIC);
	if (!pending_is_armed(&fc->pending))
		return;		/* done already, its wake is on the way */
	pending_cancel(&fc->pending);
	fc->timed_out = true;
	wake(&fc->ex->chain, wait);
}

static void
wait_begin(struct chain_wait *wait, struct filter_call *fc)
{
	wait->fc = fc;
	fc->wait = wait;
	if (fc->ops->timeout_ms == 0)
		return;
	timer_init(&wait->timer, on_timeout, wait);
	timer_set(fc->worker->loop, &wait->timer,
	    loop_now_ms(fc->worker->loop) + fc->ops->timeout_ms);
}

void
chain_wait_end(struct chain_run *run, struct chain_wait *wait)
{
	if (wait->fc->ops->timeout_ms != 0)
		timer_clear(&wait->timer);
	wait->fc->wait = NULL;
	wait->fc = NULL;
	/* A filter has one operation: its other phases stood behind this one. */
	if (run->body[CHAIN_REQ] == NULL && run->body[CHAIN_RESP] == NULL)
		return;
	if (wait->pump != NULL)
		exchange_wake(run->ex);
	for (unsigned i = 0; i < CHAIN_DIRS; i++) {
		if (run->body[i] != NULL)
			chain_body_kick(run->body[i]);
	}
}

/* ---- running ---- */

/* Filled when its filter first runs, so that a request pays for those only. */
struct filter_call *
chain_call(struct chain_run *run, const struct chain_link *l)
{
	struct filter_call *fc = &run->calls[l->call];
	struct exchange *ex;

	if (fc->magic != 0)
		return (fc);
	ex = run->ex;
	fc->magic = FILTER_CALL_MAGIC;
	fc->ops = l->ops;
	fc->conf = l->conf;
	fc->ctx = (char *)run->calls + l->ctx_off;
	fc->worker = ex->worker;
	fc->worker_state = proxy_of(ex->worker)->filter_state[l->filter];
	fc->ex = ex;
	fc->arena = &ex->arena;
	pending_init(&fc->pending, on_done, fc);
	return (fc);
}

bool
chain_begin(struct chain_run *run, const struct chain *chain, struct exchange *ex)
{
	CHECK_OBJ(chain, CHAIN_MAGIC);
	if (chain->n_calls == 0)
		return (true);
	run->calls = arena_zalloc(&ex->arena, chain->bytes);
	if (run->calls == NULL)
		return (false);
	run->chain = chain;
	run->ex = ex;
	return (true);
}

static enum filter_verdict
call_filter(struct filter_call *fc, enum chain_phase phase, void *what)
{
	switch (phase) {
	case CHAIN_REQ_HEADERS:
		return (fc->ops->on_req_headers(fc, what));
	case CHAIN_REQ_BODY:
		return (fc->ops->on_req_body(fc, what));
	case CHAIN_RESP_HEADERS:
		return (fc->ops->on_resp_headers(fc, what));
	case CHAIN_RESP_BODY:
		return (fc->ops->on_resp_body(fc, what));
	case CHAIN_LOG:
	case CHAIN__MAX:
		break;
	}
	never("chain_phase");
}

static enum filter_verdict
fault(struct chain_run *run, struct filter_call *fc, enum reason otherwise)
{
	if (run->reason == REASON_NONE)
		run->reason = otherwise;
	fc->failed = true;
	return (FILTER_FAULT);
}

/* What becomes of the verdict. *again_r: it waits for what is done already. */
static enum filter_verdict
settle(struct chain_run *run, struct filter_call *fc, enum filter_verdict verdict,
    struct chain_wait *wait, bool *again_r)
{
	*again_r = false;
	switch (verdict) {
	case FILTER_NEXT:
		return (FILTER_NEXT);
	case FILTER_WAIT:
		if (fc->timed_out)
			return (fault(run, fc, REASON_FILTER_TIMEOUT));
		if (pending_is_armed(&fc->pending)) {
			wait_begin(wait, fc);
			return (FILTER_WAIT);
		}
		/* It was done before the service's call returned. */
		*again_r = fc->done_unseen;
		if (surprise(!fc->done_unseen))
			return (fault(run, fc, REASON_INTERNAL_ERROR));
		return (FILTER_WAIT);
	case FILTER_REPLY:
		if (run->replied)
			return (FILTER_REPLY);
		/* No memory for it, too late, or never made. */
		(void)surprise(run->reason == REASON_NONE);
		return (fault(run, fc, REASON_INTERNAL_ERROR));
	case FILTER_FAULT:
		return (fault(run, fc, fc->timed_out ? REASON_FILTER_TIMEOUT :
		    REASON_INTERNAL_ERROR));
	}
	never("filter_verdict");
}

/* One filter, until it has said something that is not "done already". */
static enum filter_verdict
run_filter(struct chain_run *run, struct filter_call *fc, enum chain_phase phase, void *what,
    struct chain_wait *wait, bool resumed)
{
	enum filter_verdict verdict;
	bool again;

	if (!resumed) {
		fc->timed_out = false;
		if (!fc->done_unseen)
			fc->pending_err = NULL;
	}
	do {
		if (resumed && ++run->activations > CHAIN_ACTIVATIONS_MAX) {
			(void)surprise(run->activations > CHAIN_ACTIVATIONS_MAX);
			return (fault(run, fc, REASON_INTERNAL_ERROR));
		}
		fc->woken = resumed;
		if (resumed)
			fc->done_unseen = false;
		run->replied = false;
		run->reason = REASON_NONE;
		verdict = settle(run, fc, call_filter(fc, phase, what), wait, &again);
		resumed = true;
	} while (again);
	return (verdict);
}

enum filter_verdict
chain_activate(struct chain_run *run, const struct chain_link *l, enum chain_phase phase,
    void *what, struct chain_wait *wait)
{
	struct filter_call *fc = chain_call(run, l);
	bool resumed = false;

	if (fc->wait != NULL) {
		/* Woken for something else, or it waits in another phase. */
		if (fc->wait != wait || pending_is_armed(&fc->pending))
			return (FILTER_WAIT);
		chain_wait_end(run, wait);
		resumed = true;
	}
	return (fc->failed ? FILTER_NEXT : run_filter(run, fc, phase, what, wait, resumed));
}

static enum filter_verdict
run_phase(struct chain_run *run, enum chain_phase phase, void *what)
{
	const struct chain_link *v = run->chain->phase[phase].v;
	unsigned n = run->chain->phase[phase].n;

	if (run->phase != phase) {
		run->phase = (uint8_t)phase;
		run->cursor = 0;
	}
	while (run->cursor < n) {
		enum filter_verdict verdict =
		    chain_activate(run, &v[run->cursor], phase, what, &run->wait);

		if (verdict == FILTER_WAIT)
			return (FILTER_WAIT);
		run->cursor++;
		if (verdict != FILTER_NEXT)
			return (verdict);
	}
	return (FILTER_NEXT);
}

enum filter_verdict
chain_req_headers(struct chain_run *run, struct msg_req *req)
{
	enum filter_verdict verdict;

	if (run->chain == NULL)
		return (FILTER_NEXT);
	verdict = run_phase(run, CHAIN_REQ_HEADERS, req);
	if (verdict == FILTER_NEXT && unlikely(run->watch[CHAIN_REQ]))
		return (chain_body_start(run, CHAIN_REQ));
	return (verdict);
}

enum filter_verdict
chain_resp_headers(struct chain_run *run, struct msg_resp *resp)
{
	enum filter_verdict verdict;

	if (run->chain == NULL)
		return (FILTER_NEXT);
	verdict = run_phase(run, CHAIN_RESP_HEADERS, resp);
	if (verdict == FILTER_NEXT && unlikely(run->watch[CHAIN_RESP]))
		return (chain_body_start(run, CHAIN_RESP));
	return (verdict);
}

void
chain_log(struct chain_run *run, const struct facts *facts)
{
	if (run->chain == NULL)
		return;
	for (unsigned i = 0; i < run->chain->phase[CHAIN_LOG].n; i++) {
		struct filter_call *fc = chain_call(run, &run->chain->phase[CHAIN_LOG].v[i]);

		fc->ops->on_log(fc, facts);
	}
}

void
chain_forget_response(struct chain_run *run)
{
	if (!run->watch[CHAIN_RESP])
		return;
	chain_body_drop(&run->body[CHAIN_RESP]);
	run->watch[CHAIN_RESP] = run->whole[CHAIN_RESP] = false;
	for (unsigned i = 0; i < run->chain->n_calls; i++)
		run->calls[i].watch_resp = false;
}

void
chain_end(struct chain_run *run)
{
	if (run->chain == NULL)
		return;
	run->phase = CHAIN__MAX;
	for (unsigned i = 0; i < run->chain->n_calls; i++) {
		struct filter_call *fc = &run->calls[i];
		bool waits = fc->magic != 0 && fc->wait != NULL;

		if (fc->magic != 0)
			pending_cancel(&fc->pending);
		if (waits)
			chain_wait_end(run, fc->wait);
		if (waits && fc->ops->on_gone != NULL)
			fc->ops->on_gone(fc);
	}
	run->watch[CHAIN_REQ] = false;
	chain_body_drop(&run->body[CHAIN_REQ]);
	chain_forget_response(run);
}
