# SPDX-License-Identifier: Apache-2.0
"""weirctl: what it asks a gateway and tells it, how it shows that, and how it ends."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import pytest

TEXT = """
version: 1
listeners:
  web: { listen: "127.0.0.1:@web@" }
  a-longer-name: { listen: "127.0.0.1:@other@" }
upstreams:
  origin: { servers: ["@origin@", { address: "localhost:1", weight: 12 }] }
routes:
  - { name: all, prefix: /, upstream: origin }
admin: { listen: "127.0.0.1:@admin@", socket: admin.sock }
workers: 1
"""
OK, REFUSED, USAGE, UNREACHABLE = range(4)


@pytest.fixture
def gw(start, origin):
    gw = start(TEXT, origin=origin.address)
    gw.until(lambda: gw.admin("/readyz").status == 200, what="a gateway that serves")
    return gw


@pytest.fixture
def weirctl(gateway_path):
    """weirctl(*args) -> (exit code, standard output, standard error)"""
    def run(*args, path=os.path.join(os.path.dirname(gateway_path), "weirctl"), **kw):
        done = subprocess.run([path, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, check=False, **kw)
        assert "Sanitizer" not in done.stderr, done.stderr
        return done.returncode, done.stdout, done.stderr
    return run


@pytest.fixture
def ctl(gw, weirctl):
    return lambda *args: weirctl("-s", os.path.join(gw.dir, "admin.sock"), *args)


@pytest.fixture
def stub(tmp_path):
    """stub(answers): a socket that answers one connection after the other with these bytes; None:
    not at all."""
    made, ended = [], threading.Event()

    def serve(sock, answers):
        for answer in answers:
            conn = sock.accept()[0]
            with conn:
                got = b""
                while b"\r\n\r\n" not in got:
                    got += conn.recv(65536)
                asked.append(got.split(b" ", 2)[1].decode())
                if answer is None:
                    ended.wait(30)
                else:
                    conn.sendall(answer)
    asked = []

    def one(*answers):
        path = str(tmp_path / "stub.sock")
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(path)
        sock.listen()
        thread = threading.Thread(target=serve, args=(sock, answers), daemon=True)
        thread.start()
        made.append((sock, thread))
        return path, asked
    yield one
    ended.set()
    for sock, thread in made:
        thread.join(10)
        sock.close()
        assert not thread.is_alive()


def answer(o, status=200, head=""):
    body = json.dumps(o)
    return ("HTTP/1.1 %d x\r\nContent-Length: %d\r\n%s\r\n%s"
            % (status, len(body), head, body)).encode()


def rows(text, heading):
    """The table of this heading: cells by where the columns of the heading are."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith(heading))
    return [re.split(r"  +", line.strip()) for line in lines[at:] if line]


def test_status(gw, ctl):
    code, out, err = ctl("status")
    assert (code, err) == (OK, "") and "\x1b" not in out
    assert re.match(r"weir-gateway \S+, pid %d, up \d+s\n" % gw.pid, out)
    assert re.search(r"(?m)^state +serving$", out) and re.search(r"(?m)^generation +1$", out)
    assert rows(out, "LISTENER") == [
        ["LISTENER", "CONNECTIONS", "ADDRESSES"],
        ["web", "0", "127.0.0.1:%d" % gw.port()],
        ["a-longer-name", "0", "127.0.0.1:%d" % gw.port("other")]]
    # Numbers end in one column, and texts begin in one.
    table = out.splitlines()[-3:]
    assert len({line.index("0  ") + 1 for line in table[1:]} | {table[0].index("  ADDR")}) == 1
    assert len({line.index("127.0.0.1") for line in table[1:]} | {table[0].index("ADDR")}) == 1


def test_status_as_json(gw, ctl, weirctl):
    code, out, _ = ctl("--json", "status")
    assert code == OK and json.loads(out)["pid"] == gw.pid
    again = weirctl("status", "--json", "-shttp://127.0.0.1:%d" % gw.port("admin"))
    assert again[0] == OK and json.loads(again[1])["pid"] == gw.pid
    assert out.splitlines()[:3] == gw.admin("/status").body.decode().splitlines()[:3]


