# SPDX-License-Identifier: Apache-2.0
check_LIBRARIES += tests/unit/h1/librig.a
tests_unit_h1_librig_a_SOURCES = tests/unit/h1/rig.c tests/unit/h1/rig.h

H1_TEST_LIBS = libengine_h1.a libengine_http.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS)

H1_TESTS = \
	tests/unit/h1/test_codec \
	tests/unit/h1/test_table
check_PROGRAMS += $(H1_TESTS)
TESTS += $(H1_TESTS)

tests_unit_h1_test_codec_SOURCES = tests/unit/h1/test_codec.c
tests_unit_h1_test_codec_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_h1_test_codec_LDADD = tests/unit/h1/librig.a $(H1_TEST_LIBS) $(CMOCKA_LIBS)

tests_unit_h1_test_table_SOURCES = tests/unit/h1/test_table.c
tests_unit_h1_test_table_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_h1_test_table_LDADD = tests/unit/h1/librig.a $(H1_TEST_LIBS) $(CMOCKA_LIBS)
