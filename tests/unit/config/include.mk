# SPDX-License-Identifier: Apache-2.0
CONFIG_TEST_LIBS = libengine_config.a libengine_mem.a libengine_base.a $(YAML_LIBS) \
	$(CMOCKA_LIBS) $(JEMALLOC_LIBS)
CONFIG_SHAPE = tests/unit/config/shape.c tests/unit/config/shape.h

check_PROGRAMS += tests/unit/config/golden
tests_unit_config_golden_SOURCES = tests/unit/config/golden.c $(CONFIG_SHAPE)
tests_unit_config_golden_LDADD = $(CONFIG_TEST_LIBS)

dist_check_SCRIPTS += tests/conformance/config/run
TESTS += tests/conformance/config/run

CONFIG_TESTS = \
	tests/unit/config/test_diag \
	tests/unit/config/test_example \
	tests/unit/config/test_load \
	tests/unit/config/test_scalar \
	tests/unit/config/test_schema \
	tests/unit/config/test_source \
	tests/unit/config/test_yaml
check_PROGRAMS += $(CONFIG_TESTS)
TESTS += $(CONFIG_TESTS)
tests_unit_config_test_diag_SOURCES = tests/unit/config/test_diag.c
tests_unit_config_test_diag_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_config_test_example_SOURCES = tests/unit/config/test_example.c
tests_unit_config_test_example_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_config_test_scalar_SOURCES = tests/unit/config/test_scalar.c
tests_unit_config_test_scalar_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_config_test_schema_SOURCES = tests/unit/config/test_schema.c $(CONFIG_SHAPE)
tests_unit_config_test_schema_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_config_test_yaml_SOURCES = tests/unit/config/test_yaml.c $(CONFIG_SHAPE)
tests_unit_config_test_yaml_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_config_test_load_SOURCES = tests/unit/config/test_load.c $(CONFIG_SHAPE)
tests_unit_config_test_load_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_config_test_source_SOURCES = tests/unit/config/test_source.c $(CONFIG_SHAPE)
tests_unit_config_test_source_LDADD = $(CONFIG_TEST_LIBS)
