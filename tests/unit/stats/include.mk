# SPDX-License-Identifier: Apache-2.0
stats_tests = \
	tests/unit/stats/test_stats
check_PROGRAMS += $(stats_tests)
TESTS += $(stats_tests)

stats_test_libs = libengine_stats.a libengine_mem.a libengine_base.a \
	$(CMOCKA_LIBS) $(JEMALLOC_LIBS)
tests_unit_stats_test_stats_SOURCES = tests/unit/stats/test_stats.c
tests_unit_stats_test_stats_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_stats_test_stats_LDADD = $(stats_test_libs)
