/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/filters/runs.h"

/* Templates and regular expressions in `rewrite` and `redirect`. */

#define MOVED(match, to, request, location)						\
	{ "", "- { " match ", redirect: { to: \"" to "\" } }|- { path: /u, upstream: u }",	\
	  request, "", NULL, "", " 308 |\r\nLocation: " location "\r\n", "" }
#define NOT_MOVED(match, to, request, status)						\
	{ "", "- { " match ", redirect: { to: \"" to "\" } }|- { path: /u, upstream: u }",	\
	  request, "", NULL, "", status, "Location" }

/* What the upstream is asked for. */
#define TO(route, request, line) \
	{ "", "prefix: /, rewrite: { " route " }", request, "", line " HTTP/1.1\r\n", "", " 200 ", "" }
#define REFUSED(route, request, status) \
	{ "", "prefix: /, rewrite: { " route " }", request, "", NULL, "", status, "" }

static void
test_rewrite_by_regex(void **state)
{
	static const struct run runs[] = {
		TO("regex: \"^/img/(.*)$\", with: \"/i/$1\"", "GET /img/a/b.png?x=1",
		    "GET /i/a/b.png?x=1"),
		TO("regex: \"^/(\\\\w+)/(\\\\d+)$\", with: \"/$2/$1\"", "GET /users/42", "GET /42/users"),
		/* what it does not match is left as it came */
		TO("regex: \"^/img/(.*)$\", with: \"/i/$1\"", "GET /x/%7Eimg//?", "GET /x/%7Eimg//?"),
		/* the part that it matches, the first time, is replaced */
		TO("regex: \"/img/\", with: \"/i/\"", "GET /a/img/b/img/c", "GET /a/i/b/img/c"),
		TO("regex: \"/v1\", with: \"\"", "GET /v1/users", "GET /users"),
		TO("regex: \"^/v1$\", with: \"\"", "GET /v1", "GET /"),
		TO("regex: \"$\", with: /end", "GET /a", "GET /a/end"),
		TO("regex: \"^\", with: /begin", "GET /a?b", "GET /begin/a?b"),
		/* of the canonical path: no other spelling gets around it */
		TO("regex: \"^/img/(.*)$\", with: \"/i/$1\"", "GET /x/../%69mg//./b", "GET /i/b"),
		TO("regex: \"^/a/(.*)$\", with: \"/$1\"", "GET /a/%20%3F%23%0D%0A", "GET /%20%3F%23%0D%0A"),
		TO("regex: \"^/a/(.*)$\", with: \"/$1\"", "GET /a/%c3%a4\"<>", "GET /%C3%A4%22%3C%3E"),
		TO("regex: \"^/a(/b)?(/c)?$\", with: \"/x$1$2\"", "GET /a/c", "GET /x/c"),
		TO("regex: \"^/a/(.*)$\", with: \"/$$1/%7e/$1$1\"", "GET /a/b", "GET /$1/~/bb"),
		TO("regex: \"^/a\", with: \"{path}/{host}/{scheme}\"", "GET /a", "GET /a/h/http"),
		TO("regex: \"^/a\", with: \"/x\"", "OPTIONS *", "OPTIONS *"),
		TO("regex: \"(?i)^/A(.*)\", with: \"/x$1\"", "GET http://h/a/b", "GET /x/b"),
		/* slashes that meet are one: nothing goes out that could name a host */
		TO("regex: \"^/a/(.*)$\", with: \"/$1\"", "GET /a//evil.test", "GET /evil.test"),
		TO("regex: \"^/a(.*)$\", with: \"/$1\"", "GET /a/evil.test", "GET /evil.test"),
	};

	(void)state;
	CHECK_RUNS(runs);
}

