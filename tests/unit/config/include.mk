# SPDX-License-Identifier: Apache-2.0
CONFIG_TEST_LIBS = libengine_config.a libengine_mem.a libengine_base.a $(YAML_LIBS) \
	$(CMOCKA_LIBS) $(JEMALLOC_LIBS)
CONFIG_SHAPE = tests/unit/config/shape.c tests/unit/config/shape.h

check_PROGRAMS += tests/unit/config/golden
tests_unit_config_golden_SOURCES = tests/unit/config/golden.c $(CONFIG_SHAPE)
tests_unit_config_golden_LDADD = $(CONFIG_TEST_LIBS)

dist_check_SCRIPTS += tests/conformance/config/run
TESTS += tests/conformance/config/run
