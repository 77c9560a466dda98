# SPDX-License-Identifier: Apache-2.0
"""Bodies both ways: every framing, trailers, back-pressure, flat memory."""

import hashlib
import os
import threading

import pytest

from harness import Eof, answer

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunks(body, size):
    out = b""
    for i in range(0, len(body), size):
        piece = body[i:i + size]
        out += b"%x\r\n%s\r\n" % (len(piece), piece)
    return out + b"0\r\n\r\n"


@pytest.mark.parametrize("size", [0, 1, 2, 1000, 16383, 16384, 16385, 65536, 300001])
def test_request_body_sizes(pair, size):
    gw, o = pair(route="body_limit: unlimited")
    body = os.urandom(size)
    with gw.client() as c:
        assert c.request("POST", "/length", body=body).status == 200
        c.send(c.head("POST", "/chunked", [("Transfer-Encoding", "chunked")]) + chunks(body, 1000))
        assert c.response("POST").status == 200
    for req in o.requests:
        assert req.body_len == size and req.sha == hashlib.sha256(body).hexdigest()
    assert o.requests[0].framing == "length"
    assert o.requests[1].framing == "chunked"


@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 65537, 300001])
def test_response_body_sizes(pair, size):
    body = os.urandom(size)

    def play(conn, req):
        if req.target == b"/length":
            conn.send(answer(body))
        elif req.target == b"/chunked":
            conn.send(CHUNKED + chunks(body, 777))
        else:
            conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
            conn.close()
    gw, _ = pair(play)
    with gw.client() as c:
        for target in ("/length", "/chunked", "/close"):
            m = c.request("GET", target)
            assert m.body_len == size and m.sha == hashlib.sha256(body).hexdigest(), target


def test_byte_by_byte_both_ways(pair):
    gw, o = pair(lambda conn, req: conn.drip(CHUNKED + chunks(b"hello world", 3), 0.0005))
    with gw.client() as c:
        c.send_bytes(c.head("POST", "/", [("Transfer-Encoding", "chunked")])
                     + chunks(b"drip drop", 2))
        assert c.response("POST").body == b"hello world"
    assert o.requests[0].body == b"drip drop"


def test_trailers_both_ways(pair):
    gw, o = pair(lambda conn, req: conn.send(
        CHUNKED + b"5\r\nhello\r\n0\r\nX-Sum: down\r\nGrpc-Status: 0\r\n\r\n"))
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Transfer-Encoding", "chunked"), ("TE", "trailers")])
               + b"2\r\nhi\r\n0\r\nX-Sum: up\r\n\r\n")
        m = c.response("POST")
    assert o.requests[0].trailers == [(b"X-Sum", b"up")]
    assert m.trailers == [(b"X-Sum", b"down"), (b"Grpc-Status", b"0")]


def test_body_streams_before_it_ends(pair):
    """The first chunk arrives while the origin still holds the second."""
    go = threading.Event()

    def play(conn, req):
        conn.send(CHUNKED + b"5\r\nfirst\r\n")
        assert go.wait(5)
        conn.send(b"6\r\nsecond\r\n0\r\n\r\n")
    gw, _ = pair(play)
    with gw.client() as c:
        c.send(c.head("GET", "/"))
        seen = []

        def on_data(data):
            seen.append(data)
            go.set()
        assert c.response(on_data=on_data).body == b"firstsecond"
    assert seen[0] == b"first"


def test_request_body_streams_before_it_ends(pair):
    arrived = threading.Event()
    gw, o = pair(on_data=lambda data: arrived.set())
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Content-Length", "10")]) + b"first")
        assert arrived.wait(5), "the gateway holds the body back"
        c.send(b"other")
        assert c.response("POST").status == 200
    assert o.requests[0].body == b"firstother"


