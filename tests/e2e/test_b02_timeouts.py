# SPDX-License-Identifier: Apache-2.0
"""Time limits: each phase has its own, each with its own reason."""

import socket
import threading
import time

from conftest import base
from harness import Eof, answer, free_port
from test_b01_limits import problem


def took(since):
    return time.monotonic() - since


def endless(conn, _):
    """An answer for as long as somebody takes it."""
    conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    try:
        while True:
            conn.send(b"x" * 65536)
    except OSError:
        pass


def test_head_that_never_ends(pair):
    gw, o = pair(listener="timeout: { headers: 300ms }")
    with gw.client() as c:
        begun = time.monotonic()
        c.send("GET / HTTP/1.1\r\nHost: a.test\r\nX-A: v")
        m = c.response()
        assert m.status == 408 and problem(m) == "client_timeout"
        assert 0.25 < took(begun) < 3
        assert c.at_eof(5)
    assert not o.requests
    assert gw.wait_access()["reason"] == "client_timeout"


def test_drip_does_not_stretch_the_head(pair):
    """A byte now and then is no progress: the limit is on the whole head."""
    gw, _ = pair(listener="timeout: { headers: 500ms }")
    with gw.client() as c:
        begun = time.monotonic()
        try:
            for b in b"GET / HTTP/1.1\r\nHost: a.test\r\n" + b"X: y\r\n" * 20:
                c.send(bytes([b]))
                c.sock.settimeout(0.05)
                try:
                    c.wire.fill()
                    break
                except socket.timeout:
                    pass
        except (OSError, Eof):
            pass
        assert 0.4 < took(begun) < 4


def test_second_head_has_its_own_time(pair):
    gw, _ = pair(listener="timeout: { headers: 300ms, keepalive: 5s }")
    with gw.client() as c:
        assert c.request("GET", "/").status == 200
        c.send("GET / HT")
        assert c.response().status == 408


def test_idle_connection_is_closed_silently(pair):
    gw, _ = pair(listener="timeout: { keepalive: 300ms }")
    with gw.client() as c:
        assert c.request("GET", "/").status == 200
        begun = time.monotonic()
        assert c.at_eof(5), "closed, and without a 408 that a next request could take for its own"
        assert 0.2 < took(begun) < 3


def test_body_idle(pair):
    gw, o = pair(listener="timeout: { body_idle: 300ms }")
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Content-Length", "10")]) + b"half")
        m = c.response("POST")
        assert m.status == 408 and problem(m) == "client_timeout"
        assert c.at_eof(5)
    assert not o.requests
    assert o.wait(lambda: o.conns[0].closed.is_set(), 5), "the origin need not wait"
    assert gw.wait_access()["reason"] == "client_timeout"


def test_slow_but_steady_body_is_fine(pair):
    gw, o = pair(listener="timeout: { body_idle: 500ms }")
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Content-Length", "10")]))
        for _ in range(10):
            c.send(b"x")
            time.sleep(0.1)  # this is the test: pauses below the limit, a sum above it
        assert c.response("POST").status == 200
    assert o.requests[0].body == b"x" * 10


def test_min_rate_of_a_body(pair):
    gw, _ = pair(listener="min_rate: { rate: 10000B/s, grace: 300ms }",
                 route="body_limit: unlimited")
    with gw.client() as c:
        begun = time.monotonic()
        c.send(c.head("POST", "/", [("Content-Length", "100000")]))
        stop = threading.Event()

        def drip():
            try:
                while not stop.wait(0.05):
                    c.sock.sendall(b"x")
            except OSError:
                pass
        t = threading.Thread(target=drip)
        t.start()
        try:
            m = c.response("POST")
        finally:
            stop.set()
            t.join()
        assert m.status == 408 and problem(m) == "client_too_slow"
        assert took(begun) < 5
    assert gw.wait_access()["reason"] == "client_too_slow"


