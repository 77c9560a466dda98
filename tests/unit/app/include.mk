# SPDX-License-Identifier: Apache-2.0
APP_TESTS = tests/unit/app/test_sockets tests/unit/app/test_admin_socket \
	tests/unit/app/test_admin_wait
check_PROGRAMS += $(APP_TESTS)
TESTS += $(APP_TESTS)

tests_unit_app_test_sockets_SOURCES = tests/unit/app/test_sockets.c
tests_unit_app_test_sockets_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_app_test_sockets_LDADD = $(ENGINE_LIBS) $(CMOCKA_LIBS)

tests_unit_app_test_admin_socket_SOURCES = tests/unit/app/test_admin_socket.c
tests_unit_app_test_admin_socket_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_app_test_admin_socket_LDADD = $(ENGINE_LIBS) $(CMOCKA_LIBS)

# In the simulated world, where half a minute is a moment.
tests_unit_app_test_admin_wait_SOURCES = tests/unit/app/test_admin_wait.c
tests_unit_app_test_admin_wait_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_app_test_admin_wait_LDFLAGS = $(RIG_LDFLAGS_WRAP)
tests_unit_app_test_admin_wait_LDADD = $(RIG_LIBS)
