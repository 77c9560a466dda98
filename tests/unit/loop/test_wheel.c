/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/base/cc.h"
#include "engine/base/rnd.h"
#include "engine/loop/timer.h"
#include "engine/loop/wheel.h"

/*
 * The wheel against a reference that looks at every timer: same set fired in each advance, in
 * the order of the deadlines, never early, and wheel_next() never later than the first deadline.
 */

enum {
	N_TIMERS = 200,
};

struct item {
	struct timer	timer;
	uint64_t	want_ms;	/* the reference's deadline; TIMER_NEVER: not set */
	bool		past;		/* was past when set: fires before the others */
};

static struct wheel wheel;
static struct item items[N_TIMERS];
static uint64_t now_ms;
static uint64_t last_fired_ms;
static unsigned n_fired;
static struct rnd rnd;

static void
on_fire(void *arg)
{
	struct item *it = arg;

	assert_false(timer_is_set(&it->timer));
	assert_true(it->want_ms <= now_ms);
	if (!it->past) {
		assert_true(it->want_ms >= last_fired_ms);
		last_fired_ms = it->want_ms;
	}
	it->want_ms = TIMER_NEVER;
	it->past = false;
	n_fired++;
}

/* As timer_set() and timer_clear() do with the loop's wheel. */
static void
set(struct item *it, uint64_t deadline_ms)
{
	struct timer *t = &it->timer;

	it->want_ms = deadline_ms;
	it->past = deadline_ms <= now_ms;
	t->deadline_ms = deadline_ms;
	if (list_is_linked(&t->link)) {
		if (deadline_ms >= t->slot_ms)
			return;
		wheel_remove(&wheel, t);
	}
	wheel_add(&wheel, t, now_ms);
}

static void
clear(struct item *it)
{
	it->want_ms = TIMER_NEVER;
	it->past = false;
	it->timer.deadline_ms = TIMER_NEVER;
	if (list_is_linked(&it->timer.link))
		wheel_remove(&wheel, &it->timer);
}

static void
begin(uint64_t start_ms)
{
	now_ms = start_ms;
	last_fired_ms = 0;
	wheel_init(&wheel, start_ms);
	for (int i = 0; i < N_TIMERS; i++) {
		items[i].want_ms = TIMER_NEVER;
		items[i].past = false;
		timer_init(&items[i].timer, on_fire, &items[i]);
	}
}

static void
check_used_bits(void)
{
	for (unsigned k = 0; k < WHEEL_LEVELS; k++) {
		for (unsigned s = 0; s < WHEEL_SLOTS; s++) {
			bool used = (wheel.used[k] >> s & 1) != 0;

			assert_int_equal(used, !list_is_empty(&wheel.slots[k][s]));
		}
	}
}

static unsigned
count_due(uint64_t at_ms)
{
	unsigned n = 0;

	for (int i = 0; i < N_TIMERS; i++)
		n += items[i].want_ms != TIMER_NEVER && items[i].want_ms <= at_ms;
	return (n);
}

static void
advance(uint64_t by_ms)
{
	unsigned due = count_due(now_ms + by_ms);

	if (by_ms > 0 && due > count_due(now_ms))
		assert_true(wheel_next(&wheel) <= now_ms + by_ms);
	now_ms += by_ms;
	n_fired = 0;
	last_fired_ms = 0;
	wheel_advance(&wheel, now_ms);
	assert_int_equal(n_fired, due);
	assert_int_equal(count_due(now_ms), 0);
}

/* Distances of every size, near the levels' borders in particular. */
static uint64_t
random_distance(void)
{
	static const uint64_t near[] = {0, 63, 64, 4095, 4096, 262143, 262144, 16777215, 16777216,
	    UINT64_C(1) << 32};
	unsigned bits;

	if (rnd_below(&rnd, 4) == 0)
		return (near[rnd_below(&rnd, array_len(near))] + rnd_below(&rnd, 3));
	bits = (unsigned)rnd_below(&rnd, 27);
	return (rnd_u64(&rnd) & ((UINT64_C(1) << bits) - 1));
}

