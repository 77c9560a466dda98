# SPDX-License-Identifier: Apache-2.0
mem_tests = \
	tests/unit/mem/test_alloc \
	tests/unit/mem/test_arena \
	tests/unit/mem/test_page \
	tests/unit/mem/test_slab \
	tests/unit/mem/test_tables
check_PROGRAMS += $(mem_tests)
TESTS += $(mem_tests)

mem_test_libs = libengine_mem.a libengine_base.a $(CMOCKA_LIBS) $(JEMALLOC_LIBS)
tests_unit_mem_test_alloc_SOURCES = tests/unit/mem/test_alloc.c
tests_unit_mem_test_alloc_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_mem_test_alloc_LDADD = $(mem_test_libs)
tests_unit_mem_test_arena_SOURCES = tests/unit/mem/test_arena.c
tests_unit_mem_test_arena_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_mem_test_arena_LDADD = $(mem_test_libs)
tests_unit_mem_test_page_SOURCES = tests/unit/mem/test_page.c
tests_unit_mem_test_page_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_mem_test_page_LDADD = $(mem_test_libs)
tests_unit_mem_test_slab_SOURCES = tests/unit/mem/test_slab.c
tests_unit_mem_test_slab_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_mem_test_slab_LDADD = $(mem_test_libs)
tests_unit_mem_test_tables_SOURCES = tests/unit/mem/test_tables.c
tests_unit_mem_test_tables_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_mem_test_tables_LDADD = $(mem_test_libs)