/* What captures could put together is looked at as what a client sends. */
static void
test_no_way_out(void **state)
{
	static const struct run runs[] = {
		REFUSED("regex: \"^/([^-]*)-(.*)$\", with: \"/files/$1/$2\"", "GET /..-etc",
		    " 400 |path_refused"),
		REFUSED("regex: \"^/([^-]*)-(.*)$\", with: \"/files/$1/$2\"", "GET /.-etc",
		    " 400 |path_refused"),
		REFUSED("regex: \"^/a(.*)$\", with: \"/.$1\"", "GET /a.", " 400 |path_refused"),
		REFUSED("regex: \"^/(%)25(.*)$\", with: \"/$1$2\"", "GET /%252e",
		    " 400 |path_refused"),
		REFUSED("regex: \"^/(%)25(.*)$\", with: \"/$1$2\"", "GET /%2500",
		    " 400 |path_refused"),
		REFUSED("regex: \"^/(%)25(.*)$\", with: \"/$1$2\"", "GET /%252fx",
		    " 400 |path_refused"),
		REFUSED("regex: \"^/(%)(.*)$\", with: \"/$2$1\"", "GET /%20", " 400 |path_refused"),
		REFUSED("regex: \"^/(.*)$\", with: \"$1\"", "GET /a", " 400 |path_refused"),
		/* one that was let in stays, and one that the file wants */
		{ "", "prefix: /, allow_encoded_slash: true, rewrite: { regex: \"^/a(.*)$\", "
		    "with: \"/b$1\" }", "GET /a%2fc", "", "GET /b%2Fc ", "", " 200 ", "" },
		TO("regex: \"^/a(.*)$\", with: \"/b%2F$1\"", "GET /ac", "GET /b%2Fc"),
		/* an expression that comes to no end */
		REFUSED("regex: \"^/(a+)+$\", with: /x", "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
		    " 400 |match_limit"),
	};

	(void)state;
	CHECK_RUNS(runs);
}

static void
test_length_is_bounded(void **state)
{
	char request[9000] = "GET /";
	const struct run run = REFUSED("regex: \"^/(.*)$\", with: \"/$1$1$1$1\"", request,
	    " 414 |uri_too_long");

	(void)state;
	memset(request + strlen(request), 'a', 2100);
	runs_check(&run, 1);
}

/* Wherever in the target it is that the request's bytes are put. */
static void
test_length_of_redirects(void **state)
{
#define TOO_LONG(match, to)	NOT_MOVED(match, to, request, " 414 |uri_too_long")
	char request[5000] = "GET /in/";
	const struct run runs[] = {
		TOO_LONG("prefix: /in", "/login?to={path}&or={path}"),
		TOO_LONG("prefix: /in", "/login#{path}{path}"),
		TOO_LONG("prefix: /in", "/x{path}{path}"),
		TOO_LONG("regex: \"^/in/(.*)$\"", "/login?to=$1$1"),
		{ "", "- { prefix: /in, redirect: { to: \"https://{host}/to\" } }"
		    "|- { path: /u, upstream: u }", request, "", NULL, "", " 308 |Location: https://h/to/",
		    "" },
	};

	(void)state;
	/* Of three bytes each where they are encoded. */
	memset(request + strlen(request), '"', 1400);
	CHECK_RUNS(runs);
}

static void
test_rewrite_of_the_path(void **state)
{
	static const struct run runs[] = {
		TO("path: \"/{host}{path}\"", "GET /a/../b?q", "GET /h/b?q"),
		TO("path: \"/t/{host}\"", "GET /x|Host: A.Example:81\r\n", "GET /t/a.example"),
		TO("path: \"/t/{host}\"", "GET /x|Host: [::1]:80\r\n", "GET /t/%5B::1%5D"),
		TO("path: \"/$$x/./y\"", "GET /a", "GET /$x/y"),
	};

	(void)state;
	CHECK_RUNS(runs);
}

