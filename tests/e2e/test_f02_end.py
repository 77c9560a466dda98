# SPDX-License-Identifier: Apache-2.0
"""Drain, stop, exit codes; start that cannot be."""

import os
import signal
import socket
import subprocess
import threading
import time

import pytest

from conftest import base
from harness import Client, Eof, Gateway, Origin, answer, fill


def test_sigterm_finishes_what_is_in_flight(start, origins):
    go = threading.Event()

    def play(conn, req):
        if req.target == b"/slow":
            go.wait(10)
        conn.send(answer(b"done"))
    o = origins(play)
    gw = start(base(), origin=o.address)
    idle = gw.client()
    assert idle.request("GET", "/").status == 200
    busy = gw.client()
    busy.send(busy.head("GET", "/slow"))
    o.wait_requests(2)
    gw.kill(signal.SIGTERM)

    def refused():
        try:
            gw.client(timeout=1).close()
            return False
        except OSError:
            return True
    gw.until(refused, 5, "the end of accepting")
    assert idle.at_eof(5), "an idle connection is closed"
    go.set()
    m = busy.response()
    assert m.body == b"done" and m.get("connection") == b"close"
    assert busy.at_eof(5)
    assert gw.wait_exit(10) == 0
    assert [e["status"] for e in gw.access()] == [200, 200], "the log is whole"


def test_sigquit_drains_as_well(start, origin):
    gw = start(base(), origin=origin.address)
    assert gw.get().status == 200
    gw.kill(signal.SIGQUIT)
    assert gw.wait_exit(5) == 0


class OverdueDrain:
    """A gateway that was told to drain, with an answer and a body that do not end."""

    YAML = base(listener="timeout: { body_idle: 10m }\n    min_rate: off")

    def __init__(self, path):
        self.origin = Origin(lambda conn, req: (
            conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), conn.wait_gone(120)))
        self.gw = Gateway(path, self.YAML, origin=self.origin.address)
        self.down = self.gw.client()
        self.down.send(self.down.head("GET", "/down"))
        self.origin.wait_requests(1)
        self.gw.until(lambda: self.has(b"half"), what="the first half")
        self.up = self.gw.client()
        self.up.send(self.up.head("POST", "/up", [("Content-Length", "9")]) + b"half")
        assert self.origin.wait(lambda: len(self.origin.conns) == 2)
        self.gw.kill(signal.SIGTERM)

    def has(self, data):
        self.down.wire.fill()
        return self.down.wire.buf.endswith(data)

    def end(self):
        self.down.close()
        self.up.close()
        self.gw.stop()
        self.gw.clean()
        self.origin.stop()


@pytest.mark.begun_first(begin=OverdueDrain)
def test_what_a_drain_has_no_time_for_is_reset(begun):
    gw = begun.gw
    assert gw.wait_exit(45) == 0, gw.stderr()
    for c in (begun.down, begun.up):
        with pytest.raises(Eof) as e:
            c.wire.fill()
        assert e.value.reset, "it cannot be taken for the whole"
    got = sorted((e["path"], e["status"], e["reason"]) for e in gw.access())
    assert got == [("/down", 200, "draining"), ("/up", 0, "draining")]
    assert gw.stderr().count("not all connections ended in 30 s") == 1
    assert not gw.sanitizer_report()


def test_sigint_ends_a_drain(start, origins):
    o = origins(lambda conn, req: conn.wait_gone(8))
    gw = start(base(), origin=o.address)
    c = gw.client()
    c.send(c.head("GET", "/"))
    o.wait_requests(1)
    gw.kill(signal.SIGTERM)
    gw.until(lambda: gw.admin("/readyz").status == 503, 5, "not ready")
    gw.kill(signal.SIGINT)
    assert gw.wait_exit(5) == 0, gw.stderr()
    assert [e["reason"] for e in gw.access()] == ["draining"]


def test_readyz_says_so_while_draining(start, origins):
    go = threading.Event()

    def play(conn, req):
        go.wait(10)
        conn.send(answer(b"done"))
    o = origins(play)
    gw = start(base(), origin=o.address)
    c = gw.client()
    c.send(c.head("GET", "/"))
    o.wait_requests(1)
    assert gw.admin("/readyz").status == 200
    gw.kill(signal.SIGTERM)
    gw.until(lambda: gw.admin("/readyz").status == 503, 5, "not ready")
    assert gw.admin("/healthz").status == 200, "it still lives"
    go.set()
    assert c.response().status == 200


