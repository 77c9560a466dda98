# SPDX-License-Identifier: Apache-2.0
"""Keep-alive, pipelining, real clients, HTTP/1.0."""

import http.client
import shutil
import subprocess
import urllib.request

import pytest

from harness import answer


def test_many_requests_one_connection(pair):
    gw, o = pair()
    with gw.client() as c:
        for i in range(200):
            m = c.request("GET", "/%d" % i)
            assert (m.status, m.body) == (200, b"GET /%d" % i)
    assert len(o.conns) == 1, "the upstream connection is kept too"


def test_pipeline_is_answered_in_order(pair):
    gw, o = pair()
    with gw.client() as c:
        c.send(b"".join(c.head("GET", "/%d" % i) for i in range(50)))
        for i in range(50):
            assert c.response().body == b"GET /%d" % i
    assert [r.target for r in o.requests] == [b"/%d" % i for i in range(50)]


def test_pipeline_with_bodies(pair):
    gw, _ = pair(lambda conn, req: conn.send(answer(req.body)))
    with gw.client() as c:
        data = b""
        for i in range(20):
            body = b"%d" % i * (i * 100)
            data += c.head("POST", "/", [("Content-Length", str(len(body)))]) + body
        c.send(data)
        for i in range(20):
            assert c.response("POST").body == b"%d" % i * (i * 100)


def test_slow_first_does_not_reorder(pair):
    def play(conn, req):
        if req.target == b"/slow":
            conn.drip(answer(b"slow"), 0.002)
        else:
            conn.send(answer(b"fast"))
    gw, _ = pair(play)
    with gw.client() as c:
        c.send(c.head("GET", "/slow") + c.head("GET", "/fast"))
        assert [c.response().body, c.response().body] == [b"slow", b"fast"]


def test_head_204_304_leave_the_connection_in_step(pair):
    def play(conn, req):
        if req.method == b"HEAD":
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        elif req.target == b"/204":
            conn.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        elif req.target == b"/304":
            conn.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
        else:
            conn.send(answer(b"whole"))
    gw, _ = pair(play)
    with gw.client() as c:
        for _ in range(3):
            assert c.request("HEAD", "/").get("content-length") == b"1000"
            assert c.request("GET", "/204").status == 204
            assert c.request("GET", "/304").status == 304
            assert c.request("GET", "/").body == b"whole"


def test_http10_client_gets_a_body_until_close(pair):
    gw, _ = pair(lambda conn, req: conn.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"))
    with gw.client() as c:
        m = c.request("GET", "/", version="1.0")
        assert m.body == b"hello"
        assert m.framing in ("close", "length"), "HTTP/1.0 knows no chunks"
        assert c.at_eof()


def test_options_star(pair):
    gw, o = pair()
    assert gw.client().request("OPTIONS", "*").status == 200
    assert o.requests[0].target == b"*"


def test_http_client(pair):
    gw, _ = pair(lambda conn, req: conn.send(answer(b"hello " + req.body)))
    c = http.client.HTTPConnection("127.0.0.1", gw.port(), timeout=5)
    for body in (b"", b"x" * 100000):
        c.request("POST", "/", body=body)
        assert c.getresponse().read() == b"hello " + body
    c.request("POST", "/", body=iter([b"a", b"bc"]), encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    assert c.getresponse().read() == b"hello abc"
    c.close()


def test_urllib(pair):
    gw, _ = pair()
    with urllib.request.urlopen("http://127.0.0.1:%d/u?v" % gw.port(), timeout=5) as r:
        assert r.read() == b"GET /u?v"


@pytest.mark.parametrize("args", [
    [], ["--http1.0"], ["-d", "body"], ["-H", "Transfer-Encoding: chunked", "-d", "body"],
    ["-H", "Expect: 100-continue", "-d", "body"], ["-T", "/dev/null"]])
def test_curl(pair, args):
    assert shutil.which("curl")
    gw, _ = pair(lambda conn, req: conn.send(answer(req.method + b" " + req.body)))
    url = "http://127.0.0.1:%d/x" % gw.port()
    out = subprocess.run(["curl", "-sS", "-m", "5", "--fail", *args, url, url],
                         stdout=subprocess.PIPE, check=True, timeout=10).stdout
    assert out in (b"GET GET ", b"POST bodyPOST body", b"PUT ") or out.startswith(b"PUT ")


def test_wrk(pair, quick):
    gw, o = pair()
    out = subprocess.run(["wrk", "-t1", "-c16", "-d%ds" % (1 if quick else 3), "--latency",
                          "http://127.0.0.1:%d/" % gw.port()],
                         stdout=subprocess.PIPE, check=True, timeout=30).stdout.decode()
    assert "Socket errors" not in out and "Non-2xx" not in out, out
    assert len(o.requests) > 100
