# SPDX-License-Identifier: Apache-2.0
PROXY_ROUTER_LIBS = libengine_proxy.a libengine_http.a libengine_mem.a libengine_base.a \
	$(JEMALLOC_LIBS) $(CMOCKA_LIBS)

PROXY_TESTS = tests/unit/proxy/test_router
check_PROGRAMS += $(PROXY_TESTS)
TESTS += $(PROXY_TESTS)

tests_unit_proxy_test_router_SOURCES = tests/unit/proxy/test_router.c
tests_unit_proxy_test_router_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_proxy_test_router_LDADD = $(PROXY_ROUTER_LIBS)
