# SPDX-License-Identifier: Apache-2.0
"""Limits: what a client can make grow has an end, each with its own reason."""

import json
import resource

import pytest

from harness import Eof, answer


def problem(m):
    assert m.get("content-type") == b"application/problem+json"
    assert m.has("proxy-status")
    p = json.loads(m.body)
    assert p["status"] == m.status and p["title"] and p["type"] and p["request_id"]
    return p["reason"]


def test_body_limit_by_length(pair):
    gw, o = pair(route="body_limit: 1KiB")
    with gw.client() as c:
        assert c.request("POST", "/", body=b"x" * 1024).status == 200
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Content-Length", "1025")]))
        m = c.response("POST")
        assert m.status == 413 and problem(m) == "body_too_large"
        assert c.at_eof(5)
    assert len(o.requests) == 1


def test_body_limit_by_chunks(pair):
    gw, o = pair(route="body_limit: 1KiB")
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Transfer-Encoding", "chunked")]) + b"400\r\n" + b"x" * 1024
               + b"\r\n0\r\n\r\n")
        assert c.response("POST").status == 200
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Transfer-Encoding", "chunked")]) + b"400\r\n" + b"x" * 1024
               + b"\r\n1\r\nx\r\n0\r\n\r\n")
        m = c.response("POST")
        assert m.status == 413 and problem(m) == "body_too_large"
    assert len(o.requests) == 1
    assert gw.wait_access(lambda e: e["status"] == 413)["reason"] == "body_too_large"


def test_default_body_limit_is_16_mib(pair):
    gw, o = pair()
    with gw.client() as c:
        assert c.request("POST", "/", body=bytes(16 << 20)).status == 200
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Content-Length", str((16 << 20) + 1))]))
        assert c.response("POST").status == 413
    assert o.requests[0].body_len == 16 << 20


def test_unlimited_body(pair):
    gw, o = pair(route="body_limit: unlimited")
    with gw.client() as c:
        assert c.request("POST", "/", body=bytes((16 << 20) + 1)).status == 200
    assert o.requests[0].body_len == (16 << 20) + 1


@pytest.mark.parametrize("limits,head,status,reason", [
    ("header_bytes: 1KiB", "X-A: " + "a" * 1000, 431, "header_too_large"),
    ("header_count: 10", "\r\n".join("X-%d: v" % i for i in range(10)), 431, "header_too_large"),
    ("line: 256B", "X-A: " + "a" * 300, 431, "header_too_large"),
])
def test_configured_head_limits(pair, limits, head, status, reason):
    gw, o = pair(listener="limits: { %s }" % limits)
    with gw.client() as c:
        assert c.request("GET", "/", [("X-A", "v")]).status == 200
    with gw.client() as c:
        c.send("GET / HTTP/1.1\r\nHost: a.test\r\n" + head + "\r\n\r\n")
        m = c.response()
        assert m.status == status and problem(m) == reason
        assert c.at_eof(5)
    assert len(o.requests) == 1
    assert gw.wait_access(lambda e: e["status"] == status)["reason"] == reason


def test_configured_line_limit_is_414_for_targets(pair):
    gw, _ = pair(listener="limits: { line: 256B }")
    m = gw.get("/" + "a" * 300)
    assert m.status == 414 and problem(m) == "uri_too_long"


def test_requests_per_connection(pair):
    gw, _ = pair(listener="limits: { requests: 5 }")
    with gw.client() as c:
        for i in range(5):
            m = c.request("GET", "/")
            assert m.status == 200
            assert (m.get("connection") == b"close") == (i == 4), "it says so on the last"
        assert c.at_eof(5)


def test_connection_age(pair):
    gw, _ = pair(listener="limits: { age: 200ms }")
    with gw.client() as c:
        def closing():
            m = c.request("GET", "/")
            assert m.status == 200
            return m.get("connection") == b"close"
        gw.until(closing, 5, "Connection: close")
        assert c.at_eof(5), "no request is lost to the age"


def test_upstream_head_too_large(pair):
    gw, _ = pair(lambda conn, req: conn.send(
        answer(b"", 200, [("X-%d" % i, "v" * 600) for i in range(150)])))
    m = gw.get()
    assert m.status == 502 and problem(m) == "upstream_header_too_large"


def test_connections_are_shed_not_hung(pair):
    """Of 20: from 18 on an answer ends its connection, and what comes to 19 is refused, in words
    that arrive, in the log and in the metrics."""
    gw, o = pair(more="limits: { connections: 20 }")
    clients = []
    try:
        for i in range(17):
            clients.append(gw.client(timeout=8))
            assert not clients[-1].request("GET", "/").has("connection")
        with gw.client(timeout=8) as c:
            assert c.request("GET", "/").get("connection") == b"close"
            assert c.at_eof(5)
        gw.until(lambda: gw.metric("weir_connections", listener="web") == 17, 5, "its end")
        for _ in range(2):  # heads that are not whole
            clients.append(gw.client(timeout=8))
            clients[-1].send("GET / HTTP/1.1\r\n")
        gw.until(lambda: gw.metric("weir_connections", listener="web") == 19, 5, "19 clients")
        for _ in range(20):
            with gw.client(timeout=8) as c:
                m = c.request("GET", "/", [("X-Long", "x" * 3000)])
                assert m.status == 503 and problem(m) == "connection_limit"
                assert m.get("proxy-status") == (b"weir-gateway; error=connection_limit_reached; "
                                                 b"details=\"connection_limit\"")
                assert int(m.get("retry-after")) >= 1
                assert c.at_eof(5)
    finally:
        for c in clients:
            c.close()
    e = gw.wait_access(lambda e: e["status"] == 503)
    assert e["reason"] == "connection_limit" and e["listener"] == "web"
    assert gw.metric("weir_requests_total", code="503", reason="connection_limit") == 20
    gw.until(lambda: gw.get().status == 200, 5, "service after the flood")


def test_fd_limit_bounds_the_connections(start, origin):
    from conftest import base

    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
    gw = start(base(), origin=origin.address, preexec=few)
    clients = []
    try:
        for _ in range(120):
            try:
                clients.append(gw.client(timeout=2))
            except OSError:
                break
        assert gw.fds() <= 160 and gw.alive()
    finally:
        for c in clients:
            c.close()
    gw.until(lambda: gw.get().status == 200, 5, "service after the flood")
