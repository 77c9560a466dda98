# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/filters/test_cors
TESTS += tests/unit/filters/test_cors
tests_unit_filters_test_cors_SOURCES = \
	gateway/gateway.h \
	gateway/gateway_conf.c \
	tests/loop/rig.c \
	tests/loop/rig.h \
	tests/unit/filters/runs.c \
	tests/unit/filters/runs.h \
	tests/unit/filters/test_cors.c
tests_unit_filters_test_cors_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_filters_test_cors_LDFLAGS = $(RIG_LDFLAGS_WRAP)
tests_unit_filters_test_cors_LDADD = libfilters.a $(RIG_LIBS)

check_PROGRAMS += tests/unit/filters/test_filters
TESTS += tests/unit/filters/test_filters
tests_unit_filters_test_filters_SOURCES = \
	gateway/gateway.h \
	gateway/gateway_conf.c \
	tests/loop/rig.c \
	tests/loop/rig.h \
	tests/unit/filters/runs.c \
	tests/unit/filters/runs.h \
	tests/unit/filters/test_filters.c
tests_unit_filters_test_filters_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_filters_test_filters_LDFLAGS = $(RIG_LDFLAGS_WRAP)
tests_unit_filters_test_filters_LDADD = libfilters.a $(RIG_LIBS)

check_PROGRAMS += tests/unit/filters/test_templates
TESTS += tests/unit/filters/test_templates
tests_unit_filters_test_templates_SOURCES = \
	gateway/gateway.h \
	gateway/gateway_conf.c \
	tests/loop/rig.c \
	tests/loop/rig.h \
	tests/unit/filters/runs.c \
	tests/unit/filters/runs.h \
	tests/unit/filters/test_templates.c
tests_unit_filters_test_templates_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_filters_test_templates_LDFLAGS = $(RIG_LDFLAGS_WRAP)
tests_unit_filters_test_templates_LDADD = libfilters.a $(RIG_LIBS)
