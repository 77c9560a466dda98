/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <string.h>

#include "tests/unit/filters/runs.h"

#define APP	"Origin: https://app.example.com\r\n"
#define EVIL	"Origin: https://evil.example\r\n"
#define ASK(method)	"Access-Control-Request-Method: " method "\r\n"
#define ONE	"prefix: /, cors: { origins: [\"https://app.example.com\"] }"
#define ALLOW	"Access-Control-Allow-Origin: https://app.example.com\r\n"
#define NOTHING	"Access-Control-"

static void
test_preflight(void **state)
{
	static const struct run runs[] = {
		{ "", ONE, "OPTIONS /a|" APP ASK("PUT"), "", NULL, "",
		    "204 No Content\r\n|\r\n" ALLOW "|\r\nAccess-Control-Allow-Methods: GET, HEAD, "
		    "POST\r\n|\r\nAccess-Control-Max-Age: 5\r\n|\r\nVary: Origin, "
		    "Access-Control-Request-Method, Access-Control-Request-Headers\r\n|"
		    "X-Request-Id: ", "Allow-Headers|Credentials|Expose|Content-Length" },
		{ "", "prefix: /, cors: { origins: [\"https://App.Example.com\"], methods: [PUT], "
		    "headers: [X-A, X-B], expose: [X-C], credentials: true, max_age: 10m }",
		    "OPTIONS /a|" APP ASK("GET") "Access-Control-Request-Headers: x-c\r\n", "",
		    NULL, "", " 204 |\r\n" ALLOW "|\r\nAccess-Control-Allow-Methods: PUT\r\n|"
		    "\r\nAccess-Control-Allow-Headers: X-A, X-B\r\n|"
		    "\r\nAccess-Control-Allow-Credentials: true\r\n|"
		    "\r\nAccess-Control-Max-Age: 600\r\n", "Expose" },
		/* what was asked for, where that is allowed */
		{ "", "prefix: /, cors: { origins: [\"https://app.example.com\"], "
		    "methods: [\"*\"] }",
		    "OPTIONS /a|" APP ASK("PURGE") "Access-Control-Request-Headers: a,x-b\r\n", "",
		    NULL, "", " 204 |\r\nAccess-Control-Allow-Methods: PURGE\r\n|"
		    "\r\nAccess-Control-Allow-Headers: a,x-b\r\n", "" },
		{ "", ONE, "OPTIONS /a|" APP ASK("GET") "Access-Control-Request-Headers: a b\r\n",
		    "", NULL, "", " 204 |" ALLOW, "Allow-Headers" },
		{ "", ONE, "OPTIONS /a|" APP ASK("GET") "Access-Control-Request-Headers: a\r\n"
		    "Access-Control-Request-Headers: b\r\n", "", NULL, "", " 204 ", "Allow-Headers" },
		{ "", "prefix: /, cors: { origins: [\"https://app.example.com\"], headers: [] }",
		    "OPTIONS /a|" APP ASK("GET") "Access-Control-Request-Headers: a\r\n", "", NULL,
		    "", " 204 |" ALLOW, "Allow-Headers" },
		/* whom it does not name learns nothing, but that it depends on who asks */
		{ "", ONE, "OPTIONS /a|" EVIL ASK("GET"), "", NULL, "", " 204 |\r\nVary: Origin",
		    NOTHING "Allow|" NOTHING "Max" },
		{ "", ONE, "OPTIONS /a|" APP EVIL ASK("GET"), "", NULL, "", " 204 ",
		    NOTHING "Allow" },
		{ "", ONE, "OPTIONS /a|" APP ASK("G T"), "", NULL, "", " 204 ", NOTHING "Allow" },
		/* before addresses are looked at in vain: a refusal is marked as any answer */
		{ "", ONE ", ip: { deny: [198.51.100.1] }", "OPTIONS /a|" APP ASK("GET"), "", NULL,
		    "", " 403 |\r\n" ALLOW, "Allow-Methods" },
		/* an edit of what the upstream sees takes nothing away */
		{ "", ONE ", request_headers: { remove: [Origin] }", "GET /|" APP, "", "GET /",
		    "Origin", " 200 |" ALLOW, "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

/* Long lists of names are not sent back. */
static void
test_bounds(void **state)
{
	char request[4000] = "OPTIONS /a|" APP ASK("GET") "Access-Control-Request-Headers: ";
	const struct run run = { "", ONE, request, "", NULL, "", " 204 |" ALLOW, "Allow-Headers" };

	(void)state;
	memset(request + strlen(request), 'x', 2049);
	strcat(request, "\r\n");
	runs_check(&run, 1);
}

static void
test_other_requests(void **state)
{
	static const struct run runs[] = {
		{ "", ONE, "GET /|" APP, "", "GET /", "", " 200 |" ALLOW "|\r\nVary: Origin\r\n",
		    "Methods|Max-Age|Credentials|Expose" },
		{ "", ONE, "GET /|" EVIL, "", "GET /", "", " 200 |\r\nVary: Origin\r\n", NOTHING },
		{ "", ONE, "GET /", "", "GET /", "", " 200 |\r\nVary: Origin\r\n", NOTHING },
		{ "", ONE, "OPTIONS /|" APP, "", "OPTIONS /", "", " 200 |" ALLOW, "" },
		{ "", ONE, "OPTIONS *|" APP ASK("GET"), "", "OPTIONS *", "", " 200 ", " 204 " },
		{ "", ONE, "OPTIONS /|" ASK("GET"), "", "OPTIONS /", "", " 200 ", " 204 " },
		{ "", ONE, "POST /|" APP ASK("GET"), "", "POST /", "", " 200 ", " 204 " },
		{ "", "prefix: /", "OPTIONS /|" APP ASK("GET"), ALLOW, "OPTIONS /", "", " 200 |"
		    ALLOW, "Vary" },
		{ "", "prefix: /, cors: { origins: [\"https://app.example.com\"], expose: [X-A, "
		    "X-B], credentials: true }", "GET /|" APP, "", "GET /", "", ALLOW
		    "|\r\nAccess-Control-Expose-Headers: X-A, X-B\r\n|"
		    "\r\nAccess-Control-Allow-Credentials: true\r\n", "" },
		/* what the server says of it does not count */
		{ "", ONE, "GET /|" APP, "access-control-allow-origin: *\r\nAccess-Control-Allow-"
		    "Credentials: true\r\nAccess-Control-Expose-Headers: *\r\n"
		    "Access-Control-Max-Age: 9\r\n", "GET /", "", ALLOW,
		    "allow-origin|: *|Credentials|Expose|Max-Age" },
		{ "", ONE, "GET /|" EVIL, "Access-Control-Allow-Origin: https://evil.example\r\n",
		    "GET /", "", " 200 ", NOTHING },
		/* Vary is not said twice */
		{ "", ONE, "GET /|" APP, "Vary: Accept, origin\r\n", "GET /", "",
		    "Vary: Accept, origin", "Vary: Origin" },
		{ "", ONE, "GET /|" APP, "Vary: Accept\r\n", "GET /", "",
		    "Vary: Accept\r\n|Vary: Origin\r\n", "" },
		{ "", ONE ", response_headers: { set: { Vary: X } }", "GET /|" APP, "", "GET /", "",
		    "Vary: X\r\n|Vary: Origin\r\n", "" },
		/* everybody: nothing depends on who asks */
		{ "", "prefix: /, cors: { origins: [\"*\"], expose: [\"*\"] }", "GET /", "",
		    "GET /", "", "\r\nAccess-Control-Allow-Origin: *\r\n|"
		    "\r\nAccess-Control-Expose-Headers: *\r\n", "Vary" },
		{ "", "prefix: /, cors: { origins: [\"*\"] }", "GET /|" EVIL, "", "GET /", "",
		    "\r\nAccess-Control-Allow-Origin: *\r\n", "Vary" },
		/* answers of our own */
		{ "", ONE ", ip: { deny: [198.51.100.1] }", "GET /|" APP, "", NULL, "", " 403 |"
		    ALLOW, "" },
		{ "", ONE ", body_limit: 1B", "POST /|" APP "Content-Length: 9\r\n", "", NULL, "",
		    "413 |" ALLOW, "" },
		{ "", "- { prefix: /, cors: { origins: [\"https://app.example.com\"] }, "
		    "respond: { status: 503 } }|- { prefix: /u, upstream: u }", "GET /|" APP, "",
		    NULL, "", "503 |" ALLOW, "" },
		{ ", cors: { origins: [\"https://app.example.com\"] }", "prefix: /, cors: off",
		    "GET /|" APP, ALLOW, "GET /", "", " 200 |" ALLOW, "Vary" },
		{ ", cors: { origins: [\"https://app.example.com\"] }",
		    "prefix: /, cors: { methods: [PUT] }", "OPTIONS /|" APP ASK("PUT"), "", NULL,
		    "", " 204 |" ALLOW "|Methods: PUT\r\n", "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

#define AS(origins, origin)	"prefix: /, cors: { origins: [" origins "] }", "GET /|Origin: " \
	origin "\r\n", "", "GET /", ""
#define IS(origins, origin)	{ "", AS(origins, origin), "\r\nAccess-Control-Allow-Origin: " \
	origin "\r\n", "" }
#define ISNT(origins, origin)	{ "", AS(origins, origin), " 200 ", "Access-Control" }

static void
test_origins(void **state)
{
	static const struct run runs[] = {
		IS("\"http://a.b\", \"http://a.b:81\"", "http://a.b:81"),
		IS("\"http://a.b\", \"http://a.b:81\"", "http://a.b"),
		ISNT("\"http://a.b:81\"", "http://a.b"),
		ISNT("\"http://a.b\"", "https://a.b"),
		ISNT("\"http://a.b\"", "http://a.b.c"),
		ISNT("\"http://a.b\"", "http://xa.b"),
		ISNT("\"http://a.b\"", "http://A.b"),
		ISNT("\"http://a.b\"", "null"),
		ISNT("\"http://a.b\"", ""),
		IS("\"null\"", "null"),
		IS("\"http://[::1]:8080\"", "http://[::1]:8080"),
		IS("\"http://localhost:3000\"", "http://localhost:3000"),
		IS("\"chrome-extension://abcdef\"", "chrome-extension://abcdef"),
		/* whole labels, one or more */
		IS("\"https://*.example.com\"", "https://a.example.com"),
		IS("\"https://*.example.com\"", "https://a-1.b_2.example.com"),
		IS("\"https://*.example.com:81\"", "https://a.example.com:81"),
		ISNT("\"https://*.example.com:81\"", "https://a.example.com"),
		ISNT("\"https://*.example.com\"", "https://example.com"),
		ISNT("\"https://*.example.com\"", "https://.example.com"),
		ISNT("\"https://*.example.com\"", "https://a..example.com"),
		ISNT("\"https://*.example.com\"", "https://.a.example.com"),
		ISNT("\"https://*.example.com\"", "https://aexample.com"),
		ISNT("\"https://*.example.com\"", "https://evil.org/.example.com"),
		ISNT("\"https://*.example.com\"", "https://evil.org?.example.com"),
		ISNT("\"https://*.example.com\"", "https://u@evil.example.com"),
		ISNT("\"https://*.example.com\"", "http://a.example.com"),
		ISNT("\"https://*.example.com\"", "null"),
	};

	(void)state;
	CHECK_RUNS(runs);
}

/* A preflight is routed by what it announces. */
static void
test_preflight_routes(void **state)
{
#define POSTS	"- { prefix: /x, methods: [POST], upstream: u, " \
	"cors: { origins: [\"https://app.example.com\"], methods: [POST] } }"
#define REST	"- { prefix: /, upstream: u }"
#define CORS_REST	"- { prefix: /, upstream: u, " \
	"cors: { origins: [\"https://app.example.com\"], methods: [PUT] } }"
#define BARE	"- { prefix: /x, methods: [POST], upstream: u }"
	static const struct run runs[] = {
		/* of a route that takes no OPTIONS */
		{ "", POSTS "|" REST, "OPTIONS /x|" APP ASK("POST"), "", NULL, "", " 204 |" ALLOW
		    "|Methods: POST\r\n", "" },
		/* not of the one that it is not for */
		{ "", POSTS "|" REST, "OPTIONS /x|" APP ASK("PUT"), "", "OPTIONS /x", "", " 200 ",
		    "" },
		{ "", POSTS "|" CORS_REST, "OPTIONS /x|" APP ASK("PUT"), "", NULL, "", " 204 |" ALLOW
		    "|Methods: PUT\r\n", "" },
		{ "", POSTS "|" CORS_REST, "OPTIONS /x|" APP ASK("POST"), "", NULL, "", " 204 |"
		    "Methods: POST\r\n", "" },
		/* no route allows what would be another's */
		{ "", BARE "|" CORS_REST, "OPTIONS /x|" APP ASK("POST"), "", NULL, "", " 204 |Vary",
		    NOTHING "Allow" },
		{ "", BARE "|" CORS_REST, "OPTIONS /x/y|" APP ASK("PUT"), "", NULL, "", " 204 |" ALLOW,
		    "" },
		/* no preflight: OPTIONS as ever */
		{ "", POSTS "|" REST, "OPTIONS /x|" ASK("POST"), "", "OPTIONS /x", "", " 200 ", "" },
		{ "", POSTS "|- { prefix: /y, upstream: u }", "OPTIONS /x|" APP, "", NULL, "",
		    " 404 |no_route", "" },
		{ "", POSTS "|- { prefix: /y, upstream: u }", "OPTIONS /x|" APP ASK("PUT"), "",
		    NULL, "", " 404 |no_route", "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

#define WRONG(origin)	"prefix: /a, cors: { origins: [\"" origin "\"] }"

static void
test_mistakes(void **state)
{
	static const struct mistake cases[] = {
		{ "prefix: /a, cors: { methods: [GET] }", "names no origins" },
		{ "prefix: /a, cors: { origins: [] }", "origins" },
		{ "prefix: /a, cors: { orgins: [\"*\"] }", "did you mean \"origins\"" },
		{ "prefix: /a, cors: { origins: [\"*\"], credentials: true }",
		    "5:69: error: browsers refuse credentials together with origins \"*\"" },
		{ "prefix: /a, cors: { origins: [\"null\"], credentials: true }", "everybody" },
		{ "prefix: /a, cors: { origins: [\"*\", \"http://a.b\"] }", "keep either" },
		{ "prefix: /a, cors: { origins: [\"http://a.b\"], credentials: true, "
		    "expose: [\"*\"] }", "name the fields" },
		{ "prefix: /a, cors: { origins: [null] }", "error" },
		{ WRONG("app.example.com"), "an origin is a scheme and a host" },
		{ WRONG("://a"), "an origin is a scheme and a host" },
		{ WRONG("https://a.b/"), "no slash at its end" },
		{ WRONG("https://a.b/x"), "has no path" },
		{ WRONG("https://*a.b"), "first labels" },
		{ WRONG("https://a.*.b"), "first labels" },
		{ WRONG("https://*.*.b"), "first labels" },
		{ WRONG("https://*"), "first labels" },
		{ WRONG("https://*."), "no host" },
		{ WRONG("https://u@a.b"), "no host" },
		{ WRONG("https://a b"), "no host" },
		{ WRONG("https://\xc3\xa4.b"), "xn--" },
		{ WRONG("https://a.b."), "dot at its end" },
		{ WRONG("https://a.b:443"), "leave out the port" },
		{ WRONG("http://a.b:80"), "leave out the port" },
		{ WRONG("https://a.b:"), "no port" },
		{ WRONG("https://a.b:080"), "port" },
		{ WRONG("https://a.b:70000"), "no port" },
		{ "prefix: /a, cors: { origins: [\"*\"], max_age: 500ms }", "whole seconds" },
		{ "prefix: /a, cors: { origins: [\"*\"], max_age: 10 }", "10s" },
		{ "prefix: /a, cors: { origins: [\"*\"], max_age: 2d }", "max" },
		{ "prefix: /a, cors: { origins: [\"*\"], methods: [get] }", "GET" },
		{ "prefix: /a, cors: \"*\"", "error" },
	};

	(void)state;
	CHECK_MISTAKES(cases);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_preflight),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_other_requests),
		cmocka_unit_test(test_origins),
		cmocka_unit_test(test_preflight_routes),
		cmocka_unit_test(test_mistakes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