/* The captures of the regex that the route matches by. */
static void
test_captures_of_the_route(void **state)
{
#define OWN(regex, action)	"- { name: r, regex: \"" regex "\", " action " }|- { path: /u, upstream: u }"
	static const struct run runs[] = {
		{ "", OWN("^/users/(\\\\d+)/(\\\\w+)$", "upstream: u, rewrite: { path: \"/$2/$1\" }"),
		    "GET /users/7/cart?q", "", "GET /cart/7?q HTTP/1.1", "", " 200 ", "" },
		{ "", OWN("^/users/(\\\\d+)", "redirect: { to: \"https://x.test/u/$1?from=$1\" }"),
		    "GET /users/7/cart?q", "", NULL, "", " 308 |Location: https://x.test/u/7?from=7\r\n",
		    "" },
		{ "", OWN("^/go/(.*)$", "redirect: { to: \"/$1\" }"), "GET /go//evil.test?q", "", NULL,
		    "", "Location: /evil.test?q\r\n", "" },
		{ "", OWN("^/go/([^:]*):(.*)$", "redirect: { to: \"/$1/$2\" }"), "GET /go/..:x", "", NULL,
		    "", " 400 |path_refused", "Location" },
		/* inherited, it is made for each route that has one */
		{ ", rewrite: { path: \"/l/$1\" }", "- { regex: \"^/a/(.)\", upstream: u }"
		    "|- { regex: \"^/b/(.)\", upstream: u }|- { path: /u, upstream: u, rewrite: off }",
		    "GET /b/c/d", "", "GET /l/c HTTP/1.1", "", " 200 ", "" },
	};
	static const struct mistake cases[] = {
		{ "regex: \"^/(.)\", rewrite: { path: \"/$2\" }", "the regex has 1 group" },
	};

	(void)state;
	CHECK_RUNS(runs);
	CHECK_MISTAKES(cases);
}

static void
test_redirect(void **state)
{
	static const struct run runs[] = {
		MOVED("prefix: /", "https://{host}", "GET /a/b?q", "https://h/a/b?q"),
		MOVED("prefix: /", "https://{host}{path}", "GET /a/./b?q", "https://h/a/b?q"),
		MOVED("prefix: /old", "https://{host}:8443/new", "GET /old/x?q",
		    "https://h:8443/new/x?q"),
		MOVED("prefix: /", "https://www.{host}/", "GET /a|Host: Example.test:81\r\n",
		    "https://www.example.test/a"),
		MOVED("prefix: /", "{scheme}://x.test", "GET /a", "http://x.test/a"),
		MOVED("prefix: /", "https://{host}/", "GET /a|Host: [::1]:81\r\n", "https://[::1]/a"),
		MOVED("prefix: /in", "/login?to={path}", "GET /in/a%26b&c=d?q",
		    "/login?to=/in/a%26b%26c%3Dd"),
		MOVED("prefix: /in", "/x{path}?a=1&{query}#f", "GET /in/a?b=2&c=%3F",
		    "/x/in/a?a=1&b=2&c=%3F#f"),
		MOVED("path: /in", "/x?{query}", "GET /in", "/x?"),
		MOVED("prefix: /in", "/in$$/", "GET /in/a", "/in$/a"),
		/* not to another host, by whatever path */
		MOVED("prefix: /", "/x{path}", "GET //evil.test/...;/", "/x/evil.test/...;/"),
		NOT_MOVED("prefix: /", "https://www.{host}/", "GET /a|Host: [::1]\r\n",
		    " 400 |request_malformed"),
	};

	(void)state;
	CHECK_RUNS(runs);
}

static void
test_scheme_of_a_trusted_proxy(void **state)
{
	static const struct run runs[] = {
		{ RUNS_TRUSTED, "- { prefix: /, redirect: { to: \"{scheme}://x.test\" } }"
		    "|- { path: /u, upstream: u }", "GET /|X-Forwarded-Proto: https\r\n", "", NULL, "",
		    "Location: https://x.test/\r\n", "" },
		{ RUNS_TRUSTED, "- { prefix: /, redirect: { to: \"{scheme}://x.test\" } }"
		    "|- { path: /u, upstream: u }", "GET /|X-Forwarded-Proto: javascript\r\n", "",
		    NULL, "", "Location: http://x.test/\r\n", "" },
		{ RUNS_UNTRUSTED, "- { prefix: /, redirect: { to: \"{scheme}://x.test\" } }"
		    "|- { path: /u, upstream: u }", "GET /|X-Forwarded-Proto: https\r\n", "", NULL, "",
		    "Location: http://x.test/\r\n", "" },
	};

	(void)state;
	CHECK_RUNS(runs);
}

