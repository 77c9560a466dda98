/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "engine/base/check.h"
#include "engine/base/clock.h"
#include "engine/mem/alloc.h"
#include "engine/worker/snapshot.h"
#include "engine/worker/worker.h"

/* A message that carries a generation to a worker, or a reference back to the main thread. */
struct snapshot_mail {
	struct mail		 mail;
	struct snapshot		*snap;
	struct worker		*worker;
	struct worker		*main;
	snapshot_applied_fn	*on_applied;
	snapshot_retired_fn	*on_retired;
	/* made by the main thread, so that a worker allocates nothing */
	struct snapshot_use	*use;
};

static void snapshot_free(struct snapshot *);

struct part *
part_new(enum part_kind kind, struct slice name, size_t size, uint64_t hash)
{
	struct arena *arena = arena_new("part");
	struct mem_trap trap;
	struct part *p;

	if (MEM_TRAP_ENTER(&trap)) {
		size_t wanted = trap.wanted;

		arena_free(&arena);
		mem_failed(wanted);
	}
	p = arena_zalloc(arena, size);
	p->magic = PART_MAGIC;
	p->kind = (uint8_t)kind;
	ref_atomic_init(&p->refs);
	p->hash = hash;
	p->name = arena_dup(arena, name);
	p->arena = arena;
	mem_trap_leave(&trap);
	return (p);
}

struct part *
part_ref(struct part *p)
{
	CHECK_OBJ(p, PART_MAGIC);
	ref_atomic_get(&p->refs);
	return (p);
}

void
part_unref(struct part **pp)
{
	struct part *p;
	struct arena *arena;

	TAKE_OBJ(p, pp, PART_MAGIC);
	if (!ref_atomic_put(&p->refs))
		return;
	if (p->fini != NULL)
		p->fini(p);
	arena = p->arena;
	arena_free(&arena);
}

struct snapshot *
snapshot_new(uint64_t generation)
{
	struct arena *arena = arena_new("snapshot");
	struct mem_trap trap;
	struct snapshot *s;

	if (MEM_TRAP_ENTER(&trap)) {
		size_t wanted = trap.wanted;

		arena_free(&arena);
		mem_failed(wanted);
	}
	s = arena_znew(arena, struct snapshot);
	s->magic = SNAPSHOT_MAGIC;
	s->generation = generation;
	s->loaded_wall_us = (int64_t)clock_wall_us();
	s->arena = arena;
	ref_atomic_init(&s->refs);
	mem_trap_leave(&trap);
	return (s);
}

void
snapshot_make_room(struct snapshot *s)
{
	enum { FIRST = 16 };
	struct part **v;
	unsigned cap;

	CHECK_OBJ(s, SNAPSHOT_MAGIC);
	if (s->n_parts < s->cap_parts)
		return;
	/* Doubled; the old array stays in the arena. */
	cap = s->cap_parts == 0 ? FIRST : 2 * s->cap_parts;
	v = arena_zarray(s->arena, cap, sizeof *v);
	if (s->n_parts > 0)
		memcpy(v, s->parts, s->n_parts * sizeof *v);
	s->parts = v;
	s->cap_parts = cap;
}

void
snapshot_add_part(struct snapshot *s, struct part *p)
{
	snapshot_make_room(s);
	s->parts[s->n_parts++] = p;
}

static void
snapshot_free(struct snapshot *s)
{
	struct arena *arena;

	for (unsigned i = 0; i < s->n_parts; i++)
		part_unref(&s->parts[i]);
	arena = s->arena;
	s->magic = 0;
	arena_free(&arena);
	/* A generation may have been large, and the next may be hours away. */
	mem_give_back();
}

void
snapshot_discard(struct snapshot **sp)
{
	struct snapshot *s;

	if (*sp == NULL)
		return;
	TAKE_OBJ(s, sp, SNAPSHOT_MAGIC);
	if (ref_atomic_put(&s->refs))
		snapshot_free(s);
}

static void
on_returned(struct mail *mail)
{
	struct snapshot_mail *m = container_of(mail, struct snapshot_mail, mail);

	xfree(m->use);
	snapshot_discard(&m->snap);
	xfree(m);
}

/* The worker's last exchange on a retired generation has ended: its reference goes home. */
static void
give_back(struct snapshot_use *use)
{
	struct snapshot_mail *m = use->home;

	m->on_retired(m->worker, use->snap);
	mail_init(&m->mail, on_returned);
	m->use = use;
	mailbox_post(m->main->loop, &m->mail);
}

static void
on_published(struct mail *mail)
{
	struct snapshot_mail *m = container_of(mail, struct snapshot_mail, mail);
	struct worker *w = m->worker;
	struct snapshot_use *old = w->snap;

	w->snap = m->use;
	m->on_applied(w, m->snap);
	if (old != NULL) {
		old->retired = true;
		if (old->active == 0)
			give_back(old);
	}
}

static struct snapshot_mail *
new_mail(void)
{
	struct snapshot_mail *m = mem_try_calloc(1, sizeof *m);

	if (m == NULL)
		return (NULL);
	m->use = mem_try_calloc(1, sizeof *m->use);
	if (m->use == NULL) {
		xfree(m);
		return (NULL);
	}
	m->use->home = m;
	return (m);
}

bool
snapshot_publish(struct snapshot *s, struct worker *const *workers, unsigned n,
    struct worker *main, snapshot_applied_fn *on_applied, snapshot_retired_fn *on_retired)
{
	struct snapshot_mail *mails[WORKER_MAX];
	unsigned made = 0;

	CHECK_OBJ(s, SNAPSHOT_MAGIC);
	must(n <= WORKER_MAX);
	/* All or none: only when each has its message does the first one go. */
	while (made < n && (mails[made] = new_mail()) != NULL)
		made++;
	for (unsigned i = 0; made < n && i < made; i++) {
		xfree(mails[i]->use);
		xfree(mails[i]);
	}
	for (unsigned i = 0; made == n && i < n; i++) {
		struct snapshot_mail *m = mails[i];

		ref_atomic_get(&s->refs);
		m->use->snap = m->snap = s;
		m->worker = workers[i];
		m->main = main;
		m->on_applied = on_applied;
		m->on_retired = on_retired;
		mail_init(&m->mail, on_published);
		mailbox_post(workers[i]->loop, &m->mail);
	}
	return (made == n);
}

void
snapshot_drop_use(struct worker *w)
{
	struct snapshot_use *use = w->snap;
	struct snapshot_mail *m;

	must(!w->running);
	if (use == NULL)
		return;
	w->snap = NULL;
	m = use->home;
	m->use = use;
	on_returned(&m->mail);
}

struct snapshot_use *
snapshot_take(struct worker *w)
{
	w->snap->active++;
	return (w->snap);
}

struct snapshot_use *
snapshot_hold(struct snapshot_use *use)
{
	must(use->active > 0);
	use->active++;
	return (use);
}

void
snapshot_give(struct snapshot_use **up)
{
	struct snapshot_use *use = *up;

	*up = NULL;
	must(use->active > 0);
	if (--use->active == 0 && use->retired)
		give_back(use);
}
