# SPDX-License-Identifier: Apache-2.0
"""Servers given by name: followed without a reload, and waited for by a start and a reload."""

import json
import signal
import socket
import threading
import time

import pytest

from conftest import base
from harness import Dns, Eof, answer
from test_g02_admin import ask, request, tcp

BOUND_S = 5  # names are waited for no longer


@pytest.fixture
def dns():
    with Dns() as d:
        yield d


def named(origin, name="a.test", **parts):
    return base(**parts).replace("@origin@", "%s:%d" % (name, origin.port))


def writable(yaml):
    return yaml.replace('"127.0.0.1:@admin@"', '"127.0.0.1:@admin@", write: true')


def says(text):
    return lambda conn, req: conn.send(answer(text))


def test_followed_by_ttl(start, origins, dns):
    one = origins(says(b"one"))
    two = origins(says(b"two"), host="127.0.0.2", port=one.port)
    dns.set("a.test", ["127.0.0.1"], ttl=1)
    gw = start(named(one), env=dns.env)
    assert gw.get().body == b"one"
    dns.set("a.test", ["127.0.0.2"], ttl=1)
    gw.until(lambda: gw.get().body == b"two", 8, "the new address")
    # The name is gone: what was known stays.
    before = len(dns.asked)
    dns.set("a.test", [], ttl=1)
    gw.until(lambda: len(dns.asked) > before + 2, 8, "two more questions")
    assert gw.get().body == b"two"
    assert "last addresses stay" in gw.stderr()
    assert gw.metric("weir_config_generation") == 1
    two.stop()


def test_all_addresses(start, origins, dns):
    one = origins(says(b"one"))
    two = origins(says(b"two"), host="127.0.0.2", port=one.port)
    dns.set("a.test", ["127.0.0.1", "127.0.0.2"], ttl=60)
    gw = start(named(one, upstream="balance: round_robin"), env=dns.env)
    got = [gw.get().body for _ in range(10)]
    assert got.count(b"one") == got.count(b"two") == 5
    two.stop()


def test_reload_waits_for_a_new_name(start, origins, dns):
    """Under load, and with an answer that takes its time, no request meets a name without one."""
    old, new = origins(says(b"old")), origins(says(b"new"))
    dns.silence("a.test")
    gw = start(base(), origin=old.address, env=dns.env)
    stop, bodies, faults = threading.Event(), [], []

    def load():
        with gw.client() as c:
            while not stop.is_set():
                m = c.request("GET", "/")
                (bodies if m.status == 200 else faults).append(m.body)
    thread = threading.Thread(target=load)
    thread.start()
    try:
        gw.write(named(new))
        gw.kill(signal.SIGHUP)
        dns.wait_asked("a.test")
        n = len(bodies)
        gw.until(lambda: len(bodies) > n + 20, 8, "requests meanwhile")
        assert gw.metric("weir_config_generation") == 1
        assert b"new" not in bodies
        dns.set("a.test", ["127.0.0.1"], ttl=60)
        gw.until(lambda: bodies[-1] == b"new", 8, "the new server")
    finally:
        stop.set()
        thread.join(10)
    assert not faults
    assert gw.metric("weir_config_generation") == 2
    assert gw.metric("weir_config_last_reload_successful") == 1


def test_reload_waits_no_longer_than_the_bound(start, origins, dns):
    o = origins(says(b"old"))
    dns.silence("a.test")
    gw = start(base(), origin=o.address, env=dns.env)
    begun = time.monotonic()
    gw.write(named(o))
    gw.kill(signal.SIGHUP)
    gw.until(lambda: gw.metric("weir_config_generation") == 2, BOUND_S + 8, "generation 2")
    assert time.monotonic() - begun >= BOUND_S - 0.1
    assert "no answer for the name a.test" in gw.stderr()
    m = gw.get()
    assert m.status == 503 and json.loads(m.body)["reason"] == "upstream_unresolved"
    dns.set("a.test", ["127.0.0.1"], ttl=60)
    gw.until(lambda: gw.get().status == 200, 8, "the late answer's server")


def test_start_waits(start, origins, dns):
    o = origins(says(b"x"))
    dns.silence("a.test")
    gw = start(named(o), env=dns.env, wait=False)
    dns.wait_asked("a.test")
    dns.set("a.test", ["127.0.0.1"], ttl=60)
    gw.wait_ready()
    assert gw.get().body == b"x"


