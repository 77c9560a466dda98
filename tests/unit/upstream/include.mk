# SPDX-License-Identifier: Apache-2.0
# The engine's own upstream, connection and codec over the simulated loop and network.
check_LIBRARIES += tests/unit/upstream/librig.a
tests_unit_upstream_librig_a_SOURCES = tests/unit/upstream/rig.c tests/unit/upstream/rig.h
tests_unit_upstream_librig_a_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)

UPSTREAM_TEST_LDADD = tests/unit/upstream/librig.a libengine_upstream.a libengine_worker.a \
	libsim.a libengine_h1.a libengine_net.a libengine_http.a libengine_stats.a \
	libengine_config.a libengine_mem.a libengine_base.a \
	$(YAML_LIBS) $(JEMALLOC_LIBS) $(CMOCKA_LIBS)

UPSTREAM_TESTS = \
	tests/unit/upstream/test_balance \
	tests/unit/upstream/test_names \
	tests/unit/upstream/test_pool \
	tests/unit/upstream/test_stream
check_PROGRAMS += $(UPSTREAM_TESTS)
TESTS += $(UPSTREAM_TESTS)

tests_unit_upstream_test_balance_SOURCES = tests/unit/upstream/test_balance.c
tests_unit_upstream_test_balance_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_upstream_test_balance_LDADD = $(UPSTREAM_TEST_LDADD)

tests_unit_upstream_test_names_SOURCES = tests/unit/upstream/test_names.c
tests_unit_upstream_test_names_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_upstream_test_names_LDADD = $(UPSTREAM_TEST_LDADD)

tests_unit_upstream_test_pool_SOURCES = tests/unit/upstream/test_pool.c
tests_unit_upstream_test_pool_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_upstream_test_pool_LDADD = $(UPSTREAM_TEST_LDADD)

tests_unit_upstream_test_stream_SOURCES = tests/unit/upstream/test_stream.c
tests_unit_upstream_test_stream_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_upstream_test_stream_LDADD = $(UPSTREAM_TEST_LDADD)

# What the replay rule takes for granted about the kernel's TCP.
check_PROGRAMS += tests/unit/upstream/test_kernel
TESTS += tests/unit/upstream/test_kernel
tests_unit_upstream_test_kernel_SOURCES = tests/unit/upstream/test_kernel.c
tests_unit_upstream_test_kernel_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_upstream_test_kernel_LDADD = libengine_net.a libengine_loop.a libengine_http.a \
	libengine_mem.a libengine_base.a \
	$(LIBEVENT_LIBS) $(CARES_LIBS) $(JEMALLOC_LIBS) $(CMOCKA_LIBS)
