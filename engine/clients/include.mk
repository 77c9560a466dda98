# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_clients.a
libengine_clients_a_SOURCES = \
	engine/clients/http_call.c \
	engine/clients/http_call.h
