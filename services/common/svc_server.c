/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

/*
 * The side of evhttp. A request's life:
 *
 *	on_request -> [quick pool -> [slow pool ->]] send_reply -> on_written | on_client_gone
 *
 * 1. evhttp reads nothing from a connection between on_request and the end of the reply, so each
 *    connection has at most one request here, and evhttp frees the request only after send_reply.
 * 2. A client that goes away is seen when the reply is written (or when evhttp says so):
 *    on_client_gone ends the request if its reply was sent, else marks it, and the reply is dropped
 *    when the work is done.
 * 3. in_flight counts the requests between on_request and their end.
 */

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include "services/common/svc_internal.h"
#include "services/common/svc_log.h"
#include "services/common/svc_text.h"

#define ACCEPT_PAUSE_MS 100 /* how long the listener rests when descriptors are short */
#define BACKLOG         1024

/* Whose listener it is: the argument of its error callback belongs to evhttp. Loop only. */
static struct svc *accepting;

static void
arm_quiet(struct svc *svc)
{
	struct timeval tv = { 0, SVC_DRAIN_QUIET_MS * 1000 };

	if (svc->draining)
		event_add(svc->drain_quiet, &tv);
}

static void
end_request(struct svc_req *req)
{
	struct svc *svc = req->svc;

	if (req->conn != NULL)
		evhttp_connection_set_closecb(req->conn, NULL, NULL);
	svc_req_free(&req);
	svc->in_flight--;
	arm_quiet(svc);
}

static void
on_written(struct evhttp_request *ev, void *arg)
{
	struct svc_req *req = arg;

	(void)ev;
	assert(req->magic == SVC_REQ_MAGIC);
	end_request(req);
}

static void
on_client_gone(struct evhttp_connection *conn, void *arg)
{
	struct svc_req *req = arg;

	(void)conn;
	assert(req->magic == SVC_REQ_MAGIC);
	req->conn = NULL;
	/* evhttp frees the request itself only when its reply was under way */
	if (req->ev == NULL)
		end_request(req);
}

static const char *
method_name(const struct evhttp_request *ev)
{
	switch (evhttp_request_get_command(ev)) {
	case EVHTTP_REQ_GET:
		return ("GET");
	case EVHTTP_REQ_POST:
		return ("POST");
	case EVHTTP_REQ_HEAD:
		return ("HEAD");
	case EVHTTP_REQ_PUT:
		return ("PUT");
	case EVHTTP_REQ_DELETE:
		return ("DELETE");
	case EVHTTP_REQ_OPTIONS:
		return ("OPTIONS");
	case EVHTTP_REQ_TRACE:
		return ("TRACE");
	case EVHTTP_REQ_CONNECT:
		return ("CONNECT");
	case EVHTTP_REQ_PATCH:
		return ("PATCH");
	default:
		return (NULL);
	}
}

static void
log_request(const struct svc_req *req)
{
	enum svc_level level = req->status >= 500 && req->status != 501 ? SVC_ERROR : SVC_INFO;
	const char *method = method_name(req->ev);
	double ms = (double)(svc_steady_us() - req->start_us) / 1000.0;
	char path[256];
	size_t len = 0;

	if (!svc_log_is_on(level))
		return;
	for (const char *p = svc_req_path(req); *p != '\0' && len < sizeof(path) - 1; p++)
		path[len++] = *p >= 0x20 && *p < 0x7f ? *p : '?';
	path[len] = '\0';
	svc_log(level, "request",
	    json_pack("{s:s, s:s, s:s, s:s, s:i, s:f, s:I, s:I, s:b}", "request_id", req->id,
		"trace_id", req->trace_id, "method", method == NULL ? "?" : method, "path", path,
		"status", req->status, "duration_ms", ms, "bytes_in", (json_int_t)req->body_len,
		"bytes_out", (json_int_t)req->out_len, "client_gone", req->conn == NULL));
}

static void
free_reference(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	free(arg);
}

/* The fields that every reply has. */
static void
add_fields(struct svc_req *req)
{
	svc_reply_header(req, "X-Request-Id", "%s", req->id);
	svc_reply_header(req, "X-Served-By", "%s", req->svc->instance);
	if (req->out_type != NULL) {
		svc_reply_header(req, "Content-Type", "%s", req->out_type);
		svc_reply_header(req, "Cache-Control", "private, no-cache");
	}
	/* evhttp leaves it out where it sends no body */
	if (req->is_head)
		svc_reply_header(req, "Content-Length", "%zu", req->out_len);
	if (req->wants_close || req->svc->draining)
		svc_reply_header(req, "Connection", "close");
}

