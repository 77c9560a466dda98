# SPDX-License-Identifier: Apache-2.0
# A program of the demonstration: built, not installed.
noinst_LIBRARIES += libservices_user.a
libservices_user_a_SOURCES = \
	services/user/user_input.c \
	services/user/user_input.h \
	services/user/user_password.c \
	services/user/user_password.h \
	services/user/user_store.c \
	services/user/user_store.h
libservices_user_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS) $(SQLITE_CFLAGS) $(SODIUM_CFLAGS)

noinst_PROGRAMS += weir-user-service
weir_user_service_SOURCES = services/user/user_main.c
weir_user_service_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
weir_user_service_LDADD = libservices_user.a $(SERVICE_LIBS) $(SODIUM_LIBS)
