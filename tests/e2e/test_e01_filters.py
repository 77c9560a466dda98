# SPDX-License-Identifier: Apache-2.0
"""Header edits, address rules, request ids, forwarded fields."""

import json
import re

import pytest

from harness import answer
from test_b01_limits import problem


def test_request_headers(pair):
    gw, o = pair(route="request_headers: { set: { X-From: edge, X-Two: new }, add: { X-Tag: a },"
                       " remove: [X-Debug] }")
    gw.get("/", [("X-From", "client"), ("x-two", "1"), ("X-Two", "2"), ("X-Tag", "b"),
                 ("X-Debug", "1"), ("x-debug", "2"), ("X-Kept", "k")])
    r = o.requests[0]
    assert r.all("x-from") == [b"edge"] and r.all("x-two") == [b"new"]
    assert r.all("x-tag") == [b"b", b"a"]
    assert not r.has("x-debug") and r.get("x-kept") == b"k"


def test_response_headers(pair):
    gw, _ = pair(lambda conn, req: conn.send(answer(b"x", 200, [
        ("Server", "s"), ("server", "t"), ("X-A", "1"), ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2")])),
        route="response_headers: { set: { X-A: new }, add: { Set-Cookie: c=3 }, remove: [Server] }")
    m = gw.get()
    assert not m.has("server") and m.all("x-a") == [b"new"]
    assert m.all("set-cookie") == [b"a=1", b"b=2", b"c=3"]


def test_edits_hold_for_local_answers_too(pair):
    gw, _ = pair(routes="- { prefix: /busy, respond: { status: 503, body: b },"
                        " response_headers: { set: { X-A: v } } }")
    assert gw.get("/busy").get("x-a") == b"v"


@pytest.mark.parametrize("rule,ok", [
    ("allow: [127.0.0.0/8]", True), ("allow: [10.0.0.0/8]", False),
    ("deny: [127.0.0.1]", False), ("deny: [10.0.0.0/8]", True),
    ("allow: [127.0.0.0/8], deny: [127.0.0.1]", False),
    ("allow: [127.0.0.0/8], deny: [127.0.0.2/32]", True),
    ('allow: ["::1"]', False), ('deny: ["::/0"]', True)])
def test_ip(pair, rule, ok):
    gw, o = pair(route="ip: { %s }" % rule)
    m = gw.get()
    if ok:
        assert m.status == 200
    else:
        assert m.status == 403 and problem(m) == "ip_denied" and not o.requests
        assert gw.wait_access()["reason"] == "ip_denied"


def test_ip_over_ipv6(start, origin):
    from conftest import base
    from harness import free_port
    port = free_port()
    text = base(route='ip: { allow: ["::1/128"] }').replace('"127.0.0.1:@web@"', '"[::1]:%d"' % port)
    from harness import Client
    gw = start(text, origin=origin.address, ready="admin")
    with Client(("::1", port)) as c:
        assert c.request("GET", "/").status == 200
    assert gw.wait_access()["client_ip"] == "::1"


def test_request_id_is_made_and_told(pair):
    gw, o = pair()
    with gw.client() as c:
        for _ in range(3):
            c.request("GET", "/")
    ids = [r.get("x-request-id") for r in o.requests]
    assert all(ids) and len(set(ids)) == 3
    gw.until(lambda: len(gw.access()) == 3)
    assert [e["request_id"].encode() for e in gw.access()] == ids


def test_every_problem_carries_its_request_id(pair):
    """In the answer's field and in its body, whether filters came to see the request or not."""
    gw, _ = pair(route="body_limit: 1B", routes="- { hosts: [b.test], path: /only, respond: {} }")
    for target, host, status in (("/a%2Fb", "a.test", 400), ("/%zz", "a.test", 400),
                                 ("/", "a.test", 413)):
        with gw.client() as c:
            r = c.request("POST", target, host=host, body=b"xx")
        assert r.status == status
        assert r.get("x-request-id").decode() == json.loads(r.body)["request_id"]


def test_forwarded_fields_are_the_sockets(pair):
    gw, o = pair()
    gw.get("/", [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"),
                 ("X-Forwarded-Host", "evil"), ("Forwarded", "for=6.6.6.6")])
    r = o.requests[0]
    assert r.all("x-forwarded-for") == [b"127.0.0.1"]
    assert r.all("x-forwarded-proto") == [b"http"]
    assert r.all("x-forwarded-host") == [b"a.test"]
    assert not r.has("forwarded")
    assert re.search(rb"\b1\.1 \S+", r.get("via"))
    assert gw.wait_access()["client_ip"] == "127.0.0.1"


def test_trusted_proxies(pair):
    gw, o = pair(listener="trusted_proxies: [127.0.0.0/8]")
    gw.get("/", [("X-Forwarded-For", "198.51.100.7"), ("X-Forwarded-Proto", "https"),
                 ("X-Forwarded-Host", "shop.test")])
    r = o.requests[0]
    assert b", ".join(r.all("x-forwarded-for")) == b"198.51.100.7, 127.0.0.1"
    assert r.all("x-forwarded-proto") == [b"https"]
    assert r.all("x-forwarded-host") == [b"shop.test"]
    assert gw.wait_access()["client_ip"] == "198.51.100.7"


@pytest.mark.parametrize("lines,client", [
    (["198.51.100.7", "127.0.0.9"], "198.51.100.7"),
    (["6.6.6.6, 198.51.100.7", "127.0.0.9, 127.0.0.8"], "198.51.100.7"),
    (["6.6.6.6", "198.51.100.7", "[fd00::1], 127.0.0.9"], "198.51.100.7"),
    (["6.6.6.6, junk", "127.0.0.9"], "127.0.0.9"), (["127.0.0.9", ""], "127.0.0.1"),
    (["127.0.0.5", "127.0.0.9"], "127.0.0.5")])
def test_several_lines_are_one_list(pair, lines, client):
    gw, o = pair(listener="trusted_proxies: [127.0.0.0/8, 'fd00::/8']")
    gw.get("/", [("X-Forwarded-For", line) for line in lines])
    assert o.requests[0].all("x-forwarded-for") == [", ".join([*lines, "127.0.0.1"]).encode()]
    assert gw.wait_access()["client_ip"] == client


def test_host_goes_on(pair):
    gw, o = pair()
    gw.get("/", host="shop.test:8080")
    assert o.requests[0].all("host") == [b"shop.test:8080"]


def test_policies_off_and_layers(start, origin):
    """defaults < listener < route; off removes."""
    gw = start("""
version: 1
listeners: { web: { listen: "127.0.0.1:@web@", body_limit: 10B } }
upstreams: { u: { servers: ["@origin@"] } }
defaults: { body_limit: 100B, request_headers: { set: { X-A: default } } }
routes:
  - { prefix: /l, upstream: u }
  - { prefix: /r, upstream: u, body_limit: 1KiB, request_headers: off }
admin: { listen: "127.0.0.1:@admin@" }
""", origin=origin.address)

    def post(target, n):
        with gw.client() as c:
            return c.request("POST", target, body=b"x" * n).status
    assert post("/l", 10) == 200 and post("/l", 11) == 413
    assert post("/r", 1024) == 200 and post("/r", 1025) == 413
    by = {r.target: r for r in origin.requests}
    assert by[b"/l"].get("x-a") == b"default" and not by[b"/r"].has("x-a")
