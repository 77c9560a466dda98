/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SERVICES_COMMON_SVC_INTERNAL_H
#define SERVICES_COMMON_SVC_INTERNAL_H

/* What the files of services/common share and services do not see. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/http.h>

#include "services/common/svc.h"
#include "services/common/svc_pool.h"
#include "services/common/svc_route.h"
#include "services/common/svc_trace.h"

#define SVC_OPTIONS_MAX 16
#define SVC_DRAIN_QUIET_MS \
	100 /* no byte and no request for this long: nothing is on its way any more */

struct svc {
	unsigned magic;
#define SVC_MAGIC 0x5eac9a02u
	const struct svc_program *program;
	void *app;
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener;
	struct evhttp_bound_socket *bound;
	struct event *sigterm;
	struct event *sigint;
	struct event *accept_again; /* re-enables the listener after it ran out of descriptors */
	struct event *drain_quiet;
	struct event *drain_end;
	struct svc_inbox *inbox; /* jobs that come back from the pools */
	struct svc_pool *quick;
	struct svc_pool *slow;
	const struct svc_route *routes; /* the program's, then the built-in ones */
	struct svc_route *routes_all;
	size_t body_max;
	unsigned in_flight; /* requests from dispatch until the reply is written or dropped */
	const char *listen;
	const char *instance;
	const char *values[SVC_OPTIONS_MAX];
	bool draining : 1;
};

/* One request: made and freed by the loop, lent to one pool thread at a time. */
struct svc_req {
	struct svc_job job; /* first: the pool hands it back */
	unsigned magic;
#define SVC_REQ_MAGIC 0x5eac9a03u
	struct svc *svc;
	/*
	 * evhttp leaves it alone between its callback and the reply, but for its connection; freed
	 * by evhttp.
	 */
	struct evhttp_request *ev;
	struct evhttp_connection *conn; /* NULL once the client is gone; loop only */
	const struct svc_route *route;
	struct svc_route_params params;
	struct evkeyvalq *query; /* parsed at dispatch */
	char *body;
	size_t body_len;
	json_t *json;
	json_t *errors; /* array of field faults */
	char *out;      /* the reply's body */
	size_t out_len;
	const char *out_type;
	uint64_t start_us;
	int status; /* 0: no reply yet */
	char id[SVC_ID_SIZE];
	char trace_id[SVC_TRACE_ID_SIZE];
	bool is_head : 1;
	bool is_slow : 1;     /* runs on the slow pool */
	bool wants_slow : 1;  /* asked to be moved there */
	bool wants_close : 1; /* the connection's framing is in doubt: close it after the reply */
};

/* svc_server.c: evhttp's side. Loop only. */
bool svc_server_open(struct svc *svc);
/* When all is ready to serve. False, with the cause logged, if the port is not to be had. */
bool svc_server_listen(struct svc *svc);
void svc_server_close(struct svc *svc);
/* Stops accepting; the loop is broken when all is answered or the time is over. */
void svc_server_drain(struct svc *svc);

/*
 * svc_builtin.c: /healthz and /readyz. Appends them to the program's routes; false when out of
 * memory.
 */
bool svc_builtin_routes(struct svc *svc);

/* svc_req.c */
struct svc_req *svc_req_new(struct svc *svc, struct evhttp_request *ev);
void svc_req_free(struct svc_req **req);
/* The body of a `json` route is read; false, with the reply made, when it is not a JSON object. */
bool svc_req_parse_json(struct svc_req *req);

#endif
