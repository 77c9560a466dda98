# SPDX-License-Identifier: Apache-2.0
"""Pages of other origins: what browsers ask beforehand, and what every answer says."""

import subprocess

import pytest

from harness import answer
from test_b01_limits import problem

APP = "https://app.example.com"
CORS = ("cors: { origins: ['%s', 'https://*.example.org'], methods: [GET, PUT], credentials: true,"
        " max_age: 10m, expose: [X-Total] }" % APP)


def ask(gw, target="/", origin=APP, method="PUT", *more):
    with gw.client() as c:
        return c.request("OPTIONS", target, [("Origin", origin),
                                             ("Access-Control-Request-Method", method), *more])


def allowed(m):
    return [n for n, _ in m.headers if n.lower().startswith(b"access-control-")]


def test_preflight_never_reaches_the_server(pair):
    gw, o = pair(route=CORS)
    m = ask(gw, "/", APP, "PUT", ("Access-Control-Request-Headers", "content-type, x-a"))
    assert m.status == 204 and not m.body and not o.requests
    assert m.get("access-control-allow-origin") == APP.encode()
    assert m.get("access-control-allow-methods") == b"GET, PUT"
    assert m.get("access-control-allow-headers") == b"content-type, x-a"
    assert m.get("access-control-allow-credentials") == b"true"
    assert m.get("access-control-max-age") == b"600"
    assert m.get("vary").startswith(b"Origin")
    e = gw.wait_access()
    assert (e["status"], e["method"], e["upstream"]) == (204, "OPTIONS", "")


@pytest.mark.parametrize("origin,ok", [
    (APP, True), ("https://a.b.example.org", True), ("https://example.org", False),
    ("https://evil.test", False), ("null", False), ("https://app.example.com.evil.test", False)])
def test_origins(pair, origin, ok):
    gw, o = pair(route=CORS)
    m = ask(gw, origin=origin)
    assert m.status == 204 and bool(allowed(m)) == ok
    m = gw.get("/", [("Origin", origin)])
    assert m.status == 200 and len(o.requests) == 1, "it is the browser that refuses"
    assert m.get("access-control-allow-origin") == (origin.encode() if ok else None)
    assert m.all("vary") == [b"Origin"]


def test_the_servers_own_fields_are_replaced(pair):
    gw, _ = pair(lambda conn, req: conn.send(answer(b"x", 200, [
        ("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Headers", "*"),
        ("Vary", "Accept")])), route=CORS)
    m = gw.get("/", [("Origin", APP)])
    assert m.all("access-control-allow-origin") == [APP.encode()]
    assert not m.has("access-control-allow-headers")
    assert m.get("access-control-expose-headers") == b"X-Total"
    assert m.all("vary") == [b"Accept", b"Origin"]


def test_faults_of_the_gateway_are_readable_too(pair):
    gw, o = pair(route=CORS + "\n    body_limit: 1B")
    o.stop()
    with gw.client() as c:
        large = c.request("POST", "/", [("Origin", APP)], body=b"xx")
    for m, reason in ((gw.get("/", [("Origin", APP)]), "upstream_connect_failed"),
                      (large, "body_too_large")):
        assert problem(m) == reason
        assert m.get("access-control-allow-origin") == APP.encode()


def test_a_preflight_goes_where_its_request_will(pair):
    gw, o = pair(routes="- { name: put, prefix: /x, methods: [PUT], upstream: origin, %s }\n"
                        "- { name: post, prefix: /x, methods: [POST], upstream: origin }" % CORS)
    assert ask(gw, "/x", APP, "PUT").has("access-control-allow-methods")
    assert gw.wait_access()["route"] == "put"
    assert ask(gw, "/x", APP, "POST").status == 200 and o.requests[0].method == b"OPTIONS"


def test_as_curl_sees_it(pair):
    gw, _ = pair(route=CORS)
    url = "http://127.0.0.1:%d/" % gw.port()
    said = subprocess.run(
        ["curl", "-si", "-X", "OPTIONS", "-H", "Origin: " + APP,
         "-H", "Access-Control-Request-Method: PUT", url], capture_output=True, text=True,
        timeout=30, check=True).stdout
    assert said.startswith("HTTP/1.1 204 ") and "Access-Control-Allow-Origin: " + APP in said
    said = subprocess.run(["curl", "-si", "-H", "Origin: " + APP, url], capture_output=True,
                          text=True, timeout=30, check=True).stdout
    assert said.startswith("HTTP/1.1 200 ") and "Access-Control-Allow-Origin: " + APP in said
