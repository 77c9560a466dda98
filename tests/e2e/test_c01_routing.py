# SPDX-License-Identifier: Apache-2.0
"""Which route takes a request, and what it does with it."""

import json
from collections import Counter

import pytest

CONF = """
version: 1
listeners:
  web: { listen: "127.0.0.1:@web@" }
  other: { listen: "127.0.0.1:@other@" }
upstreams:
  a: { servers: ["@a@"] }
  b: { servers: ["@b@"] }
routes:
  - { name: exact-host, hosts: [api.example.com], prefix: /h, respond: { status: 200, body: exact } }
  - { name: wild-long, hosts: ["*.shop.example.com"], prefix: /h, respond: { status: 200, body: wild-long } }
  - { name: wild, hosts: ["*.example.com"], prefix: /h, respond: { status: 200, body: wild } }
  - { name: no-host, prefix: /h, respond: { status: 200, body: none } }
  - { name: path, path: /p/exact, respond: { status: 200, body: path } }
  - { name: p, prefix: /p, respond: { status: 200, body: p } }
  - { name: long, prefix: /p/long/, respond: { status: 200, body: long } }
  - { name: get, prefix: /m, methods: [GET], respond: { status: 200, body: get } }
  - { name: post, prefix: /m, methods: [POST], respond: { status: 200, body: post } }
  - { name: any, prefix: /n, respond: { status: 200, body: any } }
  - { name: only-get, prefix: /n, methods: [GET], respond: { status: 200, body: only-get } }
  - { name: by-listener, prefix: /l, listeners: [other], respond: { status: 200, body: other } }
  - { name: split, prefix: /split, split: { a: 3, b: 1 } }
  - { name: moved, prefix: /old, redirect: { to: /new, status: 308 } }
  - { name: abroad, prefix: /abroad, redirect: { to: "https://x.example.org/y", status: 302 } }
  - { name: own-query, prefix: /own-query, redirect: { to: "/new?a=1#f" } }
  - { name: fragment, prefix: /fragment, redirect: { to: "/new/#f" } }
  - { name: literal, hosts: ["FD00::1"], prefix: /h, respond: { body: literal } }
  - { name: busy, prefix: /busy, respond: { status: 503, headers: { Retry-After: "60" }, body: "back soon" } }
  - { name: strip, prefix: /strip, strip_prefix: true, upstream: a }
  - { name: fixed, prefix: /fixed, rewrite: { path: /one }, upstream: a }
  - { name: swap, prefix: /swap, rewrite: { prefix: /static }, upstream: a }
  - { name: slash, prefix: /slash, allow_encoded_slash: true, upstream: a }
  - { name: plain, prefix: /plain, upstream: a }
admin: { listen: "127.0.0.1:@admin@" }
workers: 1
"""


@pytest.fixture
def shop(start, origins):
    a, b = origins(), origins()
    gw = start(CONF, a=a.address, b=b.address)
    gw.a, gw.b = a, b
    return gw


@pytest.mark.parametrize("host,body", [
    ("api.example.com", b"exact"), ("API.Example.COM", b"exact"), ("api.example.com:8080", b"exact"),
    ("api.example.com.", b"exact"), ("www.example.com", b"wild"), ("a.b.example.com", b"wild"),
    ("x.shop.example.com", b"wild-long"), ("shop.example.com", b"wild"),
    ("example.com", b"none"), ("notexample.com", b"none"), ("127.0.0.1", b"none"),
    ("[::1]:80", b"none"), ("[fd00::1]:80", b"literal"), ("[FD00::1]", b"literal")])
def test_hosts(shop, host, body):
    assert shop.get("/h", host=host).body == body


@pytest.mark.parametrize("target,body", [
    ("/p", b"p"), ("/p/", b"p"), ("/p/x", b"p"), ("/p/exact", b"path"), ("/p/exact/x", b"p"),
    ("/p/long", b"long"), ("/p/long/x", b"long"), ("/p/longer", b"p"), ("/p/exact?q", b"path"),
    ("/%70/exact", b"path"), ("/p//exact", b"path"), ("/p/./exact", b"path"),
    ("/x/../p/exact", b"path"), ("/p/%2e/exact", b"path"), ("/p/x/%2E%2e/exact", b"path"),
    ("/p/long%2e", b"p"), ("/p;x", None), ("/px", None), ("/P", None), ("/", None)])
