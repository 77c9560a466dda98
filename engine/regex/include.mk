# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_regex.a
libengine_regex_a_CPPFLAGS = $(AM_CPPFLAGS) $(PCRE2_CFLAGS)
libengine_regex_a_SOURCES = \
	engine/regex/regex.c \
	engine/regex/regex.h
