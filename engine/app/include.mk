# SPDX-License-Identifier: Apache-2.0
noinst_LIBRARIES += libengine_app.a
libengine_app_a_SOURCES = \
	engine/app/admin.c engine/app/admin.h \
	engine/app/admin_conn.c \
	engine/app/admin_explain.c \
	engine/app/admin_impl.h \
	engine/app/admin_lists.c \
	engine/app/admin_pages.c \
	engine/app/admin_say.c \
	engine/app/app.c engine/app/app.h \
	engine/app/app_commands.c \
	engine/app/app_drain.c \
	engine/app/app_explain.c \
	engine/app/app_impl.h \
	engine/app/app_json.c engine/app/app_json.h \
	engine/app/app_options.c \
	engine/app/app_parts.c \
	engine/app/app_reload.c \
	engine/app/app_watch.c \
	engine/app/build.c engine/app/build.h \
	engine/app/build_catalog.c \
	engine/app/build_changes.c \
	engine/app/build_file.c \
	engine/app/build_impl.h \
	engine/app/build_match.c \
	engine/app/build_parts.c \
	engine/app/build_policy.c \
	engine/app/build_redirect.c \
	engine/app/build_routes.c \
	engine/app/build_show.c \
	engine/app/build_type.c \
	engine/app/explain.c engine/app/explain.h \
	engine/app/explain_impl.h \
	engine/app/explain_places.c \
	engine/app/explain_print.c \
	engine/app/explain_rules.c \
	engine/app/explain_say.c \
	engine/app/reload.h \
	engine/app/sockets.c engine/app/sockets.h \
	engine/app/start.c
libengine_app_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
