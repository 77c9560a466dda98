# SPDX-License-Identifier: Apache-2.0
SERVICES_TESTS = \
	tests/unit/services/test_pool \
	tests/unit/services/test_route \
	tests/unit/services/test_text \
	tests/unit/services/test_trace
check_PROGRAMS += $(SERVICES_TESTS)
TESTS += $(SERVICES_TESTS)

SERVICES_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(EVHTTP_CFLAGS) $(JANSSON_CFLAGS)
SERVICES_TEST_LIBS = $(SERVICE_LIBS) $(CMOCKA_LIBS)

tests_unit_services_test_pool_SOURCES = tests/unit/services/test_pool.c
tests_unit_services_test_pool_CFLAGS = $(SERVICES_TEST_CFLAGS)
tests_unit_services_test_pool_LDADD = $(SERVICES_TEST_LIBS)

tests_unit_services_test_route_SOURCES = tests/unit/services/test_route.c
tests_unit_services_test_route_CFLAGS = $(SERVICES_TEST_CFLAGS)
tests_unit_services_test_route_LDADD = $(SERVICES_TEST_LIBS)

tests_unit_services_test_text_SOURCES = tests/unit/services/test_text.c
tests_unit_services_test_text_CFLAGS = $(SERVICES_TEST_CFLAGS)
tests_unit_services_test_text_LDADD = $(SERVICES_TEST_LIBS)

tests_unit_services_test_trace_SOURCES = tests/unit/services/test_trace.c
tests_unit_services_test_trace_CFLAGS = $(SERVICES_TEST_CFLAGS)
tests_unit_services_test_trace_LDADD = $(SERVICES_TEST_LIBS)