def test_early_answer_while_uploading(pair):
    """The origin refuses a body it has not read; the client still gets the answer."""
    def on_head(conn, head):
        conn.send(answer(b"too much", 413, [("Connection", "close")], b"Too Large"))
        conn.half_close()
        conn.wait_gone()
        conn.close()
        return True
    gw, _ = pair(on_head=on_head, route="body_limit: unlimited")
    with gw.client() as c:
        c.send(c.head("POST", "/", [("Content-Length", "50000000")]) + b"x" * 1000)
        m = c.response("POST")
        assert m.status == 413 and m.body == b"too much"


def big(quick):
    n = int(os.environ.get("WEIR_E2E_BIG_MIB", "0")) or (64 if quick else 256)
    return n << 20


def test_large_upload_in_flat_memory(pair, quick):
    gw, o = pair(route="body_limit: unlimited")
    total, piece = big(quick), b"u" * 65536
    before = gw.rss_kib()
    top = 0
    with gw.client(timeout=60) as c:
        c.send(c.head("POST", "/", [("Content-Length", str(total))]))
        for i in range(total // len(piece)):
            c.send(piece)
            if i % 512 == 0:
                top = max(top, gw.rss_kib())
        assert c.response("POST").status == 200
    assert o.requests[0].body_len == total
    assert top - before < 16 * 1024, "RSS grew by %d KiB" % (top - before)


def test_large_download_in_flat_memory(pair, quick):
    total, piece = big(quick), b"d" * 65536

    def play(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // len(piece)):
            conn.send(piece)
    gw, _ = pair(play)
    before = gw.rss_kib()
    state = {"n": 0, "top": 0}

    def on_data(data):
        state["n"] += 1
        if state["n"] % 512 == 0:
            state["top"] = max(state["top"], gw.rss_kib())
    with gw.client(timeout=60) as c:
        c.send(c.head("GET", "/"))
        assert c.response(on_data=on_data).body_len == total
    assert state["top"] - before < 16 * 1024, "RSS grew by %d KiB" % (state["top"] - before)


def stuck(test, gw, timeout=10.0):
    """Wait until the counter test() stands still; returns it."""
    last = [test(), 0]

    def still():
        now = test()
        last[1] = last[1] + 1 if now == last[0] and now else 0
        last[0] = now
        return last[1] > 40  # polls of 10 ms without progress
    gw.until(still, timeout, "a standstill")
    return last[0]


def test_slow_reader_holds_the_origin_back(pair):
    """A client that does not read: the origin is stopped, memory stays flat."""
    sent = [0]
    total = 256 << 20

    def play(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        try:
            while sent[0] < total:
                conn.send(b"s" * 65536)
                sent[0] += 65536
        except OSError:
            pass
    gw, _ = pair(play)
    before = gw.rss_kib()
    with gw.client(rcvbuf=8192) as c:
        c.send(c.head("GET", "/"))
        got = stuck(lambda: sent[0], gw)
        assert got < 64 << 20, "%d MiB were taken for a client that reads nothing" % (got >> 20)
        assert gw.rss_kib() - before < 4096


def test_slow_origin_holds_the_client_back(pair):
    go = threading.Event()

    def on_head(conn, head):
        go.wait(20)
        return False
    gw, o = pair(on_head=on_head, route="body_limit: unlimited")
    before = gw.rss_kib()
    sent = [0]
    with gw.client(timeout=20) as c:
        def upload():
            c.send(c.head("POST", "/", [("Content-Length", str(128 << 20))]))
            for _ in range((128 << 20) // 65536):
                c.send(b"s" * 65536)
                sent[0] += 65536
        t = threading.Thread(target=upload)
        t.start()
        got = stuck(lambda: sent[0], gw)
        grown = gw.rss_kib() - before
        go.set()
        t.join()
        assert got < 64 << 20 and grown < 4096, (got >> 20, grown)
        assert c.response("POST").status == 200
    assert o.requests[0].body_len == 128 << 20


def test_short_answer_is_never_whole(pair):
    def play(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
        conn.close()
    gw, _ = pair(play)
    with gw.client() as c:
        c.send(c.head("GET", "/"))
        with pytest.raises(Eof):
            c.response()
