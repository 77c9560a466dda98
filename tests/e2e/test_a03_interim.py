# SPDX-License-Identifier: Apache-2.0
"""1xx, Expect and Upgrade."""

import os
import threading

from harness import answer

WS = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
      ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]
SWITCH = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
          b"Sec-WebSocket-Accept: x\r\n\r\n")


def test_early_hints_come_early(pair):
    go = threading.Event()

    def play(conn, req):
        conn.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        assert go.wait(5)
        conn.send(answer(b"late"))
    gw, _ = pair(play)
    with gw.client() as c:
        c.send(c.head("GET", "/"))
        hint = c.wire.response_head()
        assert hint.status == 103 and hint.get("link") == b"</a.css>; rel=preload"
        go.set()
        assert c.response().body == b"late"
        assert c.request("GET", "/").status == 200


def test_interim_is_not_for_http10(pair):
    gw, _ = pair(lambda conn, req: conn.send(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + answer(b"x")))
    with gw.client() as c:
        m = c.request("GET", "/", version="1.0")
        assert m.status == 200 and not m.interim


def test_expect_continue_from_the_origin(pair):
    def on_head(conn, head):
        assert head.get("expect") == b"100-continue"
        conn.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return False
    gw, o = pair(on_head=on_head)
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Expect", "100-continue"), ("Content-Length", "5")]))
        assert c.wire.response_head().status == 100
        c.send(b"hello")
        assert c.response("POST").status == 200
    assert o.requests[0].body == b"hello"


def test_expect_refused_by_the_origin(pair):
    def on_head(conn, head):
        conn.send(answer(b"no", 403, [("Connection", "close")], b"Forbidden"))
        conn.close()
        return True
    gw, _ = pair(on_head=on_head)
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Expect", "100-continue"), ("Content-Length", "5")]))
        m = c.response("POST")
        assert m.status == 403 and not m.interim, "nobody asked for the body"


def test_websocket_is_raw_after_101(pair):
    def play(conn, req):
        assert req.get("upgrade").lower() == b"websocket"
        assert b"upgrade" in req.get("connection").lower()
        conn.send(SWITCH + b"early")
        while True:  # echo
            if not conn.wire.buf:
                conn.wire.fill()
            data, conn.wire.buf = conn.wire.buf, b""
            conn.send(data)
    gw, o = pair(play)
    with gw.client() as c:
        c.send(c.head("GET", "/ws", WS))
        m = c.wire.response_head()
        assert m.status == 101 and m.get("upgrade").lower() == b"websocket"
        data = b"\x81\x05hello" + os.urandom(200000) + b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"
        threading.Thread(target=c.send, args=(data,)).start()
        want = b"early" + data
        while len(c.wire.buf) < len(want):
            c.wire.fill()
        assert c.wire.buf == want
    assert o.wait(lambda: o.conns[0].closed.is_set()), "the client's end reaches the origin"
    assert len(o.requests) == 1


def test_websocket_bytes_right_behind_the_request(pair):
    """Bytes sent before the 101 are not a second request."""
    def play(conn, req):
        conn.send(SWITCH)
        while len(conn.wire.buf) < 30:
            conn.wire.fill()
        conn.send(conn.wire.buf)
        conn.close()
    gw, o = pair(play)
    with gw.client() as c:
        raw = b"GET /evil HTTP/1.1\r\nHost: a\r\n\r\n"
        c.send(c.head("GET", "/ws", WS) + raw)
        assert c.wire.response_head().status == 101
        assert c.rest() == raw
    assert len(o.requests) == 1


def test_upgrade_refused_by_the_origin_is_plain_http(pair):
    gw, o = pair(lambda conn, req: conn.send(answer(b"no", 426, (), b"Upgrade Required")))
    with gw.client() as c:
        assert c.request("GET", "/ws", WS).status == 426
    gw.wait_access(lambda e: e["status"] == 426)
    assert len(o.requests) == 1


def test_101_with_another_protocol_is_refused(pair):
    gw, _ = pair(lambda conn, req: conn.send(SWITCH.replace(b"websocket", b"h2c")))
    assert gw.client().request("GET", "/ws", WS).status == 502


def test_origin_closes_the_tunnel(pair):
    def play(conn, req):
        conn.send(SWITCH + b"bye")
        conn.close()
    gw, _ = pair(play)
    with gw.client() as c:
        c.send(c.head("GET", "/ws", WS))
        assert c.wire.response_head().status == 101
        assert c.rest() == b"bye"
