# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/stats/test_stats tests/unit/stats/print_stats
dist_check_SCRIPTS += tests/unit/stats/docs tests/unit/stats/exposition
TESTS += tests/unit/stats/test_stats tests/unit/stats/docs tests/unit/stats/exposition

stats_test_libs = libengine_stats.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS)
tests_unit_stats_test_stats_SOURCES = tests/unit/stats/test_stats.c
tests_unit_stats_test_stats_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_stats_test_stats_LDADD = $(stats_test_libs) $(CMOCKA_LIBS)
tests_unit_stats_print_stats_SOURCES = tests/unit/stats/print_stats.c
tests_unit_stats_print_stats_LDADD = libengine_http.a $(stats_test_libs)
