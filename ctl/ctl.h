/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEIR_CTL_H
#define WEIR_CTL_H

/*
 * weirctl, private to this folder. One command a process: everything is taken from one arena, which
 * goes at the end. What is for people goes to standard output, what went wrong to standard error.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/base/slice.h"
#include "engine/mem/arena.h"

/* Exit codes of every command. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_REFUSED = 1,	/* the process said no, or a reload failed */
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 3	/* nobody there, no permission, no answer in time or none of use */
};

struct ctl {
	unsigned	 magic;
#define CTL_MAGIC	0x5a21c9d7
	struct arena	*arena;
	const char	*where;		/* of -s, or the usual socket; NULL: there is none */
	uint64_t	 timeout_ms;	/* for a whole call */
	bool		 json;
	const char	*route;		/* "" or of --route */
	const char	*listener;	/* of explain; "" or not said, as the client */
	const char	*client;
	const char	**fields;	/* of -H */
	unsigned	 n_fields;
	const char	*command;	/* "help" and "version" too */
	const char	**args;		/* of the command */
	unsigned	 n_args;
};

/* ctl_options.c. False: wrong usage, which has been said. */
bool	ctl_options_parse(struct ctl *, int argc, char **argv);
void	ctl_usage(void);

/* ctl_call.c */
struct ctl_reply {
	unsigned	 status;
	struct slice	 body;		/* in the arena, a NUL behind it */
};
/* One request and its answer. `target` is a path and perhaps a query, of URL bytes only. False:
   there is no answer, and why has been said. */
bool	ctl_call(struct ctl *, const char *method, const char *target, struct ctl_reply *);
/* `where` can be one. */
bool	ctl_is_place(struct ctl *);
/* Any text as a value in a query. */
const char *ctl_escape(struct ctl *, const char *text);

/* ctl_commands.c. Runs what the command line says. */
enum ctl_exit ctl_run(struct ctl *);
/* The answer's object: CTL_OK with a reference for the caller, or what went wrong, said. With
   --json a refusal is told as it came. */
enum ctl_exit ctl_object(struct ctl *, const struct ctl_reply *, json_t **o_r);

/* ctl_upstreams.c */
enum ctl_exit ctl_upstreams(struct ctl *);

/* ctl_print.c */
void	ctl_complain(const char *fmt, ...) CC_PRINTF(1, 2);
/* Text of the process, made safe for a terminal: no byte of it can be a command to one. */
const char *ctl_text(struct ctl *, const json_t *string);
const char *ctl_name(struct ctl *, const char *key);
/* And what has lines, to standard output. */
void	ctl_put_lines(struct ctl *, struct slice text);
const char *ctl_number(struct ctl *, const json_t *integer);

enum { CTL_COLUMNS_MAX = 8 };

/* Columns as wide as what stands in them. */
struct ctl_table {
	struct ctl	*ctl;
	unsigned	 n_columns;
	unsigned	 right;		/* bits: columns of numbers, which end in one line */
	unsigned	 n, cap;
	const char	**cells;	/* row by row */
};
/* The first row is the heading. */
void	ctl_table_init(struct ctl_table *, struct ctl *, unsigned n_columns, unsigned right,
	    const char *const *heading);
void	ctl_table_add(struct ctl_table *, const char *cell);
void	ctl_table_print(const struct ctl_table *);

#endif