def test_status_says_how_the_last_reload_ended(gw, ctl):
    def last():
        return re.search(r"(?m)^last reload  (.*)$", ctl("status")[1])[1]
    assert last() == "-"
    ctl("reload")
    assert re.fullmatch(r"ok \d{4}-\d\d-\d\dT[\d:.]+Z", last())
    gw.write(TEXT.replace("prefix:", "prefx:"))
    ctl("reload")
    assert re.fullmatch(r"failed \d{4}-\d\d-\d\dT[\d:.]+Z  %s:\d+:\d+: unknown key \"prefx\".*"
                        % re.escape(gw.file), last())


def test_upstreams(gw, ctl):
    assert gw.get().status == 200
    gw.until(lambda: gw.metric("weir_upstream_requests_total") == 1, what="a request counted")
    code, out, err = ctl("upstreams")
    assert (code, err) == (OK, "")
    head, first, second = rows(out, "UPSTREAM")
    assert head == ["UPSTREAM", "SERVER", "WEIGHT", "ACTIVE", "IDLE", "REQUESTS", "ADDRESSES"]
    assert first[:3] == ["origin", gw.names["origin"], "1"] and first[6] == gw.names["origin"]
    assert second[:3] == ["origin", "localhost:1", "12"]
    assert json.loads(ctl("upstreams", "--json")[1]) == json.loads(gw.admin("/upstreams").body)


def test_upstreams_of_many_pages(start, weirctl):
    n = 2100
    gw = start("version: 1\nlisteners: { web: { listen: 127.0.0.1:@web@ } }\nupstreams:\n" +
               "".join("  u%d: { servers: [127.0.0.1:1] }\n" % i for i in range(n)) +
               "routes: [ { prefix: /, split: { %s } } ]\n" % ", ".join("u%d: 1" % i for i in range(n)) +
               "admin: { listen: 127.0.0.1:@admin@ }\nworkers: 1\n")
    where = "http://127.0.0.1:%d/" % gw.port("admin")
    code, out, _ = weirctl("-s", where, "upstreams")
    assert code == OK and [r[0] for r in rows(out, "UPSTREAM")[1:]] == ["u%d" % i for i in range(n)]
    got = json.loads(weirctl("-s", where, "--json", "upstreams")[1])
    assert len(got["upstreams"]) == got["total"] == n and "next" not in got


def test_upstreams_while_it_is_reloaded(stub, weirctl):
    def part(generation, offset, names, more):
        o = {"generation": generation, "total": 2, "offset": offset,
             "upstreams": [{"name": n, "servers": []} for n in names]}
        return answer(dict(o, next=1) if more else o)
    path, asked = stub(part(1, 0, ["gone"], True), part(2, 1, ["b"], False),
                       part(2, 0, ["a"], True), part(2, 1, ["b"], False))
    code, out, _ = weirctl("-s", path, "--json", "upstreams")
    assert code == OK and [u["name"] for u in json.loads(out)["upstreams"]] == ["a", "b"]
    assert asked == ["/upstreams", "/upstreams?offset=1"] * 2


def test_config(gw, ctl, gateway_path):
    shown = subprocess.run([gateway_path, "show", "-c", gw.file], stdout=subprocess.PIPE, text=True,
                           timeout=30, check=True).stdout
    assert ctl("config") == (OK, shown, "")
    code, out, _ = ctl("config", "--route", "all")
    assert code == OK and out.startswith('# route "all", ')
    for more in ([], ["--route", "all"]):
        shown = subprocess.run([gateway_path, "show", "-c", gw.file, "--json", *more], timeout=30,
                               stdout=subprocess.PIPE, text=True, check=True).stdout
        assert ctl("config", "--json", *more) == (OK, shown, "")
    assert ctl("config", "--route=routes[0]")[0] == REFUSED
    assert "no route of this name" in ctl("config", "--route", "a b&c%")[2]