static void
send_reply(struct svc_req *req)
{
	struct evhttp_request *ev = req->ev;
	struct evbuffer *body = NULL;

	if (req->status == 0 || (req->status == 500 && req->out == NULL))
		svc_problem(req, 500, "internal", "the request could not be answered");
	add_fields(req);
	log_request(req);
	req->ev = NULL; /* evhttp's from here on */
	if (req->conn == NULL) {
		evhttp_send_reply(ev, req->status, NULL, NULL);
		end_request(req);
		return;
	}
	if (req->out != NULL && !req->is_head) {
		body = evbuffer_new();
		if (body != NULL &&
		    evbuffer_add_reference(
			body, req->out, req->out_len, free_reference, req->out) == 0)
			req->out = NULL;
	}
	evhttp_request_set_on_complete_cb(ev, on_written, req);
	/* may end the request, and so free it, before it returns */
	evhttp_send_reply(ev, req->status, NULL, body);
	if (body != NULL)
		evbuffer_free(body);
}

void
svc_finish(struct svc_req *req)
{
	assert(req->magic == SVC_REQ_MAGIC && req->route != NULL && req->route->kind == SVC_LOOP);
	send_reply(req);
}

/* On a pool thread. */
static void
run_job(struct svc_job *job, void *ctx)
{
	struct svc_req *req = (struct svc_req *)job;

	assert(req->magic == SVC_REQ_MAGIC);
	if (req->route->json && req->json == NULL && !svc_req_parse_json(req))
		return;
	req->route->handler(req, ctx);
}

static void
push(struct svc_req *req, struct svc_pool *pool)
{
	if (svc_pool_push(pool, &req->job))
		return;
	svc_problem(req, 503, "overloaded", "too many requests are waiting");
	svc_reply_header(req, "Retry-After", "1");
	send_reply(req);
}

/* A pool thread is done with it. */
static void
on_job_done(struct svc_job *job, void *arg)
{
	struct svc_req *req = (struct svc_req *)job;
	struct svc *svc = arg;

	assert(req->magic == SVC_REQ_MAGIC);
	if (req->wants_slow && !req->is_slow) {
		req->is_slow = true;
		push(req, svc->slow);
		return;
	}
	send_reply(req);
}

/*
 * evhttp lets pass what two readers may frame in two ways, and reads no body after some methods.
 * Such a request is answered, and the connection closed, so that its tail is never taken for a
 * request.
 */
static bool
is_framing_clear(struct svc_req *req)
{
	const struct evkeyvalq *in = evhttp_request_get_input_headers(req->ev);
	enum evhttp_cmd_type command = evhttp_request_get_command(req->ev);
	const struct evkeyval *field;
	unsigned lengths = 0;
	unsigned codings = 0;
	bool is_zero = true;

	TAILQ_FOREACH(field, in, next)
	{
		if (evutil_ascii_strcasecmp(field->key, "Content-Length") == 0) {
			lengths++;
			is_zero = strcmp(field->value, "0") == 0;
			if (strspn(field->value, "0123456789") != strlen(field->value))
				return (false);
		} else if (evutil_ascii_strcasecmp(field->key, "Transfer-Encoding") == 0) {
			codings++;
			if (evutil_ascii_strcasecmp(field->value, "chunked") != 0)
				return (false);
		}
	}
	if (lengths + codings > 1)
		return (false);
	if (command == EVHTTP_REQ_HEAD || command == EVHTTP_REQ_TRACE ||
	    method_name(req->ev) == NULL)
		return (codings == 0 && is_zero);
	return (true);
}

/* False, with the reply made, if the body is too long or memory is short. */
static bool
take_body(struct svc_req *req)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req->ev);
	size_t len = in == NULL ? 0 : evbuffer_get_length(in);

	if (len > req->svc->body_max) {
		svc_problem(req, 413, "body_too_large", "the body has more than %zu bytes",
		    req->svc->body_max);
		return (false);
	}
	if (len == 0)
		return (true);
	req->body = malloc(len);
	if (req->body == NULL) {
		svc_problem(req, 503, "overloaded", "out of memory");
		return (false);
	}
	evbuffer_remove(in, req->body, len);
	req->body_len = len;
	return (true);
}

