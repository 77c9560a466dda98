# SPDX-License-Identifier: Apache-2.0
"""Copies of requests for a mirror: what it sees, and that no client notices it."""

import signal
import threading

import pytest

from harness import answer, free_port

CONF = """
version: 1
listeners: { web: { listen: "127.0.0.1:@web@" } }
upstreams:
  main: { servers: ["@main@"] }
  copy: { servers: ["@copy@"] }
defaults: { mirror: { upstream: copy } }
routes:
  - { prefix: /, upstream: main }
  - { prefix: /alone, upstream: main, mirror: off }
  - { prefix: /new, upstream: main, rewrite: { prefix: /old }, request_headers: { set: { X-A: b } } }
admin: { listen: "127.0.0.1:@admin@" }
log: { access: stdout }
workers: 1
"""


def head_of(req):
    return sorted(h for h in req.headers if h[0].lower() != b"connection")


def counted(gw, result):
    return gw.metric("weir_mirror_total", result=result) or 0


def test_copies(start, origins):
    main, copy = origins(), origins()
    gw = start(CONF, main=main.address, copy=copy.address)
    with gw.client() as c:
        assert c.request("GET", "/a?b=c", [("X-C", "d")]).body == b"GET /a?b=c"
        assert c.request("POST", "/new/x", body=b"y" * 5000).status == 200
        assert c.request("PUT", "/big", body=b"z" * 65536).status == 200
        c.send(b"POST /up HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
               b"3\r\nabc\r\n")
        main.wait(lambda: main.conns[-1].partial)
        c.send(b"2\r\nde\r\n0\r\nX-Sum: 5\r\n\r\n")
        assert c.response("POST").status == 200
        assert c.request("GET", "/alone").status == 200
    copy.wait_requests(4)
    assert len(main.requests) == 5
    seen = {r.target: r for r in copy.requests}
    for req in main.requests[:4]:
        same = seen[req.target]
        assert (req.method, req.body_sha.digest(), req.trailers) == (same.method, same.body_sha.digest(), same.trailers)
        assert head_of(req) == head_of(same)
    assert seen[b"/old/x"].get("x-a") == b"b" and seen[b"/up"].body == b"abcde"
    gw.until(lambda: counted(gw, "ok") == 4)
    # A request of its upstream like others, and none of the log's.
    assert gw.metric("weir_upstream_requests_total", upstream="copy", code="200") == 4
    gw.until(lambda: len(gw.access()) == 5)
    assert {line["upstream"] for line in gw.access()} == {"main"}


def test_a_body_that_is_too_large(start, origins):
    main, copy = origins(), origins()
    gw = start(CONF, main=main.address, copy=copy.address)
    with gw.client() as c:
        assert c.request("POST", "/a", body=b"y" * 300000).status == 200
        c.send(b"POST /b HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(40):
            c.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")
        c.send(b"0\r\n\r\n")
        assert c.response("POST").status == 200
        assert c.request("GET", "/end").status == 200
    copy.wait_requests(1)
    assert [r.target for r in copy.requests] == [b"/end"]
    assert [r.body_len for r in main.requests] == [300000, 40 * 4096, 0]
    assert counted(gw, "too_large") == 2


@pytest.mark.parametrize("kind,result", [("dead", "failed"), ("resets", "failed"), ("cut", "failed"),
                                         ("nonsense", "failed")])
def test_a_mirror_that_fails(start, origins, kind, result):
    def play(conn, req):
        if kind == "cut":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
        if kind == "nonsense":
            conn.send(b"\0\1\2\r\n\r\n")
        conn.rst() if kind == "resets" else conn.close()

    main, copy = origins(), origins(play)
    gw = start(CONF, main=main.address,
               copy="127.0.0.1:%d" % free_port() if kind == "dead" else copy.address)
    with gw.client() as c:
        for i in range(20):
            assert c.request("POST", "/%d" % i, body=b"x").body == b"POST /%d" % i
    gw.until(lambda: counted(gw, result) == 20)


def test_a_mirror_that_is_slow(start, origins):
    """The client has its answers, and leaves; a reload and a drain come; the mirror has its time."""
    go = threading.Event()

    def play(conn, req):
        go.wait(10)
        conn.send(answer(b"x" * 1000000))

    main, copy = origins(), origins(play)
    gw = start(CONF, main=main.address, copy=copy.address)
    with gw.client() as c:
        for i in range(5):
            assert c.request("POST", "/%d" % i, body=b"abc").status == 200
    copy.wait_requests(5)
    gw.reload(CONF.replace("defaults: { mirror: { upstream: copy } }", "")
              .replace("  copy:", "  #").replace(", mirror: off", ""))
    assert gw.get("/after").status == 200
    gw.kill(signal.SIGTERM)
    gw.until(lambda: "draining" in gw.stderr() or not gw.alive() or refuses(gw))
    assert gw.alive()
    go.set()
    assert gw.wait_exit() == 0
    assert copy.wait(lambda: not copy.open_conns())
    assert len(copy.requests) == 5 and not any(conn.reset_seen for conn in copy.conns)


def refuses(gw):
    try:
        gw.client().close()
    except OSError:
        return True
    return False


def test_the_same_upstream(start, origins):
    main = origins()
    gw = start(CONF, main=main.address, copy=main.address)
    with gw.client() as c:
        for i in range(50):
            assert c.request("PUT", "/%d" % i, body=b"b").body == b"PUT /%d" % i
    main.wait_requests(100)
    gw.until(lambda: counted(gw, "ok") == 50)