def test_paths(shop, target, body):
    m = shop.get(target)
    if body is None:
        assert m.status == 404 and json.loads(m.body)["reason"] == "no_route"
    else:
        assert m.body == body


def test_methods(shop):
    with shop.client() as c:
        assert c.request("GET", "/m").body == b"get"
        assert c.request("POST", "/m").body == b"post"
        assert c.request("GET", "/n").body == b"only-get"
        assert c.request("PUT", "/n").body == b"any"
        m = c.request("DELETE", "/m")
        assert m.status == 404 and json.loads(m.body)["reason"] == "no_route"
        assert c.request("HEAD", "/m").status == 404, "GET does not imply HEAD"


def test_listeners(shop):
    assert shop.get("/l").status == 404
    assert shop.get("/l", name="other").body == b"other"


def test_no_route_keeps_the_connection(shop):
    with shop.client() as c:
        for _ in range(3):
            assert c.request("GET", "/nowhere").status == 404
        assert c.request("GET", "/h").status == 200


def test_split(shop):
    count = Counter()
    with shop.client() as c:
        for i in range(400):
            assert c.request("GET", "/split/%d" % i).status == 200
    count["a"], count["b"] = len(shop.a.requests), len(shop.b.requests)
    assert count["a"] + count["b"] == 400
    assert 240 <= count["a"] <= 360, count  # 300 expected, more than 5 sigma either way


STICKY = """
version: 1
listeners: { web: { listen: "127.0.0.1:@web@" } }
upstreams:
  two: { servers: ["@a@", "@b@"], balance: { hash: { header: X-User } } }
  one: { servers: ["@c@"] }
routes:
  - { name: user, prefix: /user, split: { two: 1, one: 1 }, split_by: { header: X-User } }
  - { name: cookie, prefix: /cookie, split: { two: 1, one: 1 }, split_by: { cookie: sid } }
  - { name: client, prefix: /client, split: { two: 1, one: 1 }, split_by: client_ip }
"""


def test_split_by(start, origins):
    a, b, c = origins(), origins(), origins()
    gw = start(STICKY, a=a.address, b=b.address, c=c.address)

    def served(target, *fields):
        before = [len(o.requests) for o in (a, b, c)]
        assert client.request("GET", target, headers=list(fields)).status == 200
        return next(i for i, o in enumerate((a, b, c)) if len(o.requests) > before[i])

    with gw.client() as client:
        users = Counter()
        for user in range(200):
            where = {served("/user/%d" % i, ("X-User", "u%d" % user)) for i in range(2)}
            assert len(where) == 1
            users.update(where)
        assert 65 <= users[2] <= 135, users             # 100, five standard deviations
        # The same key chooses a server within the one side: both serve, neither by the other hash.
        assert users[0] >= 20 and users[1] >= 20, users
        assert len({served("/cookie", ("Cookie", "a=%d; sid=x" % i)) == 2 for i in range(10)}) == 1
        assert len({served("/client/%d" % i) == 2 for i in range(10)}) == 1
        # Without the key by chance: forty times the same side has a chance of 2^-39.
        assert len({served("/cookie") == 2 for i in range(40)}) == 2


@pytest.mark.parametrize("target,status,location", [
    ("/old", 308, b"/new"), ("/old/x/y", 308, b"/new/x/y"), ("/old?q=1", 308, b"/new?q=1"),
    ("/old/x?q", 308, b"/new/x?q"), ("/abroad/z", 302, b"https://x.example.org/y/z"),
    ("/own-query/x?q=1", 308, b"/new/x?a=1#f"), ("/fragment/x?q=1", 308, b"/new/x?q=1#f"),
    ("/fragment", 308, b"/new/#f")])
def test_redirect(shop, target, status, location):
    m = shop.get(target)
    assert (m.status, m.get("location")) == (status, location)


def test_redirect_cannot_leave_the_host(shop):
    """//evil behind the prefix must not become a network-path reference."""
    for target in ("/old//evil.test", "/old/%2e%2e//evil.test", "//evil.test/old"):
        m = shop.get(target)
        assert not (m.get("location") or b"/").startswith(b"//"), target


def test_respond(shop):
    m = shop.get("/busy")
    assert (m.status, m.get("retry-after"), m.body) == (503, b"60", b"back soon")
    with shop.client() as c:
        m = c.request("HEAD", "/busy")
        assert m.status == 503 and m.body == b""
        assert c.request("GET", "/h").status == 200
        assert c.request("POST", "/busy", body=b"x" * 1000).status == 503