static bool
take_query(struct svc_req *req)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req->ev);

	req->query = calloc(1, sizeof(*req->query));
	if (req->query == NULL)
		return (false);
	TAILQ_INIT(req->query);
	if (svc_query_parse(uri == NULL ? NULL : evhttp_uri_get_query(uri), req->query))
		return (true);
	svc_problem(req, 400, "malformed_query", "the query has a broken escape");
	return (false);
}

/* False, with the reply made, if no route takes it. */
static bool
find_route(struct svc_req *req, const char *method)
{
	char allow[SVC_ALLOW_SIZE];

	switch (svc_route_find(
	    req->svc->routes, method, svc_req_path(req), &req->route, &req->params, allow)) {
	case SVC_MATCH_FOUND:
		return (true);
	case SVC_MATCH_NO_METHOD:
		svc_problem(req, 405, "method_not_allowed", "this resource takes %s", allow);
		svc_reply_header(req, "Allow", "%s", allow);
		return (false);
	case SVC_MATCH_BAD_PATH:
		svc_problem(req, 400, "malformed_path", "the path has a broken escape");
		return (false);
	default:
		svc_problem(req, 404, "no_route", "there is no such resource");
		return (false);
	}
}

static bool
is_acceptable(struct svc_req *req)
{
	const char *method = method_name(req->ev);

	if (!is_framing_clear(req)) {
		req->wants_close = true;
		svc_problem(req, 400, "malformed_request", "the length of the body is not clear");
		return (false);
	}
	if (method == NULL) {
		svc_problem(req, 501, "method_unknown", "the method is not known");
		return (false);
	}
	return (take_body(req) && find_route(req, method) && take_query(req));
}

static void
on_request(struct evhttp_request *ev, void *arg)
{
	struct svc *svc = arg;
	struct svc_req *req = svc_req_new(svc, ev);

	if (req == NULL) {
		evhttp_send_error(ev, 503, NULL);
		return;
	}
	svc->in_flight++;
	evhttp_connection_set_closecb(req->conn, on_client_gone, req);
	if (!is_acceptable(req)) {
		send_reply(req);
		return;
	}
	req->job.run = run_job;
	req->is_slow = req->route->kind == SVC_SLOW;
	if (req->route->kind == SVC_LOOP)
		req->route->handler(req, svc->app);
	else
		push(req, req->is_slow ? svc->slow : svc->quick);
}

/* Bytes of a request on their way hold a drain up. */
static void
on_input(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
	(void)buffer;
	if (info->n_added > 0)
		arm_quiet(arg);
}

static struct bufferevent *
on_connection(struct event_base *base, void *arg)
{
	struct bufferevent *bev = bufferevent_socket_new(base, -1, 0);

	if (bev != NULL)
		evbuffer_add_cb(bufferevent_get_input(bev), on_input, arg);
	return (bev);
}

static void
on_accept_again(evutil_socket_t fd, short what, void *arg)
{
	struct svc *svc = arg;

	(void)fd;
	(void)what;
	if (svc->bound != NULL)
		evconnlistener_enable(svc->listener);
}

/*
 * Without descriptors the listener stays readable and would spin: it rests, and connections wait in
 * the backlog.
 */
static void
on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct svc *svc = accepting;
	struct timeval tv = { 0, ACCEPT_PAUSE_MS * 1000 };

	(void)arg;
	svc_log(SVC_WARN, "accept failed",
	    json_pack("{s:s}", "detail", evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR())));
	evconnlistener_disable(listener);
	event_add(svc->accept_again, &tv);
}

/* "127.0.0.1:9001", "[::1]:9001" or ":9001"; port 0 lets the kernel choose. */
static struct addrinfo *
parse_listen(const char *listen)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
		.ai_socktype = SOCK_STREAM };
	struct addrinfo *list = NULL;
	char host[64];
	const char *colon = strrchr(listen, ':');
	uint64_t port;
	size_t len;

	/* getaddrinfo would take 70000 as 4464 */
	if (colon == NULL || !svc_text_number(colon + 1, 0, UINT16_MAX, &port))
		return (NULL);
	len = (size_t)(colon - listen);
	if (len >= 2 && listen[0] == '[' && colon[-1] == ']') {
		listen++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return (NULL);
	memcpy(host, listen, len);
	host[len] = '\0';
	if (getaddrinfo(len == 0 ? NULL : host, colon + 1, &hints, &list) != 0)
		return (NULL);
	return (list);
}

