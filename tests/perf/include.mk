# SPDX-License-Identifier: Apache-2.0

# The router's cost does not grow with the number of routes.
check_PROGRAMS += tests/perf/router_scale
tests_perf_router_scale_SOURCES = tests/perf/router_scale.c
tests_perf_router_scale_LDADD = libengine_proxy.a libengine_http.a libengine_regex.a libengine_mem.a \
	libengine_base.a $(PCRE2_LIBS) $(JEMALLOC_LIBS)
if !WEIR_INSTRUMENTED
TESTS += tests/perf/router_scale
endif
