/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/loop/mailbox.h"
#include "engine/loop/resolve.h"
#include "engine/loop/timer.h"
#include "engine/mem/alloc.h"
#include "engine/mem/map.h"
#include "engine/upstream/names.h"
#include "engine/upstream/names_set.h"
#include "engine/upstream/pool.h"
#include "engine/upstream/upstream.h"
#include "engine/upstream/upstream_conf.h"

/*
 * A host is one name, whoever uses it; a watch is one upstream that has names, and it uses hosts.
 *
 *	host: asked -> (answer) -> holds its time to live -> asked ...
 *	watch: prepared (its part is not published: results replace first_set)
 *	       -> in force (results go to the workers by mail) -> dropped
 *
 * A mail holds a reference of the part and of the endset. The worker sends it back, so that all
 * counts fall, and parts go, on the main thread. A worker that still gets one for an upstream holds
 * a generation that has it: the mail was posted before the one that publishes its successor.
 */

enum {
	NAMES_TTL_LEAST_S = 1,
	/* Names that move should be followed within minutes, whatever their zone says. */
	NAMES_TTL_MOST_S = 300,
	NAMES_JITTER_PERCENT = 10,
	/* After a failure: doubled with each, up to the second. */
	NAMES_RETRY_MS = 1000,
	NAMES_RETRY_MOST_MS = 30000,
	NAMES_READY_MS = 5000
};

struct host_use {
	struct list		 link;	/* in host.uses */
	struct names_watch	*watch;
	struct names_host	*host;
};

/* One for each upstream with names. */
struct names_watch {
	unsigned		 magic;
#define NAMES_WATCH_MAGIC	0x5b3ce811
	bool			 in_force;
	bool			 is_next;	/* it is among the prepared */
	bool			 is_stale;	/* workers lack the last result: memory was short */
	struct list		 link;		/* in names.watches */
	struct upstream		*u;		/* holds a reference of the part */
	struct upstream_names	*names;
	unsigned		 n_uses;
	struct host_use		 uses[];	/* of the named servers, in the file's order */
};

struct names_mail {
	struct mail		 mail;
	struct list		 link;		/* in names.mails, until it comes back */
	struct upstream_names	*names;
	struct worker		*worker;
	struct upstream		*u;
	struct endset		*set;
	bool			 failed;
};

struct upstream_names {
	unsigned		 magic;
#define UPSTREAM_NAMES_MAGIC	0x20b95d3c
	struct worker		*main;
	struct worker *const	*workers;
	unsigned		 n_workers;
	struct resolver		*resolver;	/* made with the first name */
	struct map		 hosts;		/* struct names_host by name */
	struct list		 watches;
	struct list		 mails;
	bool			 is_preparing;
	bool			 is_waiting;	/* `ready` has not been called yet */
	upstream_names_ready_fn	*ready;
	void			*ready_arg;
	struct deferred		 ready_soon;
	struct timer		 ready_late;
};

/* ---- results to those who use them ---- */

static void
free_mail(struct names_mail *m)
{
	struct part *part = &m->u->part;

	list_del(&m->link);
	endset_unref(&m->set);
	part_unref(&part);
	xfree(m);
}

static void
on_mail_back(struct mail *mail)
{
	struct names_mail *m = container_of(mail, struct names_mail, mail);

	if (m->failed && m->u->watch != NULL)
		m->u->watch->is_stale = true;
	free_mail(m);
}

/* Worker thread. */
static void
on_mail(struct mail *mail)
{
	struct names_mail *m = container_of(mail, struct names_mail, mail);
	struct up_local *local = pool_local(m->worker, m->u);

	m->failed = local == NULL || !pool_swap(local, m->set);
	mail_init(&m->mail, on_mail_back);
	mailbox_post(m->names->main->loop, &m->mail);
}

static void
post(struct names_watch *w, struct endset *set, struct worker *to)
{
	struct names_mail *m = mem_try_calloc(1, sizeof *m);

	if (m == NULL) {
		w->is_stale = true;
		return;
	}
	m->names = w->names;
	m->worker = to;
	m->u = w->u;
	m->set = endset_ref(set);
	(void)part_ref(&w->u->part);
	list_init(&m->link);
	list_add_tail(&w->names->mails, &m->link);
	mail_init(&m->mail, on_mail);
	mailbox_post(to->loop, &m->mail);
}