static void
log_listening(struct svc *svc)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[NI_MAXHOST];
	char port[NI_MAXSERV];

	if (getsockname(evconnlistener_get_fd(svc->listener), (struct sockaddr *)&ss, &len) != 0 ||
	    getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return;
	svc_log(SVC_INFO, "listening",
	    json_pack("{s:s, s:i}", "address", host, "port", (int)strtol(port, NULL, 10)));
}

static bool
open_listener(struct svc *svc)
{
	struct addrinfo *addr = parse_listen(svc->listen);

	if (addr == NULL) {
		svc_log(SVC_ERROR, "not an address and port to listen on",
		    json_pack("{s:s}", "listen", svc->listen));
		return (false);
	}
	svc->listener = evconnlistener_new_bind(svc->base, NULL, NULL,
	    LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_CLOSE_ON_FREE, BACKLOG,
	    addr->ai_addr, (int)addr->ai_addrlen);
	freeaddrinfo(addr);
	if (svc->listener == NULL) {
		svc_log(SVC_ERROR, "cannot listen",
		    json_pack("{s:s, s:s}", "listen", svc->listen, "detail", strerror(errno)));
		return (false);
	}
	svc->bound = evhttp_bind_listener(svc->http, svc->listener);
	if (svc->bound == NULL) {
		evconnlistener_free(svc->listener);
		return (false);
	}
	accepting = svc;
	evconnlistener_set_error_cb(svc->listener, on_accept_error);
	return (true);
}

static void
on_quiet(evutil_socket_t fd, short what, void *arg)
{
	struct svc *svc = arg;

	(void)fd;
	(void)what;
	/* else the end of the last request arms it again */
	if (svc->in_flight == 0)
		event_base_loopbreak(svc->base);
}

static void
on_drain_end(evutil_socket_t fd, short what, void *arg)
{
	struct svc *svc = arg;

	(void)fd;
	(void)what;
	event_base_loopbreak(svc->base);
}

bool
svc_server_open(struct svc *svc)
{
	svc->http = evhttp_new(svc->base);
	svc->inbox = svc_inbox_new(svc->base, on_job_done, svc);
	svc->accept_again = evtimer_new(svc->base, on_accept_again, svc);
	svc->drain_quiet = evtimer_new(svc->base, on_quiet, svc);
	svc->drain_end = evtimer_new(svc->base, on_drain_end, svc);
	if (svc->http == NULL || svc->inbox == NULL || svc->accept_again == NULL ||
	    svc->drain_quiet == NULL || svc->drain_end == NULL)
		return (false);
	/* every method reaches on_request, unknown ones too: 405 and 501 are answered there */
	evhttp_set_allowed_methods(svc->http, 0xffff);
	evhttp_set_max_headers_size(svc->http, SVC_HEADERS_MAX);
	evhttp_set_max_body_size(svc->http, SVC_BODY_HARD_MAX);
	evhttp_set_timeout(svc->http, SVC_IDLE_S);
	evhttp_set_flags(svc->http, EVHTTP_SERVER_LINGERING_CLOSE);
	evhttp_set_default_content_type(svc->http, NULL);
	evhttp_set_bevcb(svc->http, on_connection, svc);
	evhttp_set_gencb(svc->http, on_request, svc);
	return (true);
}

bool
svc_server_listen(struct svc *svc)
{
	if (!open_listener(svc))
		return (false);
	log_listening(svc);
	return (true);
}

void
svc_server_drain(struct svc *svc)
{
	struct timeval tv = { SVC_DRAIN_S, 0 };

	svc->draining = true;
	if (svc->bound != NULL)
		evhttp_del_accept_socket(svc->http, svc->bound);
	svc->bound = NULL;
	svc->listener = NULL;
	event_add(svc->drain_end, &tv);
	arm_quiet(svc);
}

void
svc_server_close(struct svc *svc)
{
	struct event *events[] = { svc->accept_again, svc->drain_quiet, svc->drain_end };

	if (svc->http != NULL)
		evhttp_free(svc->http);
	svc_inbox_free(&svc->inbox);
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (events[i] != NULL)
			event_free(events[i]);
	}
}
