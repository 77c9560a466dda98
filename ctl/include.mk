# SPDX-License-Identifier: Apache-2.0
bin_PROGRAMS += weirctl
weirctl_SOURCES = \
	ctl/ctl.h \
	ctl/ctl_call.c \
	ctl/ctl_commands.c \
	ctl/ctl_options.c \
	ctl/ctl_print.c \
	ctl/ctl_upstreams.c \
	ctl/main.c
weirctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
weirctl_LDFLAGS = $(WEIR_LINK) $(LTO_CFLAGS)
weirctl_LDADD = libengine_h1.a libengine_http.a libengine_mem.a libengine_base.a \
	$(JANSSON_LIBS) $(JEMALLOC_LIBS)
