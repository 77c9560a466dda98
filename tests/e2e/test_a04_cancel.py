# SPDX-License-Identifier: Apache-2.0
"""A client that goes away takes its upstream request with it."""

import pytest


@pytest.mark.parametrize("how", ["close", "rst"])
def test_while_waiting_for_the_answer(pair, how):
    gw, o = pair(lambda conn, req: conn.wait_gone(8))
    c = gw.client()
    c.send(c.head("GET", "/"))
    o.wait_requests(1)
    getattr(c, how)()
    assert o.wait(lambda: o.conns[0].closed.is_set(), 5), "the origin works for nobody"
    assert gw.wait_access()["reason"] == "client_closed"
    assert len(o.requests) == 1, "it is not tried again"


def test_while_the_answer_flows(pair):
    def play(conn, req):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                conn.send(b"x" * 65536)
        except OSError:
            conn.closed.set()
    gw, o = pair(play)
    c = gw.client()
    c.send(c.head("GET", "/"))
    c.wire.response_head()
    c.rst()
    assert o.wait(lambda: o.conns[0].closed.is_set(), 5)
    assert gw.wait_access()["reason"] == "client_closed"


def test_in_the_middle_of_an_upload(pair):
    gw, o = pair()
    c = gw.client()
    c.send(c.head("POST", "/", [("Content-Length", "100")]) + b"half")
    assert o.wait(lambda: o.conns and o.conns[0].partial)
    c.rst()
    assert o.wait(lambda: o.conns[0].closed.is_set(), 5)
    assert not o.requests
    assert gw.wait_access()["reason"] == "client_closed"


def test_many_cancelled_leave_nothing(pair):
    gw, o = pair(lambda conn, req: conn.wait_gone(8))
    gw.get("/healthz-of-nobody", name="admin")  # warm
    before = gw.fds()
    clients = [gw.client() for _ in range(50)]
    for c in clients:
        c.send(c.head("GET", "/"))
    o.wait_requests(50)
    for c in clients:
        c.rst()
    gw.until(lambda: not o.open_conns(), 8, "the end of all upstream connections")
    gw.until(lambda: gw.fds() <= before, 5, "the end of all descriptors")
