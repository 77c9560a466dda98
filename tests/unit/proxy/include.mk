# SPDX-License-Identifier: Apache-2.0
PROXY_ROUTER_LIBS = libengine_proxy.a libengine_http.a libengine_regex.a libengine_mem.a \
	libengine_base.a $(PCRE2_LIBS) $(JEMALLOC_LIBS) $(CMOCKA_LIBS)

PROXY_TESTS = tests/unit/proxy/test_router tests/unit/proxy/test_access_log \
	tests/unit/proxy/test_access_log_line tests/unit/proxy/test_access_log_redact \
	tests/unit/proxy/test_proxy_stats tests/unit/proxy/test_route_split \
	tests/unit/proxy/test_path_spec tests/unit/proxy/test_proxy_worker
check_PROGRAMS += $(PROXY_TESTS)
TESTS += $(PROXY_TESTS)

tests_unit_proxy_test_router_SOURCES = tests/unit/proxy/test_router.c
tests_unit_proxy_test_router_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_proxy_test_router_LDADD = $(PROXY_ROUTER_LIBS)

PROXY_SEEING_LIBS = libengine_proxy.a libengine_upstream.a libengine_worker.a libengine_net.a \
	libengine_h1.a libengine_http.a libengine_loop.a libengine_config.a libengine_stats.a \
	libengine_regex.a libengine_mem.a libengine_base.a $(LIBEVENT_LIBS) $(CARES_LIBS) $(YAML_LIBS) \
	$(PCRE2_LIBS) $(JANSSON_LIBS) $(JEMALLOC_LIBS) $(CMOCKA_LIBS)
tests_unit_proxy_test_access_log_SOURCES = tests/unit/proxy/test_access_log.c
tests_unit_proxy_test_access_log_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_proxy_test_access_log_LDADD = $(PROXY_SEEING_LIBS)
tests_unit_proxy_test_access_log_line_SOURCES = tests/unit/proxy/test_access_log_line.c
tests_unit_proxy_test_access_log_line_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_proxy_test_access_log_line_LDADD = $(PROXY_SEEING_LIBS)
tests_unit_proxy_test_access_log_redact_SOURCES = tests/unit/proxy/test_access_log_redact.c
tests_unit_proxy_test_access_log_redact_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_proxy_test_access_log_redact_LDADD = $(PROXY_ROUTER_LIBS)
tests_unit_proxy_test_route_split_SOURCES = tests/unit/proxy/test_route_split.c
tests_unit_proxy_test_route_split_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_proxy_test_route_split_LDADD = $(PROXY_SEEING_LIBS)
tests_unit_proxy_test_proxy_stats_SOURCES = tests/unit/proxy/test_proxy_stats.c
tests_unit_proxy_test_proxy_stats_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_proxy_test_proxy_stats_LDADD = $(PROXY_SEEING_LIBS)
tests_unit_proxy_test_path_spec_SOURCES = tests/unit/proxy/test_path_spec.c \
	tests/unit/proxy/path_spec.c tests/unit/proxy/path_spec.h
tests_unit_proxy_test_path_spec_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_proxy_test_path_spec_LDADD = $(PROXY_ROUTER_LIBS)
tests_unit_proxy_test_proxy_worker_SOURCES = tests/unit/proxy/test_proxy_worker.c
tests_unit_proxy_test_proxy_worker_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_proxy_test_proxy_worker_LDADD = $(PROXY_SEEING_LIBS)
