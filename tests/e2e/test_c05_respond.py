# SPDX-License-Identifier: Apache-2.0
"""Answers that stand in the configuration, or in files beside it."""

import os
import subprocess

import pytest

from conftest import base

PAGE = b"<!doctype html><p>back soon</p>\n"


@pytest.fixture
def page(start, origin, tmp_path):
    """page(name, bytes, more) -> (gateway, path of the file)"""
    def one(name, body, more=""):
        path = tmp_path / name
        path.write_bytes(body)
        return start(base(routes="- { name: page, prefix: /page, respond: { file: \"%s\"%s } }"
                          % (path, more)), origin=origin.address), path
    return one


@pytest.mark.parametrize("name,kind", [
    ("page.html", b"text/html; charset=utf-8"), ("a.b.JSON", b"application/json"),
    ("logo.svg", b"image/svg+xml"), ("plain", b"application/octet-stream"),
    ("x.unknown", b"application/octet-stream")])
def test_type_of_a_file(page, name, kind):
    gw, _ = page(name, PAGE)
    m = gw.get("/page/x")
    assert (m.status, m.body, m.all("content-type")) == (200, PAGE, [kind])
    with gw.client() as c:
        m = c.request("HEAD", "/page")
        assert (m.status, m.body, m.get("content-length")) == (200, b"", b"%d" % len(PAGE))
        assert m.all("content-type") == [kind]
        assert c.request("GET", "/page").body == PAGE, "the connection lives on"


def test_type_and_fields_that_are_named(page):
    gw, _ = page("page.html", PAGE, ", status: 503, headers: { content-type: text/x-a, X-A: b }")
    m = gw.get("/page")
    assert (m.status, m.all("content-type"), m.get("x-a")) == (503, [b"text/x-a"], b"b")


def test_a_file_is_read_again_by_a_reload(page):
    """Though not a byte of the configuration has changed."""
    gw, path = page("page.html", PAGE)
    assert gw.get("/page").body == PAGE
    path.write_bytes(b"other")
    assert gw.get("/page").body == PAGE
    gw.reload()
    assert gw.get("/page").body == b"other"


def test_a_file_is_beside_the_one_that_names_it(start, origin, tmp_path):
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "page.txt").write_text("beside")
    (tmp_path / "conf.d" / "one.yaml").write_text(
        "routes: [ { prefix: /page, respond: { file: page.txt } } ]")
    gw = start("include: [\"%s\"]\n" % (tmp_path / "conf.d" / "*.yaml") + base(),
               origin=origin.address)
    m = gw.get("/page")
    assert (m.body, m.get("content-type")) == (b"beside", b"text/plain; charset=utf-8")


def test_no_file_and_one_that_is_too_large(gateway_path, tmp_path):
    with open(tmp_path / "large.bin", "wb") as f:
        os.truncate(f.fileno(), 16 * 1024 * 1024 + 1)
    text = "version: 1\nlisteners: { web: { listen: 127.0.0.1:1 } }\nroutes:\n"
    for name in ("large.bin", "none.html"):
        (tmp_path / "gateway.yaml").write_text(text + "  - respond: { file: %s }\n" % name)
        done = subprocess.run([gateway_path, "check", "-c", str(tmp_path / "gateway.yaml")],
                              capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert ":4:22: error: cannot read \"%s\"" % (tmp_path / name) in done.stderr, done.stderr