static struct names_host *
host_of(void *arg, unsigned i)
{
	struct names_watch *w = arg;

	return (w->uses[i].host);
}

static void
refresh(struct names_watch *w)
{
	struct endset *set = names_set_build(w->u->conf, host_of, w);

	w->is_stale = set == NULL;
	if (set == NULL)
		return;
	for (unsigned i = 0; w->in_force && i < w->names->n_workers; i++)
		post(w, set, w->names->workers[i]);
	/* Workers that are yet to see the part begin with it. Those that have seen it may be
	   reading the first one: it stays. */
	if (!w->in_force) {
		endset_unref(&w->u->first_set);
		w->u->first_set = endset_ref(set);
	}
	endset_unref(&set);
}

struct endset *
upstream_names_now(struct upstream *u)
{
	return (u->watch == NULL ? endset_ref(u->first_set) :
	    names_set_build(u->conf, host_of, u->watch));
}

/* ---- hosts ---- */

static void
check_ready(struct upstream_names *n)
{
	struct names_watch *w;

	if (!n->is_waiting)
		return;
	LIST_FOREACH(w, &n->watches, struct names_watch, link) {
		for (unsigned i = 0; w->is_next && i < w->n_uses; i++) {
			if (!w->uses[i].host->answered)
				return;
		}
	}
	loop_defer(n->main->loop, &n->ready_soon);
}

static void
tell_failure(struct names_host *h, enum resolve_rc rc)
{
	const char *why = rc == RESOLVE_NOT_FOUND ? "there is no such name" :
	    rc == RESOLVE_TIMEOUT ? "no answer in time" : "the answer is of no use";

	if (h->failures == 1)
		log_warn("cannot resolve " SLICE_FMT ": %s%s", SLICE_ARG(h->name), why,
		    h->n > 0 ? "; its last addresses stay in use" : "");
}

/* When it is to be asked again. */
static uint64_t
next_ms(const struct names_host *h, uint32_t ttl_s)
{
	uint64_t ms;

	if (h->failures > 0) {
		unsigned shift = h->failures < 8 ? h->failures - 1 : 8;

		ms = (uint64_t)NAMES_RETRY_MS << shift;
		return (ms < NAMES_RETRY_MOST_MS ? ms : NAMES_RETRY_MOST_MS);
	}
	ttl_s = ttl_s < NAMES_TTL_LEAST_S ? NAMES_TTL_LEAST_S : ttl_s;
	return ((ttl_s < NAMES_TTL_MOST_S ? ttl_s : (uint64_t)NAMES_TTL_MOST_S) * 1000);
}

static void
on_resolved(struct resolve_call *call, const struct addr *addrs, unsigned n_addrs, uint32_t ttl_s,
    enum resolve_rc rc)
{
	struct names_host *h = container_of(call, struct names_host, call);
	struct upstream_names *n = h->names;
	struct host_use *use;
	uint64_t ms;
	bool changed = false;

	CHECK_OBJ(h, NAMES_HOST_MAGIC);
	if (rc == RESOLVE_OK) {
		if (h->failures > 0 && h->answered)
			log_info("resolved " SLICE_FMT " again", SLICE_ARG(h->name));
		h->failures = 0;
		changed = names_host_take(h, addrs, n_addrs);
	} else {
		h->failures++;
		tell_failure(h, rc);
	}
	h->answered = true;
	ms = next_ms(h, ttl_s);
	ms += rnd_below(&n->main->rnd, ms * NAMES_JITTER_PERCENT / 100 + 1);
	timer_set(n->main->loop, &h->timer, loop_now_ms(n->main->loop) + ms);
	LIST_FOREACH(use, &h->uses, struct host_use, link) {
		if (changed || use->watch->is_stale)
			refresh(use->watch);
	}
	check_ready(n);
}

static void
ask(struct names_host *h)
{
	resolve_start(h->names->resolver, &h->call, h->name, 0, on_resolved);
}

