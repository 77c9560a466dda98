# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_h1.a
libengine_h1_a_SOURCES = \
	engine/h1/h1.h \
	engine/h1/h1_chunk.c \
	engine/h1/h1_chunk.h \
	engine/h1/h1_codec.c \
	engine/h1/h1_head.c \
	engine/h1/h1_in.h \
	engine/h1/h1_out.c \
	engine/h1/h1_parse.c \
	engine/h1/h1_parse.h \
	engine/h1/h1_scan.h \
	engine/h1/h1_write.c \
	engine/h1/h1_write.h