def test_reload(gw, ctl, gateway_path):
    who = "(weir-gateway, pid %d)" % gw.pid
    assert ctl("reload") == (OK, "configuration 2 is in force %s\n" % who, "")
    gw.write(TEXT.replace("prefix:", "prefx:").replace("workers: 1", "workers: none"))
    code, out, err = ctl("reload")
    said = subprocess.run([gateway_path, "check", "-c", gw.file], stderr=subprocess.PIPE, text=True,
                          timeout=30, check=False).stderr
    mistakes = [line for line in said.splitlines() if line.startswith(gw.file)]
    assert code == REFUSED and out == "" and len(mistakes) >= 2
    assert err.splitlines()[:-1] == mistakes
    assert err.splitlines()[-1] == "weirctl: reload failed: configuration 2 stays in force " + who
    code, out, err = ctl("reload", "--json")
    assert code == REFUSED and err == "" and len(json.loads(out)["diagnostics"]) == len(mistakes)
    assert gw.get().status == 200


def test_log_level(ctl):
    assert ctl("log-level") == (OK, "info\n", "")
    assert ctl("log-level", "warn") == (OK, "warn\n", "")
    assert json.loads(ctl("log-level", "--json")[1]) == {"level": "warn"}
    code, out, err = ctl("log-level", "loud&x=%")
    assert (code, out) == (REFUSED, "") and "debug, info, warn, error or off" in err


def test_drain(gw, ctl):
    assert ctl("drain") == (OK, "draining (weir-gateway, pid %d)\n" % gw.pid, "")
    assert gw.wait_exit() == 0
    assert ctl("status")[0] == UNREACHABLE


def test_no_changes_over_tcp(gw, weirctl):
    where = "http://localhost:%d" % gw.port("admin")
    for command in (["reload"], ["drain"], ["log-level", "debug"]):
        code, out, err = weirctl("-s", where, *command)
        assert (code, out) == (REFUSED, "") and "write: true" in err, command
    assert weirctl("-s", where, "log-level") == (OK, "info\n", "")


def test_usual_socket(start, origin, weirctl):
    """Under $XDG_RUNTIME_DIR, but for root, whose place is /run."""
    gw = start(TEXT.replace(", socket: admin.sock", ""), origin=origin.address)
    if os.geteuid() == 0:
        said = weirctl("status", env={**os.environ, "XDG_RUNTIME_DIR": gw.dir})
        assert said[0] == OK or "/run/weir/gateway.sock" in said[2]
        return
    gw.until(lambda: gw.admin("/readyz").status == 200, what="a gateway that serves")
    code, out, _ = weirctl("--json", "status", env={**os.environ, "XDG_RUNTIME_DIR": gw.dir})
    assert code == OK and json.loads(out)["pid"] == gw.pid
    env = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}
    code, _, err = weirctl("status", env=env)
    assert code == UNREACHABLE and "say -s" in err


@pytest.mark.parametrize("args", [
    [], ["nonsense"], ["status", "more"], ["log-level", "a", "b"], ["--nonsense", "status"], ["-s"],
    ["status", "-t", "3"], ["-t", "0s", "status"], ["-t"], ["-s", "https://a", "status"],
    ["-s", "http://a:1/b", "status"], ["-s", "http://", "status"], ["-s", "", "status"],
    ["--route", "a", "status"], ["config", "--route"]])
def test_usage(weirctl, args):
    code, out, err = weirctl(*args)
    assert code == USAGE and out == "" and err.startswith("weirctl: ")


def test_help_and_version(weirctl):
    code, out, err = weirctl("--help")
    assert (code, err) == (OK, "") and out.startswith("weirctl: ")
    assert re.fullmatch(r"weirctl \d\S*\n", weirctl("--version")[1])


def unreachable(said, *words):
    code, out, err = said
    assert code == UNREACHABLE and out == "" and err.startswith("weirctl: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_nobody_there(weirctl, tmp_path):
    unreachable(weirctl("-s", str(tmp_path / "none.sock"), "status"), "none.sock", "No such file")
    (tmp_path / "file").write_text("")
    unreachable(weirctl("-s", str(tmp_path / "file"), "status"), "this is no socket")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(tmp_path / "dead.sock"))
    unreachable(weirctl("-s", "unix:" + str(tmp_path / "dead.sock"), "status"), "is gone")
    unreachable(weirctl("-s", str(tmp_path / ("x" * 200)), "status"), "too long")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))     # bound, and not listened to
        unreachable(weirctl("-s", "http://127.0.0.1:%d" % s.getsockname()[1], "status"), "refused")


