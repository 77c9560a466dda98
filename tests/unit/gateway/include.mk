# SPDX-License-Identifier: Apache-2.0
dist_check_SCRIPTS += tests/unit/gateway/examples tests/unit/gateway/manual tests/unit/gateway/reference
TESTS += tests/unit/gateway/examples tests/unit/gateway/manual tests/unit/gateway/reference

GATEWAY_TESTS = \
	tests/unit/gateway/test_build \
	tests/unit/gateway/test_changes \
	tests/unit/gateway/test_explain
check_PROGRAMS += $(GATEWAY_TESTS)
TESTS += $(GATEWAY_TESTS)

tests_unit_gateway_test_build_SOURCES = tests/unit/gateway/test_build.c \
	gateway/gateway.h gateway/gateway_conf.c gateway/gateway_filters.c
tests_unit_gateway_test_build_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_gateway_test_build_LDADD = libfilters.a $(ENGINE_LIBS) $(CMOCKA_LIBS)

tests_unit_gateway_test_changes_SOURCES = tests/unit/gateway/test_changes.c \
	gateway/gateway.h gateway/gateway_conf.c gateway/gateway_filters.c
tests_unit_gateway_test_changes_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_gateway_test_changes_LDADD = libfilters.a $(ENGINE_LIBS) $(CMOCKA_LIBS)

tests_unit_gateway_test_explain_SOURCES = tests/unit/gateway/test_explain.c \
	gateway/gateway.h gateway/gateway_conf.c gateway/gateway_filters.c
tests_unit_gateway_test_explain_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_gateway_test_explain_LDADD = libfilters.a $(ENGINE_LIBS) $(CMOCKA_LIBS)