static void
random_change(void)
{
	struct item *it = &items[rnd_below(&rnd, N_TIMERS)];

	switch (rnd_below(&rnd, 8)) {
	case 0:
		clear(it);
		break;
	case 1:
		if (list_is_linked(&it->timer.link))
			set(it, TIMER_NEVER);
		break;
	case 2:
		set(it, now_ms - rnd_below(&rnd, 5));
		break;
	default:
		set(it, now_ms + random_distance());
	}
}

static void
run_random(uint64_t seed, uint64_t start_ms)
{
	rnd_init_seed(&rnd, seed);
	begin(start_ms);
	for (int step = 0; step < 2000; step++) {
		unsigned changes = (unsigned)rnd_below(&rnd, 6);

		while (changes-- > 0)
			random_change();
		advance(random_distance());
		if (step % 16 == 0)
			check_used_bits();
	}
	for (int i = 0; i < N_TIMERS; i++)
		clear(&items[i]);
	check_used_bits();
	assert_true(wheel_next(&wheel) == TIMER_NEVER);
}

static void
test_against_the_reference(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= 40; seed++)
		run_random(seed, seed * 1234567);
}

static void
test_start_at_zero_and_at_borders(void **state)
{
	static const uint64_t starts[] = {10, 63, 64, 65, 4095, 4096, 262143, 262144, 16777215,
	    16777216, (UINT64_C(1) << 40) - 1};

	(void)state;
	for (size_t i = 0; i < array_len(starts); i++)
		run_random(1000 + i, starts[i]);
}

/* Sleeping until wheel_next() each time: every timer in its millisecond, few wakes each. */
static void
test_wakes_are_exact_and_few(void **state)
{
	static const uint64_t after[] = {1, 63, 64, 100, 4095, 4096, 4097, 30000, 262144, 262145,
	    300000, 5000000, 16777215, 16777216, 40000000};

	(void)state;
	for (uint64_t offset = 0; offset < 70; offset += 7) {
		for (size_t i = 0; i < array_len(after); i++) {
			uint64_t due = 5000 + offset + after[i];
			unsigned wakes = 0;

			begin(5000 + offset);
			set(&items[0], due);
			n_fired = 0;
			while (n_fired == 0) {
				uint64_t next = wheel_next(&wheel);

				assert_true(next > now_ms && next <= due);
				now_ms = next;
				wheel_advance(&wheel, now_ms);
				wakes++;
			}
			assert_true(now_ms == due);
			assert_true(wakes <= WHEEL_LEVELS + 3);
		}
	}
}

static void
test_lazy_move_keeps_one_link(void **state)
{
	(void)state;
	begin(100);
	set(&items[0], 130);
	for (uint64_t d = 131; d < 1000; d++) {
		set(&items[0], d);
		assert_true(items[0].timer.slot_ms == 130);	/* only stored */
	}
	now_ms = 130;
	n_fired = 0;
	wheel_advance(&wheel, now_ms);
	assert_int_equal(n_fired, 0);
	assert_true(items[0].timer.slot_ms == 999);
	now_ms = 998;
	wheel_advance(&wheel, now_ms);
	assert_int_equal(n_fired, 0);
	now_ms = 999;
	wheel_advance(&wheel, now_ms);
	assert_int_equal(n_fired, 1);
}

static void
test_empty_wheel_wants_nothing(void **state)
{
	(void)state;
	begin(12345);
	assert_true(wheel_next(&wheel) == TIMER_NEVER);
	set(&items[0], 99999);
	set(&items[1], 12346);
	clear(&items[0]);
	clear(&items[1]);
	assert_true(wheel_next(&wheel) == TIMER_NEVER);
	set(&items[0], 1);
	assert_true(wheel_next(&wheel) == 0);
	clear(&items[0]);
	assert_true(wheel_next(&wheel) == TIMER_NEVER);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_the_reference),
		cmocka_unit_test(test_start_at_zero_and_at_borders),
		cmocka_unit_test(test_wakes_are_exact_and_few),
		cmocka_unit_test(test_lazy_move_keeps_one_link),
		cmocka_unit_test(test_empty_wheel_wants_nothing),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
