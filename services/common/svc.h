/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_H
#define SERVICES_COMMON_SVC_H

/*
 * A small frame for business services: one event loop (evhttp) that reads and writes HTTP, and two
 * pools of threads that run the handlers, so that a handler may block on a database or a password
 * hash.
 *
 * A service is a table of routes and a `struct svc_program`; its main() calls svc_main(). README.md
 * has an example.
 *
 * Threads: a handler of kind SVC_QUICK or SVC_SLOW runs on a pool thread and owns its request until
 * it returns; the reply that it left on the request is then sent by the loop. A handler of kind
 * SVC_LOOP runs on the loop, must not block, and calls svc_finish() when the reply is complete, at
 * once or later. All functions on a request below are called by whoever owns it at that time.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#if defined(__GNUC__)
#define SVC_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define SVC_PRINTF(fmt, args)
#endif

struct evkeyvalq;
struct svc;
struct svc_req;

enum svc_kind {
	SVC_QUICK, /* on the quick pool: database work of a few milliseconds */
	SVC_SLOW,  /* on the slow pool: password hashes and other work that takes a core for long */
	SVC_LOOP   /* on the event loop: never blocks */
};

/*
 * `ctx` is what thread_start returned for the pool's thread; for SVC_LOOP it is the application's
 * `app`.
 */
typedef void svc_handler_fn(struct svc_req *req, void *ctx);

/* A route. A GET route also takes HEAD. The table ends with a NULL method. */
struct svc_route {
	const char *method;
	const char *pattern; /* "/v1/users/{id}": a {name} takes one whole, non-empty segment */
	svc_handler_fn *handler;
	enum svc_kind kind;
	bool
	    json; /* the body must be a JSON object: 400 and 415 are answered without the handler */
};

/* A long option of the program, `--name VALUE`. The table ends with a NULL name. */
struct svc_option {
	const char *name;
	const char *value; /* what the value is, for --help */
	const char *help;
	bool required;
};

struct svc_program {
	unsigned magic;
#define SVC_PROGRAM_MAGIC 0x5eac9a01u
	const char *name; /* in logs; the program is weir-NAME-service */
	const struct svc_option *options;
	const struct svc_route *routes;
	unsigned quick_threads; /* 0: 4 */
	unsigned slow_threads;  /* 0: 2 */
	size_t body_max;        /* bytes; 0: SVC_BODY_MAX */

	/*
	 * Once, before threads start and the port opens. False stops the program (exit 3); the
	 * cause is logged.
	 */
	bool (*start)(struct svc *svc, void **app_r);
	/*
	 * On each pool thread: its own connection to the database, say. NULL stops the program
	 * (exit 3).
	 */
	void *(*thread_start)(void *app);
	void (*thread_stop)(void *ctx);
	/* On a quick thread, for GET /readyz: can it serve? */
	bool (*ready)(void *ctx);
	/* Once, after the last thread ended. */
	void (*stop)(void *app);
};

#define SVC_BODY_MAX (64u * 1024u) /* a request body, bytes: 413 as problem+json above it */
#define SVC_BODY_HARD_MAX \
	(1024u * 1024u) /* above this evhttp itself answers 413, with its own page */
#define SVC_HEADERS_MAX \
	(32u * 1024u)    /* request line and fields, bytes: evhttp answers 400 above it */
#define SVC_IDLE_S    75 /* idle connections; longer than a proxy keeps them in its pool (55 s) */
#define SVC_DRAIN_S   10 /* after SIGTERM: the time that requests in flight have to end */
#define SVC_QUEUE_MAX 1024u /* requests waiting for a pool: 503 above it */

/*
 * Runs the program until SIGTERM or SIGINT: options, threads, listener, loop, drain. Returns the
 * exit code: 0 served and drained, 1 stopped with requests still running, 2 usage, 3 could not
 * start.
 */
int svc_main(const struct svc_program *program, int argc, char **argv);

/* The value of an option, or NULL when it was not given. Lives as long as the program. */
const char *svc_option(const struct svc *svc, const char *name);

/* ---- reading a request: what is returned lives as long as the request ---- */

const char *svc_req_id(const struct svc_req *req); /* request id, never NULL */
const char *svc_req_trace_id(
    const struct svc_req *req); /* 32 hex digits, or "" without a traceparent */
const char *svc_req_path(const struct svc_req *req); /* as received, without the query */
const char *svc_req_param(
    const struct svc_req *req, const char *name); /* a {name} of the pattern, decoded */
const char *svc_req_header(
    const struct svc_req *req, const char *name); /* the first of that name, or NULL */
/* A query parameter, decoded, or NULL. The first of several wins. */
const char *svc_req_query(const struct svc_req *req, const char *name);
/* The body's object; NULL when the route does not ask for JSON. Borrowed. */
const json_t *svc_req_json(const struct svc_req *req);
/*
 * Adds to `out`, the fields of an outgoing call, those that tie it to this request: X-Request-Id,
 * traceparent, tracestate, baggage. They are passed on as they came.
 */
void svc_req_context(const struct svc_req *req, struct evkeyvalq *out);

/*
 * Moves a request from the quick to the slow pool: returns true there, and the handler returns at
 * once; the same handler is then called again on the slow pool, where this returns false. Nothing
 * may be replied before.
 */
bool svc_req_go_slow(struct svc_req *req);

/* ---- replying: the last call wins; a handler that leaves no reply is answered as 500 ---- */

/* Takes over `body`, also when it fails. A NULL body is out of memory: 500. */
void svc_reply_json(struct svc_req *req, int status, json_t *body);
void svc_reply_empty(struct svc_req *req, int status);
/* A response field; a value that cannot stand in one (line ends) is dropped. */
void svc_reply_header(struct svc_req *req, const char *name, const char *fmt, ...) SVC_PRINTF(3, 4);
/* problem+json (RFC 9457). `reason` is a stable word for programs, the text is for people. */
void svc_problem(struct svc_req *req, int status, const char *reason, const char *fmt, ...)
    SVC_PRINTF(4, 5);
/*
 * Notes a fault of one input field; all faults are answered together, as 400 by svc_reply_errors().
 */
void svc_field_error(struct svc_req *req, const char *field, const char *fmt, ...) SVC_PRINTF(3, 4);
/* True, with the reply made, if any fault was noted. */
bool svc_reply_errors(struct svc_req *req);
/* SVC_LOOP only: sends the reply and gives up the request. */
void svc_finish(struct svc_req *req);

#endif