static void
on_ttl(void *arg)
{
	struct names_host *h;

	CAST_OBJ(h, arg, NAMES_HOST_MAGIC);
	ask(h);
}

static void
host_free(struct names_host *h)
{
	(void)map_del(&h->names->hosts, h->name);
	resolve_cancel(&h->call);
	timer_clear(&h->timer);
	xfree(h->addrs);
	h->magic = 0;
	xfree(h);
}

static struct names_host *
host_get(struct upstream_names *n, struct slice name)
{
	struct names_host *h = map_get(&n->hosts, name);

	if (h != NULL)
		return (h);
	h = xcalloc(1, sizeof *h + name.len);
	h->magic = NAMES_HOST_MAGIC;
	h->names = n;
	h->name = slice_of(memcpy(h + 1, name.p, name.len), name.len);
	list_init(&h->uses);
	timer_init(&h->timer, on_ttl, h);
	resolve_call_init(&h->call);
	return (h);
}

/* ---- watches ---- */

static void
watch_free(struct names_watch *w)
{
	struct part *part = &w->u->part;

	for (unsigned i = 0; i < w->n_uses; i++) {
		struct names_host *h = w->uses[i].host;

		list_del(&w->uses[i].link);
		if (list_is_empty(&h->uses))
			host_free(h);
	}
	list_del(&w->link);
	w->u->watch = NULL;
	w->magic = 0;
	xfree(w);
	part_unref(&part);
}

/* In the trap of the caller: after each step all stands so that watch_free undoes it. */
static void
watch_new(struct upstream_names *n, struct upstream *u)
{
	struct names_watch *w = xcalloc(1, sizeof *w + u->conf->n_servers * sizeof w->uses[0]);

	w->magic = NAMES_WATCH_MAGIC;
	w->names = n;
	w->u = u;
	w->is_next = true;
	(void)part_ref(&u->part);
	u->watch = w;
	list_init(&w->link);
	list_add_tail(&n->watches, &w->link);
	for (unsigned i = 0; i < u->conf->n_servers; i++) {
		const struct upstream_server *s = &u->conf->servers[i];
		struct host_use *use = &w->uses[w->n_uses];
		struct names_host *h;

		if (s->name.len == 0)
			continue;
		h = host_get(n, s->name);
		use->watch = w;
		use->host = h;
		list_init(&use->link);
		list_add_tail(&h->uses, &use->link);
		w->n_uses++;
		/* Known from here on; a second one of the same name finds it. */
		(void)map_put(&n->hosts, h->name, h);
	}
}

static void
make_watches(struct upstream_names *n, struct upstream *const *v, unsigned n_v)
{
	for (unsigned i = 0; i < n_v; i++) {
		if (!v[i]->has_names)
			continue;
		if (v[i]->watch != NULL)
			v[i]->watch->is_next = true;
		else
			watch_new(n, v[i]);
	}
	if (n->resolver == NULL && !list_is_empty(&n->watches)) {
		n->resolver = resolver_new(n->main->loop, NULL);
		if (n->resolver == NULL)
			mem_failed(0);
	}
}

/* What the new watches know already, and the questions for what they do not. */
static void
begin(struct upstream_names *n)
{
	struct names_watch *w;

	LIST_FOREACH(w, &n->watches, struct names_watch, link) {
		for (unsigned i = 0; i < w->n_uses; i++) {
			struct names_host *h = w->uses[i].host;

			if (!h->answered && h->call.resolver == NULL)
				ask(h);
		}
		if (!w->in_force)
			refresh(w);
	}
	n->is_waiting = true;
	timer_set(n->main->loop, &n->ready_late, loop_now_ms(n->main->loop) + NAMES_READY_MS);
	check_ready(n);
}

bool
upstream_names_prepare(struct upstream_names *n, struct upstream *const *v, unsigned n_v,
    upstream_names_ready_fn *ready, void *arg)
{
	struct mem_trap trap;

	CHECK_OBJ(n, UPSTREAM_NAMES_MAGIC);
	upstream_names_abort(n);
	n->is_preparing = true;
	n->ready = ready;
	n->ready_arg = arg;
	if (MEM_TRAP_ENTER(&trap)) {
		upstream_names_abort(n);
		return (false);
	}
	make_watches(n, v, n_v);
	mem_trap_leave(&trap);
	begin(n);
	return (true);
}