def test_client_that_stops_reading(pair):
    gw, o = pair(endless, listener="timeout: { write_idle: 300ms }")
    with gw.client(rcvbuf=8192) as c:
        c.send(c.head("GET", "/"))
        e = gw.wait_access(timeout=10)
        assert e["reason"] in ("client_stalled", "client_too_slow")
        assert o.wait(lambda: o.conns[0].closed.is_set(), 5)


def test_client_that_reads_slowly_but_steadily(pair):
    """A kernel with a large buffer takes more only when a third of it is free, which is minutes
    away from such a client; what it acknowledges shows that it is there."""
    gw, _ = pair(endless, listener="timeout: { write_idle: 1s }\n"
                                "    min_rate: { rate: 2000B/s, grace: 1s }")
    with gw.client(rcvbuf=8192) as c:
        c.send(c.head("GET", "/"))
        begun, got = time.monotonic(), 0
        while took(begun) < 4:
            time.sleep(0.05)    # the pace is what is tested
            got += len(c.sock.recv(2048))
        assert got > 50000
        c.rst()
    e = gw.wait_access()
    assert e["reason"] == "client_closed" and e["duration_ms"] > 3900, e


def test_first_byte(pair):
    gw, o = pair(lambda conn, req: conn.wait_gone(8), route="timeout: { first_byte: 300ms }")
    begun = time.monotonic()
    m = gw.get()
    assert m.status == 504 and problem(m) == "upstream_timeout"
    assert 0.25 < took(begun) < 3
    assert o.wait(lambda: o.conns[0].closed.is_set(), 5), "never used again"
    assert gw.wait_access()["reason"] == "upstream_timeout"


def test_first_byte_counts_from_the_end_of_the_request(pair):
    gw, _ = pair(route="timeout: { first_byte: 500ms }")
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Content-Length", "8")]))
        for _ in range(8):
            c.send(b"x")
            time.sleep(0.1)  # the upload alone takes longer than the limit
        assert c.response("POST").status == 200


def test_upstream_idle_in_the_body(pair):
    def play(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        conn.wait_gone(8)
    gw, _ = pair(play, route="timeout: { idle: 300ms }")
    with gw.client() as c:
        c.send(c.head("GET", "/"))
        try:
            c.response()
            raise AssertionError("a half answer looks whole")
        except Eof:
            pass
    e = gw.wait_access()
    assert e["reason"] == "upstream_idle" and e["status"] == 200


def test_total(pair):
    def play(conn, req):
        conn.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 1000, 0.02)
    gw, _ = pair(play, route="timeout: { total: 500ms }")
    with gw.client() as c:
        begun = time.monotonic()
        c.send(c.head("GET", "/"))
        try:
            m = c.response()
            assert m.status == 504
        except Eof:
            pass
        assert took(begun) < 4
    assert gw.wait_access()["reason"] == "total_timeout"


def test_connect(start, origins):
    """A listener whose backlog is full does not answer a SYN."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(0)
        port = s.getsockname()[1]
        fillers = []
        for _ in range(3):
            f = socket.socket()
            f.setblocking(False)
            f.connect_ex(("127.0.0.1", port))
            fillers.append(f)
        gw = start(base(route="timeout: { connect: 300ms }"), origin="127.0.0.1:%d" % port)
        begun = time.monotonic()
        m = gw.get()
        assert m.status == 504 and problem(m) == "upstream_connect_timeout"
        assert took(begun) < 5
        assert gw.wait_access()["reason"] == "upstream_connect_timeout"
        for f in fillers:
            f.close()


def test_connect_refused(start):
    gw = start(base(), origin="127.0.0.1:%d" % free_port())
    m = gw.get()
    assert m.status == 503 and problem(m) == "upstream_connect_failed"
    assert int(m.get("retry-after")) >= 1
    assert gw.wait_access()["reason"] == "upstream_connect_failed"


def test_handshake_and_defaults_let_a_plain_request_pass(pair):
    gw, _ = pair(lambda conn, req: conn.send(answer(b"x")))
    assert gw.get().body == b"x"