def test_no_permission(gw, weirctl, gateway_path):
    folder = tempfile.mkdtemp()
    try:
        os.chmod(folder, 0o755)
        path = shutil.copy(os.path.join(os.path.dirname(gateway_path), "weirctl"), folder)
        sock = os.path.join(gw.dir, "admin.sock")
        os.chmod(sock, 0)
        os.chmod(gw.dir, 0o755)
        unreachable(weirctl("-s", sock, "status", path=path,
                            user=65534 if os.geteuid() == 0 else None), "owner alone")
    finally:
        shutil.rmtree(folder)


def test_no_answer(stub, weirctl):
    path, _ = stub(None)
    unreachable(weirctl("-s", path, "-t", "200ms", "status"), "no answer within 200 ms")


@pytest.mark.parametrize("bytes_, word", [
    (b"", "ended without an answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Le", "ended without an answer"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{}", "ended without an answer"),
    (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "no sound HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "no sound HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "no admin listener"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "no admin listener"),
    (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "no admin listener"),
])
def test_another_program(stub, weirctl, bytes_, word):
    path, _ = stub(bytes_)
    unreachable(weirctl("-s", path, "status"), word)


def test_other_framings(stub, weirctl):
    body = b'{"level": "debug"}'
    path, _ = stub(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n"
                   % (len(body), body))
    assert weirctl("-s", path, "log-level") == (OK, "debug\n", "")
    os.unlink(path)
    path, _ = stub(b"HTTP/1.0 200 OK\r\n\r\n" + body)
    assert weirctl("-s", path, "log-level") == (OK, "debug\n", "")


def test_nothing_commands_a_terminal(stub, weirctl):
    path, _ = stub(answer({"level": "a\x1b[31mb\x07\u009b0mc\x7f"}))
    assert weirctl("-s", path, "log-level") == (OK, "a?[31mb???0mc?\n", "")
    os.unlink(path)
    path, _ = stub(answer({"status": 409, "error": "no\x1b]0;x\x07"}, 409))
    assert weirctl("-s", path, "drain") == (REFUSED, "", "weirctl: refused: no?]0;x?\n")
    os.unlink(path)
    path, _ = stub(answer({"ok": True, "pid": 1, "program": "a\x1b[1m"}))
    assert weirctl("-s", path, "drain") == (OK, "draining (a?[1m, pid 1)\n", "")
    os.unlink(path)
    told = {"ok": False, "time": "\x1b[1m", "error": "a:1:2: \x1b]0;x\x07"}
    path, _ = stub(answer({"state": "serving", "last_reload": told}))
    assert "failed ?[1m  a:1:2: ?]0;x?\n" in weirctl("-s", path, "status")[1]
    os.unlink(path)
    listener = {"connections": 0, "addresses": []}
    path, _ = stub(answer({"state": "serving", "listeners": {"a\x1b]0;x\x07": listener}}))
    assert "a?]0;x?" in weirctl("-s", path, "status")[1]


@pytest.mark.parametrize("command", (["config"], ["explain", "http://a.test/"]))
def test_no_line_commands_a_terminal(stub, weirctl, command):
    text = b"a: 1\n\tb\x1b]0;x\x07 \xc2\x9b \xc3\xbc\x7f\n"
    path, _ = stub(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
    assert weirctl("-s", path, *command) == (OK, "a: 1\n\tb?]0;x? ?? \u00fc?\n", "")


def test_a_full_disk(ctl, gw, gateway_path):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([os.path.join(os.path.dirname(gateway_path), "weirctl"), "-s",
                               os.path.join(gw.dir, "admin.sock"), "status"], stdout=full,
                              stderr=subprocess.PIPE, text=True, timeout=30, check=False)
    assert done.returncode == UNREACHABLE and "cannot write" in done.stderr


def test_a_full_disk_before_the_end(stub, gateway_path):
    """Whole blocks are written at once: then the end has nothing left that could fail."""
    text = b"x" * (64 * 4096)
    path, _ = stub(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
    with open("/dev/full", "wb") as full:
        done = subprocess.run([os.path.join(os.path.dirname(gateway_path), "weirctl"), "-s", path,
                               "config"], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=30, check=False)
    assert done.returncode == UNREACHABLE and "cannot write" in done.stderr
