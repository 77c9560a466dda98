# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_http.a
libengine_http_a_SOURCES = \
	engine/http/codec.h \
	engine/http/date.c \
	engine/http/date.h \
	engine/http/field.c \
	engine/http/field.h \
	engine/http/hdr.def \
	engine/http/hdr_id.c \
	engine/http/hdr_id.h \
	engine/http/hdr_id_table.def \
	engine/http/headers.c \
	engine/http/headers.h \
	engine/http/method.c \
	engine/http/method.def \
	engine/http/method.h \
	engine/http/msg.c \
	engine/http/msg.h \
	engine/http/pipe.c \
	engine/http/pipe.h \
	engine/http/reason.c \
	engine/http/reason.def \
	engine/http/reason.h \
	engine/http/status.def \
	engine/http/uri.c \
	engine/http/uri.h
