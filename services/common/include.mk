# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libservices_common.a
libservices_common_a_SOURCES = \
	services/common/svc.h \
	services/common/svc_builtin.c \
	services/common/svc_db.c \
	services/common/svc_db.h \
	services/common/svc_internal.h \
	services/common/svc_log.c \
	services/common/svc_log.h \
	services/common/svc_main.c \
	services/common/svc_pool.c \
	services/common/svc_pool.h \
	services/common/svc_req.c \
	services/common/svc_route.c \
	services/common/svc_route.h \
	services/common/svc_server.c \
	services/common/svc_text.c \
	services/common/svc_text.h \
	services/common/svc_trace.c \
	services/common/svc_trace.h
libservices_common_a_CFLAGS = $(AM_CFLAGS) $(EVHTTP_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS)

# What a program on top of it links, after its own objects.
SERVICE_LIBS = libservices_common.a $(EVHTTP_LIBS) $(JANSSON_LIBS) $(SQLITE_LIBS)