@pytest.mark.parametrize("target,seen", [
    ("/strip", b"/"), ("/strip/", b"/"), ("/strip/a/b?c", b"/a/b?c"), ("/strip?q", b"/?q"),
    ("/fixed/x?q", b"/one?q"), ("/swap", b"/static"), ("/swap/x?q", b"/static/x?q"),
    ("/plain/%41//b/./c", b"/plain/%41//b/./c"), ("/slash/a%2Fb", b"/slash/a%2Fb"),
    ("/strip/%41/../b", b"/b"), ("/x/../strip/y", b"/y")])
def test_what_the_upstream_sees(shop, target, seen):
    assert shop.get(target).status == 200
    assert shop.a.requests[-1].target == seen


@pytest.mark.parametrize("target", ["/plain/a%2Fb", "/plain/a%5Cb", "/slash/%00", "/plain/%"])
def test_ambiguous_paths(shop, target):
    m = shop.get(target)
    assert m.status == 400
    assert json.loads(m.body)["reason"] in ("path_refused", "request_malformed")
    assert not shop.a.requests


def test_strip_cannot_make_an_authority(shop):
    """/strip//evil must not go out as //evil, which some servers read as a host."""
    assert shop.get("/strip//evil.test/x").status == 200
    assert shop.a.requests[-1].target == b"/evil.test/x"


def test_an_idle_route_is_small(start, origin):
    """What was read for a route goes when it is compiled; also when a reload has replaced it."""
    many = 20000

    def conf(n):
        routes = ['  - { name: r%d, hosts: [h%d.test], prefix: /v1/p%d, upstream: u }' % (i, i % 500, i)
                  for i in range(n)]
        return ('version: 1\nlisteners: { web: { listen: "127.0.0.1:@web@" } }\n'
                'upstreams: { u: { servers: ["@origin@"] } }\nworkers: 1\nlog: { access: off }\n'
                'admin: { listen: "127.0.0.1:@admin@" }\nroutes:\n' + "\n".join(routes))

    def private(gw):
        with open("/proc/%d/status" % gw.pid, encoding="ascii") as f:
            return 1024 * int(next(line.split()[1] for line in f if line.startswith("RssAnon")))
    few, gw = start(conf(10), origin=origin.address), start(conf(many), origin=origin.address)
    if gw.sanitized:
        return

    def is_small():
        return (private(gw) - private(few)) / many < 1024
    gw.until(is_small, what="less than 1 KiB a route")
    gw.reload(conf(many).replace("/v1/", "/v2/"))
    assert gw.get("/v2/p7", host="h7.test").status == 200
    gw.until(is_small, what="less than 1 KiB a route after a reload")


def test_expressions_headers_and_query(start, origin):
    gw = start("""
version: 1
listeners: { web: { listen: "127.0.0.1:@web@" } }
upstreams: { u: { servers: ["@u@"] } }
routes:
  - { name: img, regex: "^/img/([0-9]+)", redirect: { to: "/i/$1" } }
  - { name: bomb, regex: "^/bomb(a+)+$", respond: { body: bomb } }
  - { name: beta, prefix: /v1, headers: { X-Beta: "1" }, respond: { body: beta } }
  - { name: german, prefix: /v1, query: { lang: { prefix: de } }, headers: { X-Beta: { present: false } }, respond: { body: german } }
  - { name: rest, respond: { body: rest } }
  - { name: forward, path: /forward, upstream: u }
workers: 1
""", u=origin.address)

    def body(target, *fields):
        return gw.get(target, list(fields)).body
    assert gw.get("/img/42/x").get("location") == b"/i/42"
    assert body("/bombaaa") == b"bomb"
    # not `rest`: an expression that was not finished might have been the one
    refused = gw.get("/bomb" + "a" * 60 + "!")
    assert refused.status == 400 and json.loads(refused.body)["reason"] == "match_limit"
    assert body("/v1", ("x-beta", "1")) == b"beta"
    assert body("/v1?lang=de", ("x-beta", "1")) == b"beta"
    assert body("/v1?a&lang=%64e-AT") == b"german"
    assert body("/v1?lang=en") == b"rest"
    assert body("/v1", ("x-beta", "2")) == b"rest"
