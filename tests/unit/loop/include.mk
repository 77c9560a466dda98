# SPDX-License-Identifier: Apache-2.0
LOOP_TEST_LIBS = libengine_loop.a libengine_mem.a libengine_base.a
LOOP_TEST_LDADD = $(LOOP_TEST_LIBS) $(LIBEVENT_LIBS) $(CARES_LIBS) $(JEMALLOC_LIBS) $(CMOCKA_LIBS)

check_PROGRAMS += tests/unit/loop/test_loop
tests_unit_loop_test_loop_SOURCES = \
	tests/unit/loop/test_loop.c \
	tests/unit/loop/twin.h \
	tests/unit/loop/twin_real.c
tests_unit_loop_test_loop_LDADD = $(LOOP_TEST_LDADD)
TESTS += tests/unit/loop/test_loop

# The same source over the simulated loop.
check_PROGRAMS += tests/unit/loop/test_loop_sim
tests_unit_loop_test_loop_sim_SOURCES = \
	tests/unit/loop/test_loop.c \
	tests/unit/loop/twin.h \
	tests/unit/loop/twin_sim.c
tests_unit_loop_test_loop_sim_LDADD = \
	libsim.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS) $(CMOCKA_LIBS)
TESTS += tests/unit/loop/test_loop_sim

check_PROGRAMS += tests/unit/loop/test_wheel
tests_unit_loop_test_wheel_SOURCES = tests/unit/loop/test_wheel.c
tests_unit_loop_test_wheel_LDADD = $(LOOP_TEST_LDADD)
TESTS += tests/unit/loop/test_wheel

check_PROGRAMS += tests/unit/loop/test_real
tests_unit_loop_test_real_SOURCES = tests/unit/loop/test_real.c
tests_unit_loop_test_real_LDADD = $(LOOP_TEST_LDADD)
TESTS += tests/unit/loop/test_real

check_PROGRAMS += tests/unit/loop/test_resolve
tests_unit_loop_test_resolve_SOURCES = \
	tests/unit/loop/dns_server.c \
	tests/unit/loop/dns_server.h \
	tests/unit/loop/test_resolve.c
tests_unit_loop_test_resolve_LDADD = $(LOOP_TEST_LDADD)
TESTS += tests/unit/loop/test_resolve

check_PROGRAMS += tests/unit/loop/test_watch
tests_unit_loop_test_watch_SOURCES = tests/unit/loop/test_watch.c
tests_unit_loop_test_watch_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=inotify_add_watch
tests_unit_loop_test_watch_LDADD = $(LOOP_TEST_LDADD)
TESTS += tests/unit/loop/test_watch
