/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "engine/mem/alloc.h"
#include "engine/mem/arena.h"
#include "engine/mem/ref.h"

static void
test_plain(void **state)
{
	uint64_t before = mem_alloc_count();
	char *p = xmalloc(10);
	char *z = xcalloc(3, 5);

	(void)state;
	for (unsigned i = 0; i < 15; i++)
		assert_int_equal(z[i], 0);
	p = xrealloc(p, 20);
	assert_int_equal(mem_alloc_count() - before, 3);
	xfree(p);
	xfree(z);
	xfree(NULL);
	assert_int_equal(mem_alloc_count() - before, 3);
	p = xmalloc(0);
	assert_non_null(p);
	xfree(p);
	p = mem_try_calloc(0, 5);
	assert_non_null(p);
	xfree(p);
}

static void
test_failures(void **state)
{
	char *p;

	(void)state;
	mem_fail_at(2);
	p = mem_try_malloc(5);
	assert_non_null(p);
	assert_false(mem_fail_hit());
	assert_null(mem_try_realloc(p, 10));
	assert_true(mem_fail_hit());
	p = mem_try_realloc(p, 10); /* once only */
	assert_non_null(p);
	xfree(p);
	mem_fail_at(1);
	assert_null(mem_try_calloc(1, 1));
	mem_fail_at(1);
	assert_null(mem_try_aligned(64, 64));
	mem_fail_at(1);
	assert_null(mem_try_map(4096, 4096));
	mem_fail_at(1);
	mem_fail_off();
	p = mem_try_malloc(1);
	assert_non_null(p);
	assert_false(mem_fail_hit());
	xfree(p);
}

static void
test_map(void **state)
{
	struct mem_stats before;
	struct mem_stats during;
	char *p;

	(void)state;
	mem_stats(&before);
	p = mem_try_map(1 << 20, 1 << 20);
	assert_non_null(p);
	assert_int_equal((uintptr_t)p & ((1 << 20) - 1), 0);
	assert_int_equal(p[0] | p[(1 << 20) - 1], 0);
	memset(p, 1, 1 << 20);
	mem_stats(&during);
	assert_int_equal(during.mapped - before.mapped, 1 << 20);
#ifdef HAVE_JEMALLOC /* a sanitizer's allocator has no numbers */
	assert_true(during.allocated > 0);
	assert_true(during.resident >= during.allocated);
#endif
	mem_unmap(p, 1 << 20);
	mem_stats(&during);
	assert_int_equal(during.mapped, before.mapped);
}

/* What was freed is the system's again when asked for, not when the allocator gets to it. */
static void
test_give_back(void **state)
{
	enum { PIECES = 4096, PIECE_BYTES = 4096, ALL = PIECES * PIECE_BYTES };
	static void *p[PIECES];
	struct mem_stats during;
	struct mem_stats after;

	(void)state;
	for (size_t i = 0; i < PIECES; i++)
		p[i] = memset(xmalloc(PIECE_BYTES), 1, PIECE_BYTES);
	mem_stats(&during);
	for (size_t i = 0; i < PIECES; i++)
		xfree(p[i]);
	mem_give_back();
	mem_stats(&after);
#ifdef HAVE_JEMALLOC /* a sanitizer's allocator has no numbers */
	assert_true(after.resident + ALL / 2 < during.resident);
#endif
}

/* Builds something of a few allocations; NULL when memory ended. */
static struct arena *
build(size_t n)
{
	struct arena *a = arena_new("test");
	struct mem_trap trap;

	if (MEM_TRAP_ENTER(&trap)) {
		assert_true(trap.wanted > 0);
		arena_free(&a);
		return (NULL);
	}
	for (size_t i = 0; i < n; i++)
		(void)arena_zalloc(a, 3000);
	mem_trap_leave(&trap);
	return (a);
}

/* Each allocation fails in turn, and nothing is lost (the leak checker looks on). */
static void
test_trap_each(void **state)
{
	struct arena *a = NULL;
	unsigned failed = 0;

	(void)state;
	for (uint64_t n = 2; a == NULL; n++) {
		mem_fail_at(n);
		a = build(20);
		if (a == NULL)
			failed++;
		assert_true(n < 100);
	}
	assert_false(mem_fail_hit());
	assert_true(failed > 3);
	mem_fail_off();
	arena_free(&a);
}

static void
test_trap_nested(void **state)
{
	struct mem_trap outer;
	struct mem_trap inner;
	volatile unsigned inner_hits = 0;

	(void)state;
	if (MEM_TRAP_ENTER(&outer)) {
		assert_int_equal(inner_hits, 1);
		assert_int_equal(outer.wanted, 77);
		return;
	}
	if (MEM_TRAP_ENTER(&inner)) {
		inner_hits++;
		mem_fail_at(1);
		xfree(xmalloc(77)); /* goes to outer: inner is left */
		fail();
	}
	mem_fail_at(1);
	xfree(xmalloc(5));
	fail();
}

/* What is told is what was asked for: the product. */
static void
test_wanted(void **state)
{
	struct mem_trap trap;

	(void)state;
	if (MEM_TRAP_ENTER(&trap)) {
		assert_int_equal(trap.wanted, 30 * 1000);
		return;
	}
	mem_fail_at(1);
	xfree(xcalloc(30, 1000));
	fail();
}

#if !CC_ASAN /* which maps nothing */
static bool kernel_has_no_map;

/* The C library's: in place of it, so that the kernel can be out of what splitting a map takes. */
int
munmap(void *p, size_t n)
{
	if (kernel_has_no_map) {
		errno = ENOMEM;
		return (-1);
	}
	return ((int)syscall(SYS_munmap, p, n));
}

/* A map that cannot be split off (vm.max_map_count) loses its memory and keeps its addresses. */
static void
test_unmap_refused(void **state)
{
	enum { BYTES = 16 * 4096 };
	char *p = mem_try_map(4096, BYTES);
	struct mem_stats before;
	struct mem_stats after;

	(void)state;
	assert_non_null(p);
	memset(p, 1, BYTES);
	mem_stats(&before);
	kernel_has_no_map = true;
	mem_unmap(p, BYTES);
	kernel_has_no_map = false;
	mem_stats(&after);
	assert_int_equal(before.mapped - after.mapped, BYTES);
	assert_int_equal(p[0], 0);
	assert_int_equal(munmap(p, BYTES), 0);
}
#endif

static void
test_overflow(void **state)
{
	struct mem_trap trap;

	(void)state;
	if (MEM_TRAP_ENTER(&trap)) {
		assert_int_equal(trap.wanted, SIZE_MAX);
		return;
	}
	xfree(xcalloc(SIZE_MAX / 2, 3));
	fail();
}

static void
test_exit_status(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0) {
		close(STDERR_FILENO);
		mem_fail_at(1);
		xfree(xmalloc(1));
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 3);
}

static void
test_refs(void **state)
{
	struct ref_atomic shared;

	(void)state;
	ref_atomic_init(&shared);
	ref_atomic_get(&shared);
	assert_false(ref_atomic_put(&shared));
	assert_true(ref_atomic_put(&shared));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_map),
		cmocka_unit_test(test_give_back),
		cmocka_unit_test(test_trap_each),
		cmocka_unit_test(test_trap_nested),
		cmocka_unit_test(test_wanted),
#if !CC_ASAN
		cmocka_unit_test(test_unmap_refused),
#endif
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_refs),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