static void
test_mistakes(void **state)
{
#define REGEX(regex, with)	"prefix: /a, rewrite: { regex: \"" regex "\", with: \"" with "\" }"
#define PATH(path)		"prefix: /a, rewrite: { path: \"" path "\" }"
	static const struct mistake cases[] = {
		{ "prefix: /a, rewrite: { regex: a }", "needs \"with\" beside it" },
		{ "prefix: /a, rewrite: { with: /a }", "needs \"regex\" beside it" },
		{ "prefix: /a, rewrite: { path: /a, regex: b, with: /c }", "exclude each other" },
		{ REGEX("^/(a", "/$1"), "5:50: error: missing closing" },
		{ REGEX("^/(a)(b)", "/$1/$3"),
		    "error: with \"/$1/$3\": $3 captures nothing: the regex has 2 groups" },
		{ REGEX("^/a", "/$1"), "the regex has 0 groups" },
		{ REGEX("^/a", "/$0"), "captures are $1 to $9" },
		{ REGEX("^/a", "/$x"), "a dollar is written $$" },
		{ REGEX("^/a", "/$"), "a dollar is written $$" },
		{ REGEX("^/a", "/{hots}"), "there is no {hots}; did you mean {host}?" },
		{ REGEX("^/a", "/{cookie}"), "{host}, {path}, {query} and {scheme}" },
		{ REGEX("^/a", "/{query}"), "behind a `?` only" },
		{ REGEX("^/a", "/{host"), "not closed" },
		{ REGEX("^/a", "/host}"), "not opened" },
		{ REGEX("^/a", "/a?b"), "a path ends at `?` and `#`" },
		{ REGEX("^/a", "/a b"), "written %XX" },
		{ REGEX("^/a", "/a\\\\b"), "written %XX" },
		{ REGEX("^/a", "/a%2"), "two hexadecimal digits" },
		{ REGEX("^/a(.)", "/a%$1"), "two hexadecimal digits" },
		{ REGEX("^/a(.)", "/../$1"), ". or .." },
		{ REGEX("^/a(.)", "/%2e/$1"), ". or .." },
		{ REGEX("^/a(.)", "b$1"), "not begin with a slash" },
		{ REGEX("^/a(.)", "{host}"), "not begin with a slash" },
		{ PATH("/x/$1"), "5:49: error: path \"/x/$1\": there is no regex that could capture $1" },
		{ PATH("/x/{hst}"), "did you mean {host}?" },
		{ "prefix: /a, rewrite: { prefix: \"/x/$1\" }", "taken as it is" },
		{ "prefix: /a, rewrite: { prefix: \"/x/{host}\" }", "taken as it is" },
	};

	(void)state;
	CHECK_MISTAKES(cases);
}

static void
test_redirect_mistakes(void **state)
{
	static const struct { const char *to, *says; } cases[] = {
		{ "https://$1.test/", "no part of a path may choose the host" },
		{ "https://{path}/", "no host" },
		{ "https://{query}/", "behind a `?` only" },
		{ "https://x.test/$1", "there is no regex" },
		{ "https://{hst}/", "did you mean {host}?" },
		{ "https://{host}:99999/", "no host" },
		{ "https:///", "no host" },
		{ "ftp://{host}/", "http:// or https:// is due" },
		{ "javascript://x/", "http:// or https:// is due" },
		{ "x{path}", "a path or a URL" },
		{ "//{host}/", "another host's name" },
		{ "/x/{query}", "behind a `?` only" },
		{ "/x/../{path}", ". or .." },
		{ "/x y", "written %XX" },
		{ "/x?a b", "written %XX" },
		{ "/x?{query", "not closed" },
	};
	char text[512], *says;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(text, sizeof text, RUNS_HEAD("") "  - { path: /u, upstream: u }\n"
		    "  - { path: /a, redirect: { to: \"%s\" } }\n", cases[i].to);
		says = rig_mistakes(&runs_program, text);
		if (strstr(says, "6:33: error: redirect to ") == NULL ||
		    strstr(says, cases[i].says) == NULL)
			fail_msg("%s: wanted %s, got %s", cases[i].to, cases[i].says, says);
		free(says);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rewrite_by_regex),
		cmocka_unit_test(test_no_way_out),
		cmocka_unit_test(test_length_is_bounded),
		cmocka_unit_test(test_length_of_redirects),
		cmocka_unit_test(test_rewrite_of_the_path),
		cmocka_unit_test(test_captures_of_the_route),
		cmocka_unit_test(test_redirect),
		cmocka_unit_test(test_scheme_of_a_trusted_proxy),
		cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_redirect_mistakes),
	};

	return (cmocka_run_group_tests(tests, NULL, NULL));
}
