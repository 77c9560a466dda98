# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_config.a
libengine_config_a_CPPFLAGS = $(AM_CPPFLAGS) $(YAML_CFLAGS)
libengine_config_a_SOURCES = \
	engine/config/compare.c \
	engine/config/decode.c \
	engine/config/diag.c \
	engine/config/diag.h \
	engine/config/document.c \
	engine/config/explain.c \
	engine/config/json_schema.c \
	engine/config/load.c \
	engine/config/load.h \
	engine/config/merge.c \
	engine/config/node.c \
	engine/config/node.h \
	engine/config/print.c \
	engine/config/print_json.c \
	engine/config/scalar.c \
	engine/config/scalar.h \
	engine/config/schema.c \
	engine/config/schema.h \
	engine/config/schema_impl.h \
	engine/config/source.c \
	engine/config/source.h \
	engine/config/value.c \
	engine/config/yaml.c \
	engine/config/yaml.h