static void
be_ready(struct upstream_names *n)
{
	if (!n->is_waiting)
		return;
	n->is_waiting = false;
	deferred_cancel(&n->ready_soon);
	timer_clear(&n->ready_late);
	if (n->ready != NULL)
		n->ready(n->ready_arg);
}

static void
on_ready(void *arg)
{
	struct upstream_names *n;

	CAST_OBJ(n, arg, UPSTREAM_NAMES_MAGIC);
	be_ready(n);
}

/* Once for each of them, also when several servers have the name. */
static void
tell_unanswered(struct upstream_names *n)
{
	struct names_watch *w;

	LIST_FOREACH(w, &n->watches, struct names_watch, link) {
		for (unsigned i = 0; w->is_next && i < w->n_uses; i++) {
			struct names_host *h = w->uses[i].host;

			if (h->answered || h->told_late)
				continue;
			h->told_late = true;
			log_warn("no answer for the name " SLICE_FMT " in %d s: going on without",
			    SLICE_ARG(h->name), NAMES_READY_MS / 1000);
		}
	}
}

static void
on_late(void *arg)
{
	struct upstream_names *n;

	CAST_OBJ(n, arg, UPSTREAM_NAMES_MAGIC);
	tell_unanswered(n);
	be_ready(n);
}

bool
upstream_names_wait(struct upstream_names *n)
{
	CHECK_OBJ(n, UPSTREAM_NAMES_MAGIC);
	while (n->is_waiting && !loop_is_stopping(n->main->loop))
		loop_turn(n->main->loop, true);
	return (!n->is_waiting);
}

/* `keep_next`: the prepared ones stay and the others go; else the other way round. */
static void
sort_out(struct upstream_names *n, bool keep_next)
{
	struct names_watch *w, *tmp;

	LIST_FOREACH_SAFE(w, tmp, &n->watches, struct names_watch, link) {
		bool keep = keep_next ? w->is_next : w->in_force;

		w->is_next = false;
		if (!keep)
			watch_free(w);
		else
			w->in_force = true;
	}
	n->is_preparing = false;
}

void
upstream_names_commit(struct upstream_names *n)
{
	CHECK_OBJ(n, UPSTREAM_NAMES_MAGIC);
	must(n->is_preparing);
	sort_out(n, true);
}

void
upstream_names_abort(struct upstream_names *n)
{
	CHECK_OBJ(n, UPSTREAM_NAMES_MAGIC);
	if (!n->is_preparing)
		return;
	sort_out(n, false);
	n->is_waiting = false;
	deferred_cancel(&n->ready_soon);
	timer_clear(&n->ready_late);
}

/* ---- start and end ---- */

struct upstream_names *
upstream_names_new(struct worker *main, struct worker *const *workers, unsigned n_workers)
{
	struct upstream_names *n = mem_try_calloc(1, sizeof *n);

	if (n == NULL)
		return (NULL);
	n->magic = UPSTREAM_NAMES_MAGIC;
	n->main = main;
	n->workers = workers;
	n->n_workers = n_workers;
	map_init_fold(&n->hosts, NULL);
	list_init(&n->watches);
	list_init(&n->mails);
	deferred_init(&n->ready_soon, on_ready, n);
	timer_init(&n->ready_late, on_late, n);
	return (n);
}

void
upstream_names_free(struct upstream_names **np)
{
	struct upstream_names *n;
	struct names_watch *w, *tmp;

	if (*np == NULL)
		return;
	TAKE_OBJ(n, np, UPSTREAM_NAMES_MAGIC);
	deferred_cancel(&n->ready_soon);
	timer_clear(&n->ready_late);
	LIST_FOREACH_SAFE(w, tmp, &n->watches, struct names_watch, link)
		watch_free(w);
	while (!list_is_empty(&n->mails))
		free_mail(list_first_entry(&n->mails, struct names_mail, link));
	if (n->resolver != NULL)
		resolver_free(&n->resolver);
	map_fini(&n->hosts);
	n->magic = 0;
	xfree(n);
}
