# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/regex/test_regex
TESTS += tests/unit/regex/test_regex

tests_unit_regex_test_regex_SOURCES = tests/unit/regex/test_regex.c
tests_unit_regex_test_regex_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_regex_test_regex_LDADD = libengine_regex.a libengine_mem.a libengine_base.a \
	$(PCRE2_LIBS) $(CMOCKA_LIBS) $(JEMALLOC_LIBS)