def test_a_hup_while_a_start_waits_is_not_lost(start, origins, dns):
    first, last = origins(says(b"first")), origins(says(b"last"))
    dns.silence("a.test")
    gw = start(named(first), env=dns.env, wait=False)
    dns.wait_asked("a.test")
    gw.write(base(), origin=last.address)
    gw.kill(signal.SIGHUP)
    dns.set("a.test", ["127.0.0.1"], ttl=60)
    gw.wait_ready()
    gw.until(lambda: gw.get().body == b"last", 8, "the last file")
    assert gw.metric("weir_config_generation") == 2


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_start_that_waits(start, origins, dns, signo):
    dns.silence("a.test")
    gw = start(named(origins()), env=dns.env, wait=False)
    dns.wait_asked("a.test")
    begun = time.monotonic()
    gw.kill(signo)
    assert gw.wait_exit() == 0
    assert time.monotonic() - begun < BOUND_S - 1


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_reload_that_waits(start, origins, dns, signo):
    go = threading.Event()

    def play(conn, req):
        go.wait(10)
        conn.send(answer(b"old"))
    o = origins(play)
    dns.silence("a.test")
    gw = start(base(), origin=o.address, env=dns.env)
    with gw.client() as c:
        c.send(c.head("GET", "/"))
        o.wait_requests(1)
        gw.write(named(o))
        gw.kill(signal.SIGHUP)
        dns.wait_asked("a.test")
        gw.kill(signo)
        if signo == signal.SIGTERM:
            gw.until(lambda: "given up" in gw.stderr(), 5, "the end of the reload")
            go.set()
            assert c.response().body == b"old"
        else:
            with pytest.raises((Eof, OSError)):
                c.response()
    go.set()
    assert gw.wait_exit() == 0


def test_a_hup_while_one_waits_reads_the_file_again(start, origins, dns):
    old, new, last = origins(says(b"old")), origins(says(b"new")), origins(says(b"last"))
    dns.silence("a.test")
    gw = start(base(), origin=old.address, env=dns.env)
    gw.write(named(new))
    gw.kill(signal.SIGHUP)
    dns.wait_asked("a.test")
    for _ in range(20):
        gw.write(base(), origin=last.address)
        gw.kill(signal.SIGHUP)
    assert gw.get().body == b"old"
    dns.set("a.test", ["127.0.0.1"], ttl=60)
    gw.until(lambda: gw.get().body == b"last", 8, "the last file")
    assert gw.metric("weir_config_last_reload_successful") == 1


def test_reload_by_the_admin_listener_is_answered_when_it_is_over(start, origins, dns):
    o = origins(says(b"x"))
    dns.silence("a.test")
    gw = start(writable(base()), origin=o.address, env=dns.env)
    gw.write(writable(named(o)))
    got = []
    threads = [threading.Thread(target=lambda: got.append(ask(tcp(gw), request("POST", "/reload"))))
               for _ in range(3)]
    for t in threads:
        t.start()
    dns.wait_asked("a.test")
    assert gw.admin("/healthz").status == 200, "others are answered meanwhile"
    assert not got
    dns.set("a.test", ["127.0.0.1"], ttl=60)
    for t in threads:
        t.join(10)
    assert sorted(a[0] for a in got) == [200] * 3
    assert max(json.loads(a[2])["generation"] for a in got) in (2, 3)
    assert gw.metric("weir_config_generation") in (2, 3)


def test_a_client_of_the_admin_listener_may_go_meanwhile(start, origins, dns):
    o = origins(says(b"x"))
    dns.silence("a.test")
    gw = start(writable(base()), origin=o.address, env=dns.env)
    gw.write(writable(named(o)))
    s = tcp(gw)
    s.sendall(request("POST", "/reload"))
    dns.wait_asked("a.test")
    s.close()
    dns.set("a.test", ["127.0.0.1"], ttl=60)
    gw.until(lambda: gw.metric("weir_config_generation") == 2, 8, "generation 2")


def test_a_client_that_only_shut_its_side_is_answered(start, origins, dns):
    o = origins(says(b"x"))
    dns.silence("a.test")
    gw = start(writable(base()), origin=o.address, env=dns.env)
    gw.write(writable(named(o)))
    with tcp(gw) as s:
        s.settimeout(8)
        s.sendall(request("POST", "/reload"))
        s.shutdown(socket.SHUT_WR)
        dns.wait_asked("a.test")
        dns.set("a.test", ["127.0.0.1"], ttl=60)
        assert s.recv(4096).startswith(b"HTTP/1.1 200 ")
