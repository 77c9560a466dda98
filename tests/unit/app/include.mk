# SPDX-License-Identifier: Apache-2.0
APP_TESTS = tests/unit/app/test_sockets
check_PROGRAMS += $(APP_TESTS)
TESTS += $(APP_TESTS)

tests_unit_app_test_sockets_SOURCES = tests/unit/app/test_sockets.c
tests_unit_app_test_sockets_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_app_test_sockets_LDADD = $(ENGINE_LIBS) $(CMOCKA_LIBS)
