/* SPDX-License-Identifier: Apache-2.0 */
/* Which sockets a generation brings, and that a taken address leaves nothing behind. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/app/sockets.h"
#include "engine/mem/alloc.h"

enum { WORKERS = 3 };

/* A gate of listeners on these addresses; nothing else of it is looked at. */
struct fixture {
	struct gate	 gate;
	struct listener	 l[3];
	struct listener	*v[3];
	struct arena	*arena;
	struct diag	*diag;
};

static void
begin(struct fixture *f, const char *a, const char *b)
{
	const char *texts[] = { a, b };

	memset(f, 0, sizeof *f);
	f->arena = arena_new("test");
	f->diag = diag_new(f->arena);
	f->gate.listeners = f->v;
	for (unsigned i = 0; i < 2 && texts[i] != NULL; i++) {
		f->v[i] = &f->l[i];
		f->l[i].name = SLICE("l");
		f->l[i].n_addrs = 1;
		assert_true(addr_parse(slice_str(texts[i]), &f->l[i].addrs[0]));
		f->gate.n_listeners++;
	}
}

static void
end(struct fixture *f)
{
	arena_free(&f->arena);
}

/* An address of our own: a port that the system picked a moment ago. */
static const char *
pick(char *buf, size_t n)
{
	struct addr a;
	socklen_t len = sizeof a.u;
	int fd;

	assert_true(addr_parse(SLICE("127.0.0.1:0"), &a));
	assert_null(listener_bind(NULL, MARK_NONE, &a, false, &fd));
	assert_int_equal(getsockname(fd, &a.u.sa, &len), 0);
	close(fd);
	addr_format(&a, buf, n);
	return (buf);
}

static void
take_all(const struct fixture *f, unsigned listener)
{
	for (unsigned w = 0; w < WORKERS; w++) {
		assert_true(gate_fd(&f->gate, listener, 0, w) >= 0);
		close(gate_fd(&f->gate, listener, 0, w));
	}
}

static void
test_new_kept_gone(void **state)
{
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
	struct sockets *s = sockets_new(WORKERS);
	struct fixture f;

	(void)state;
	begin(&f, pick(a, sizeof a), NULL);
	assert_true(sockets_prepare(s, &f.gate, f.arena, f.diag));
	take_all(&f, 0);
	sockets_commit(s);
	end(&f);

	/* The first is kept, the second is new. */
	begin(&f, a, pick(b, sizeof b));
	assert_true(sockets_prepare(s, &f.gate, f.arena, f.diag));
	for (unsigned w = 0; w < WORKERS; w++)
		assert_int_equal(gate_fd(&f.gate, 0, 0, w), -1);
	take_all(&f, 1);
	sockets_commit(s);
	end(&f);

	/* The first is gone, so that it is new when it comes again. */
	begin(&f, b, NULL);
	assert_true(sockets_prepare(s, &f.gate, f.arena, f.diag));
	assert_int_equal(gate_fd(&f.gate, 0, 0, 0), -1);
	sockets_commit(s);
	end(&f);
	begin(&f, b, a);
	assert_true(sockets_prepare(s, &f.gate, f.arena, f.diag));
	assert_true(gate_fd(&f.gate, 1, 0, 0) >= 0);
	sockets_abort(s);
	end(&f);
	sockets_free(&s);
}

static void
test_taken(void **state)
{
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
	struct sockets *s = sockets_new(WORKERS), *other = sockets_new(1);
	struct fixture f, g;
	int fd;

	(void)state;
	/* Another process of ours, which shares its addresses among its workers as we do. */
	begin(&g, pick(b, sizeof b), NULL);
	assert_true(sockets_prepare(other, &g.gate, g.arena, g.diag));

	begin(&f, pick(a, sizeof a), b);
	assert_false(sockets_prepare(s, &f.gate, f.arena, f.diag));
	assert_int_equal(diag_errors(f.diag), 1);
	assert_non_null(strstr(diag_at(f.diag, 0)->message, b));
	/* And a is free again. */
	assert_null(listener_bind(f.arena, MARK_NONE, &f.l[0].addrs[0], false, &fd));
	close(fd);
	end(&f);

	sockets_abort(other);
	begin(&f, a, b);
	assert_true(sockets_prepare(s, &f.gate, f.arena, f.diag));
	sockets_abort(s);
	end(&f);
	end(&g);
	sockets_free(&s);
	sockets_free(&other);
}

static void
test_memory(void **state)
{
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
	struct sockets *s = sockets_new(WORKERS);
	struct fixture f;
	bool ok = false;

	(void)state;
	pick(a, sizeof a);
	pick(b, sizeof b);
	for (uint64_t n = 1; !ok; n++) {
		begin(&f, a, b);
		mem_fail_at(n);
		ok = sockets_prepare(s, &f.gate, f.arena, f.diag);
		mem_fail_off();
		assert_int_equal(ok, !mem_fail_hit());
		if (ok)
			sockets_abort(s);
		end(&f);
	}
	sockets_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_kept_gone),
		cmocka_unit_test(test_taken),
		cmocka_unit_test(test_memory),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
