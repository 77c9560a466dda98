# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/unit/net/test_listener
TESTS += tests/unit/net/test_listener
tests_unit_net_test_listener_SOURCES = tests/unit/net/test_listener.c
tests_unit_net_test_listener_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_net_test_listener_LDADD = libengine_net.a libengine_http.a libengine_loop.a \
	libengine_mem.a libengine_base.a $(LIBEVENT_LIBS) $(CARES_LIBS) $(JEMALLOC_LIBS) \
	$(CMOCKA_LIBS)
