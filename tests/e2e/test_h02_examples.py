# SPDX-License-Identifier: Apache-2.0
"""The examples in front of what they are for: a Node, a Python and an nginx service, each by one file
that is dropped into conf.d/."""

import os
import shutil
import subprocess
import sys
import time

import pytest

from harness import Client, free_port

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DROP = os.path.join(TOP, "conf", "examples", "conf.d")

NODE = """
const http = require('http');
http.createServer((req, res) => {
  res.setHeader('X-Saw-For', req.headers['x-forwarded-for']);
  res.end('node saw ' + req.url);
}).listen(Number(process.argv[2]), '127.0.0.1');
"""
NGINX = """
daemon off; master_process off; pid {dir}/pid; error_log {dir}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{port} default_server; return 404; }}
  server {{ listen 127.0.0.1:{port}; server_name www.example.com;
    location / {{ return 200 "nginx saw $host$request_uri"; }} }}
}}
"""


@pytest.fixture
def service(tmp_path):
    """service(command) runs it until the test ends, and waits until it listens on the port."""
    running = []

    def one(port, *command):
        with open(tmp_path / "service.log", "wb") as log:
            proc = subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log)
        running.append(proc)
        end = time.monotonic() + 20
        while True:
            assert proc.poll() is None, (tmp_path / "service.log").read_text()
            try:
                return Client(port, timeout=1).close()
            except OSError:
                assert time.monotonic() < end, "it does not listen"
                try:
                    proc.wait(0.05)
                except subprocess.TimeoutExpired:
                    pass
    yield one
    for proc in running:
        proc.terminate()
        proc.wait(20)


@pytest.fixture
def dropped(start, tmp_path):
    """dropped(name, usual port, port) -> a gateway of conf/gateway.yaml with that file beside it."""
    def one(name, usual, port):
        with open(os.path.join(TOP, "conf", "gateway.yaml"), encoding="utf-8") as f:
            root = f.read().replace("listen: 8080", "listen: 127.0.0.1:@web@")
        root = root.replace("conf.d/*.yaml", str(tmp_path / "conf.d" / "*.yaml"))
        gw = start(root + "admin: { listen: 127.0.0.1:@admin@ }\n")
        with open(os.path.join(DROP, name), encoding="utf-8") as f:
            text = f.read()
        assert text.count("127.0.0.1:%d" % usual) == 1
        (tmp_path / "conf.d").mkdir()
        (tmp_path / "conf.d" / name).write_text(
            text.replace("127.0.0.1:%d" % usual, "127.0.0.1:%d" % port))
        gw.reload()
        return gw
    return one


def test_node(service, dropped, tmp_path):
    port = free_port()
    (tmp_path / "app.js").write_text(NODE)
    service(port, "node", "app.js", str(port))
    gw = dropped("node.yaml", 3000, port)
    with gw.client() as c:
        for _ in range(2):
            m = c.request("GET", "/app/a?b=c")
            assert (m.status, m.body, m.get("x-saw-for")) == (200, b"node saw /a?b=c", b"127.0.0.1")


def test_python(service, dropped, tmp_path):
    port = free_port()
    (tmp_path / "page.html").write_text("from python")
    service(port, sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1",
            "--directory", str(tmp_path))
    gw = dropped("python.yaml", 8000, port)
    m = gw.get("/files/page.html")
    assert (m.status, m.body) == (200, b"from python")
    assert gw.get("/files/none").status == 404


def test_nginx(service, dropped, tmp_path):
    port = free_port()
    conf = tmp_path / "nginx.conf"
    conf.write_text(NGINX.format(dir=tmp_path, port=port))
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    service(port, nginx, "-p", str(tmp_path), "-c", str(conf))
    gw = dropped("nginx.yaml", 8081, port)
    m = gw.get("/a?b", host="www.example.com")
    assert (m.status, m.body) == (200, b"nginx saw www.example.com/a?b")
    m = gw.get("/a?b", host="Example.com")
    assert (m.status, m.get("location")) == (301, b"http://www.example.com/a?b")


V2 = "application/vnd.example.v2+json"


@pytest.mark.parametrize("target,fields,server,seen", [
    ("/v1/orders?q", [], "one", b"/orders?q"), ("/v2/orders", [], "two", b"/orders"),
    ("/orders/7", [], "one", b"/orders/7"),
    ("/orders/7", [("x-api-version", "2")], "two", b"/orders/7"),
    ("/orders/7", [("X-Api-Version", "3")], "one", b"/orders/7"),
    ("/carts", [], "one", b"/carts"), ("/carts", [("Accept", "application/json")], "one", b"/carts"),
    ("/carts", [("Accept", V2)], "two", b"/carts"),
    ("/carts", [("Accept", "text/html, %s;q=0.9" % V2.upper())], "two", b"/carts"),
    ("/carts", [("Accept", V2.replace("v2", "v22"))], "one", b"/carts"),
    ("/items/a/7/v2?q", [], "two", b"/items/a/7?q")])
def test_versions(start, origins, target, fields, server, seen):
    one, two = origins(), origins()
    with open(os.path.join(TOP, "conf", "examples", "versions.yaml"), encoding="utf-8") as f:
        text = f.read().replace("listen: 8080", "listen: 127.0.0.1:@web@")
    gw = start(text.replace("127.0.0.1:9001", one.address).replace("127.0.0.1:9002", two.address))
    m = gw.get(target, fields)
    assert m.status == 200
    assert m.all("vary") == ([b"Accept"] if target == "/carts" else [])
    asked, other = (one, two) if server == "one" else (two, one)
    assert [r.target for r in asked.requests] == [seen] and not other.requests


def test_no_example_is_left_out():
    """Each of the files is one of the tests above; those beside it are whole files, which
    tests/unit/gateway/examples loads."""
    assert sorted(os.listdir(DROP)) == ["nginx.yaml", "node.yaml", "python.yaml"]
