# SPDX-License-Identifier: Apache-2.0
# The whole engine in the simulated world: libsim.a stands in for the loop, sockets and names.
RIG_LIBS = libengine_app.a libengine_proxy.a libengine_upstream.a libengine_worker.a \
	libsim.a libengine_net.a libengine_h1.a libengine_http.a libengine_config.a \
	libengine_regex.a libengine_stats.a libengine_mem.a libengine_base.a \
	$(JANSSON_LIBS) $(YAML_LIBS) $(PCRE2_LIBS) $(JEMALLOC_LIBS) $(CMOCKA_LIBS)

RIG_LDFLAGS_WRAP = $(AM_LDFLAGS) -Wl,--wrap=bind

PROBE_SOURCES = \
	gateway/gateway.h \
	gateway/gateway_conf.c \
	tests/loop/probe.c \
	tests/loop/probe.h \
	tests/loop/rig.c \
	tests/loop/rig.h

check_PROGRAMS += tests/loop/test_filters tests/loop/test_filter_bodies
TESTS += tests/loop/test_filters tests/loop/test_filter_bodies
tests_loop_test_filters_SOURCES = $(PROBE_SOURCES) tests/loop/test_filters.c
tests_loop_test_filters_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_loop_test_filters_LDFLAGS = $(RIG_LDFLAGS_WRAP)
tests_loop_test_filters_LDADD = $(RIG_LIBS)
tests_loop_test_filter_bodies_SOURCES = $(PROBE_SOURCES) tests/loop/test_filter_bodies.c
tests_loop_test_filter_bodies_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_loop_test_filter_bodies_LDFLAGS = $(RIG_LDFLAGS_WRAP)
tests_loop_test_filter_bodies_LDADD = $(RIG_LIBS)

# The gateway as it is, with its own filters.
check_LIBRARIES += libloop.a
libloop_a_SOURCES = \
	tests/loop/gw.c \
	tests/loop/gw.h \
	tests/loop/lib.h \
	gateway/gateway_conf.c \
	gateway/gateway_filters.c \
	gateway/gateway.h

LOOP_LDFLAGS_WRAP = $(AM_LDFLAGS) -Wl,--wrap=proxy_stats_request
LOOP_LIBS = libloop.a libfilters.a $(RIG_LIBS)

LOOP_TESTS = tests/loop/test_request tests/loop/test_memory tests/loop/test_time \
	tests/loop/test_pressure tests/loop/test_reload tests/loop/test_phases tests/loop/test_mirror
check_PROGRAMS += $(LOOP_TESTS)
TESTS += $(LOOP_TESTS)

tests_loop_test_request_SOURCES = tests/loop/test_request.c
tests_loop_test_request_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_test_request_LDADD = $(LOOP_LIBS)

tests_loop_test_time_SOURCES = tests/loop/test_time.c
tests_loop_test_time_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_test_time_LDADD = $(LOOP_LIBS)

tests_loop_test_pressure_SOURCES = tests/loop/test_pressure.c
tests_loop_test_pressure_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_test_pressure_LDADD = $(LOOP_LIBS)

tests_loop_test_reload_SOURCES = tests/loop/test_reload.c
tests_loop_test_reload_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_test_reload_LDADD = $(LOOP_LIBS)

tests_loop_test_phases_SOURCES = tests/loop/test_phases.c
tests_loop_test_phases_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_test_phases_LDADD = $(LOOP_LIBS)

tests_loop_test_mirror_SOURCES = tests/loop/test_mirror.c
tests_loop_test_mirror_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_test_mirror_LDADD = $(LOOP_LIBS)

tests_loop_test_memory_SOURCES = tests/loop/test_memory.c
tests_loop_test_memory_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_test_memory_LDADD = $(LOOP_LIBS)

check_PROGRAMS += tests/loop/test_http_call
TESTS += tests/loop/test_http_call
tests_loop_test_http_call_SOURCES = \
	gateway/gateway.h \
	gateway/gateway_conf.c \
	tests/loop/rig.c \
	tests/loop/rig.h \
	tests/loop/test_http_call.c
tests_loop_test_http_call_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_loop_test_http_call_LDFLAGS = $(RIG_LDFLAGS_WRAP)
tests_loop_test_http_call_LDADD = libengine_clients.a $(RIG_LIBS)

# Scripts: tests/sim/README.md has the commands.
check_PROGRAMS += tests/loop/run_gateway
tests_loop_run_gateway_SOURCES = tests/sim/run_sim.c tests/sim/subject.h \
	tests/loop/subject_gateway.c
tests_loop_run_gateway_LDFLAGS = $(LOOP_LDFLAGS_WRAP)
tests_loop_run_gateway_LDADD = $(LOOP_LIBS)
dist_check_SCRIPTS += tests/loop/check
TESTS += tests/loop/check