def test_sigint_stops_at_once(start, origins):
    o = origins(lambda conn, req: conn.wait_gone(8))
    gw = start(base(), origin=o.address)
    c = gw.client()
    c.send(c.head("GET", "/"))
    o.wait_requests(1)
    gw.kill(signal.SIGINT)
    assert gw.wait_exit(3) == 0
    assert not c.rest().startswith(b"HTTP/1.1 200")


def test_second_sigterm_does_not_kill(start, origins):
    go = threading.Event()

    def play(conn, req):
        go.wait(10)
        conn.send(answer(b"done"))
    o = origins(play)
    gw = start(base(), origin=o.address)
    c = gw.client()
    c.send(c.head("GET", "/"))
    o.wait_requests(1)
    gw.kill(signal.SIGTERM)
    gw.kill(signal.SIGTERM)
    gw.until(lambda: gw.admin("/readyz").status == 503, 5, "not ready")
    go.set()
    assert c.response().body == b"done"


def run(path, *args, **kw):
    return subprocess.run([path, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=15, check=False, **kw)


def test_port_taken_is_exit_3(gateway_path, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        f = tmp_path / "g.yaml"
        ports = {"web": s.getsockname()[1]}
        f.write_text(fill(base(), {"origin": "127.0.0.1:1"}, ports))
        got = run(gateway_path, "run", "-c", str(f))
    assert got.returncode == 3
    assert str(ports["web"]) in got.stderr.decode(), "it says which"


def test_bad_file_is_exit_1_with_the_place(gateway_path, tmp_path):
    f = tmp_path / "g.yaml"
    f.write_text(fill(base().replace("upstream: origin", "upsteam: origin"),
                      {"origin": "127.0.0.1:1"}, {}))
    for sub in ("run", "check"):
        got = run(gateway_path, sub, "-c", str(f))
        assert got.returncode == 1
        text = (got.stderr + got.stdout).decode()
        assert "g.yaml:" in text and 'did you mean "upstream"?' in text, text


def test_good_file_checks(gateway_path, tmp_path):
    f = tmp_path / "g.yaml"
    f.write_text(fill(base(), {"origin": "127.0.0.1:1"}, {}))
    assert run(gateway_path, "check", "-c", str(f)).returncode == 0


@pytest.mark.parametrize("key", ("prefix", "path"))
def test_a_star_of_other_gateways_is_warned_of(gateway_path, tmp_path, key):
    f = tmp_path / "g.yaml"
    text = fill(base(), {"origin": "127.0.0.1:1"}, {})
    assert "prefix: /" in text
    f.write_text(text.replace("prefix: /", key + ": /api/*"))
    got = run(gateway_path, "check", "-c", str(f))
    said = (got.stderr + got.stdout).decode()
    assert got.returncode == 0
    assert 'warning: "%s" in route' % key in said and '"prefix: /api" takes all below it' in said


@pytest.mark.parametrize("args, says", [
    (["frobnicate"], b"unknown command"),
    (["run", "--frobnicate"], b"unknown option"),
    (["check", "gateway.yaml"], b"files behind -c; too much is: gateway.yaml"),
    (["explain", "GET", "http://a/"], b"in quotes as in 'GET URL'; too much is: http://a/"),
])
def test_usage_is_exit_2(gateway_path, args, says):
    done = run(gateway_path, *args)
    assert done.returncode == 2 and says in done.stderr


def test_a_path_without_a_host_is_no_request(gateway_path, tmp_path):
    f = tmp_path / "g.yaml"
    f.write_text(fill(base(), {"origin": "127.0.0.1:1"}, {}))
    done = run(gateway_path, "explain", "-c", str(f), "/a")
    assert done.returncode == 2 and b"or a path and a Host field" in done.stderr
    assert run(gateway_path, "explain", "-c", str(f), "/a", "-H", "Host: a").returncode == 0


def test_version(gateway_path):
    got = run(gateway_path, "version")
    assert got.returncode == 0 and b"0.1" in got.stdout and b"libevent" in got.stdout


def test_start_without_descriptors_to_spare(gateway_path, tmp_path):
    """stdin closed, stdout closed: no socket must take their place unnoticed."""
    f = tmp_path / "g.yaml"
    ports = {}
    f.write_text(fill(base(), {"origin": "127.0.0.1:1"}, ports))
    pid = os.fork()
    if pid == 0:
        os.closerange(0, 3)
        os.execv(gateway_path, [gateway_path, "run", "-c", str(f)])
    try:
        end = time.monotonic() + 10
        while True:
            try:
                with Client(ports["web"]) as c:
                    assert c.request("GET", "/").status == 503
                break
            except ConnectionRefusedError:
                assert time.monotonic() < end
                time.sleep(0.02)
    finally:
        os.kill(pid, signal.SIGINT)
        os.waitpid(pid, 0)
