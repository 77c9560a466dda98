# SPDX-License-Identifier: Apache-2.0
base_tests = \
	tests/unit/base/test_addr \
	tests/unit/base/test_log \
	tests/unit/base/test_slice \
	tests/unit/base/test_small \
	tests/unit/base/test_text
check_PROGRAMS += $(base_tests)
TESTS += $(base_tests)

base_test_libs = libengine_base.a $(CMOCKA_LIBS)
tests_unit_base_test_addr_SOURCES = tests/unit/base/test_addr.c
tests_unit_base_test_addr_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_base_test_addr_LDADD = $(base_test_libs)
tests_unit_base_test_log_SOURCES = tests/unit/base/test_log.c
tests_unit_base_test_log_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_base_test_log_LDADD = $(base_test_libs)
tests_unit_base_test_slice_SOURCES = tests/unit/base/test_slice.c
tests_unit_base_test_slice_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_base_test_slice_LDADD = $(base_test_libs)
tests_unit_base_test_small_SOURCES = tests/unit/base/test_small.c
tests_unit_base_test_small_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_base_test_small_LDADD = $(base_test_libs)
tests_unit_base_test_text_SOURCES = tests/unit/base/test_text.c
tests_unit_base_test_text_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_base_test_text_LDADD = $(base_test_libs)
