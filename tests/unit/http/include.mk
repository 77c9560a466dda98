# SPDX-License-Identifier: Apache-2.0
HTTP_TEST_LIBS = libengine_http.a libengine_mem.a libengine_base.a $(JEMALLOC_LIBS) $(CMOCKA_LIBS)

HTTP_TESTS = \
	tests/unit/http/test_date \
	tests/unit/http/test_field \
	tests/unit/http/test_headers \
	tests/unit/http/test_pipe \
	tests/unit/http/test_uri
check_PROGRAMS += $(HTTP_TESTS)
TESTS += $(HTTP_TESTS)

tests_unit_http_test_headers_SOURCES = tests/unit/http/test_headers.c
tests_unit_http_test_headers_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_http_test_headers_LDADD = $(HTTP_TEST_LIBS)

tests_unit_http_test_pipe_SOURCES = tests/unit/http/test_pipe.c
tests_unit_http_test_pipe_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_http_test_pipe_LDADD = $(HTTP_TEST_LIBS)

tests_unit_http_test_date_SOURCES = tests/unit/http/test_date.c
tests_unit_http_test_date_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_http_test_date_LDADD = $(HTTP_TEST_LIBS)

tests_unit_http_test_field_SOURCES = tests/unit/http/test_field.c
tests_unit_http_test_field_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_http_test_field_LDADD = $(HTTP_TEST_LIBS)

tests_unit_http_test_uri_SOURCES = tests/unit/http/test_uri.c tests/unit/proxy/path_spec.c \
	tests/unit/proxy/path_spec.h
tests_unit_http_test_uri_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_http_test_uri_LDADD = $(HTTP_TEST_LIBS)
