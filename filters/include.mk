# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libfilters.a
libfilters_a_SOURCES = \
	filters/cors.c \
	filters/filters.h \
	filters/header_edit.c \
	filters/ip_acl.c \
	filters/path_rewrite.c \
	filters/request_id.c
