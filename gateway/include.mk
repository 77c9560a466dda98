# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += weir-gateway
weir_gateway_SOURCES = gateway/main.c gateway/gateway.h gateway/gateway_conf.c \
	gateway/gateway_filters.c
weir_gateway_LDFLAGS = $(WEIR_LINK) $(LTO_CFLAGS)
weir_gateway_LDADD = libfilters.a $(ENGINE_LIBS)
