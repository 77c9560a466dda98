# SPDX-License-Identifier: Apache-2.0
"""Every file and every command in README.md, docs/ and the other pages for readers is tried.

Fenced blocks are taken by their language:

  yaml     a whole file (it has `version`), or a fragment, to which what it lacks is added; `check`
           must accept it, and the gateway serves with it, on ports of its own. `<!-- file: NAME -->` above makes it a file for console blocks; it need
           not be right then
  console  `$ command` and its exact output, status aside, in a folder with the files so named
  sh       a line a command; COMMANDS says how it is tried. A line that is not there fails
  logrotate  its configuration, run by itself with the file and the process of a test
  nginx, haproxy, envoy, kong, traefik
           what another gateway has for the `yaml` that follows: its own program takes it, where it is
           one that Debian has, and both name the same hosts and servers
  ini      a unit of systemd: its commands are run as it says, to check, to serve, to reload and to stop
  dockerfile
           its packages are those that building takes and those of the libraries that the programs load
  c        a program: it must compile, with the headers of STUBS where it includes what is not there

`text` is prose. Of any other fence tests/lint/snippets says that no test runs it.
"""

import configparser
import contextlib
import glob
import gzip
import http.client
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import urllib.request

import pytest
import yaml

from harness import Dns, Origin, answer, free_port
from harness.gateway import is_sanitized

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FENCE = re.compile(r"(?:<!-- file: (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.M | re.S)
MORE_PAGES = ("README.md", "CONTRIBUTING.md", "services/README.md", "bench/README.md")


def pages():
    return [*(os.path.join(TOP, page) for page in MORE_PAGES),
            *sorted(glob.glob(os.path.join(TOP, "docs", "**", "*.md"), recursive=True))]


def blocks(language):
    """(id, page, name of the file or None, text) of all blocks of that language."""
    found = []
    for page in pages():
        with open(page, encoding="utf-8") as f:
            text = f.read()
        for m in FENCE.finditer(text):
            line = text.count("\n", 0, m.start(3)) + 1
            if m[2] == language:
                found.append((f"{os.path.relpath(page, TOP)}:{line}", page, m[1], m[3]))
    return found


def cases(found):
    return pytest.mark.parametrize("block", found, ids=[b[0] for b in found])


# ---- yaml ----

def names_used(routes):
    for route in routes:
        if "upstream" in route:
            yield route["upstream"]
        yield from route.get("split", {})
        if route.get("mirror"):
            yield route["mirror"]["upstream"]


def completed(text):
    """A fragment with what it lacks to be a file."""
    conf = yaml.safe_load(text)
    conf.setdefault("version", 1)
    conf.setdefault("listeners", {"web": {"listen": 8080}})
    used = set(names_used(conf.get("routes", [])))
    upstreams = conf.setdefault("upstreams", {})
    for name in used:
        upstreams.setdefault(name, {"servers": ["127.0.0.1:9001"]})
    routes = conf.setdefault("routes", [])
    for name in set(upstreams) - used:
        routes.append({"prefix": "/uses-" + name, "upstream": name})
    if not routes:
        routes.append({"prefix": "/", "respond": {"status": 204}})
    return yaml.safe_dump(conf)


def check(gateway_path, folder, text):
    path = os.path.join(folder, "gateway.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return subprocess.run([gateway_path, "check", "-c", path], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=30, check=False)


@cases([b for b in blocks("yaml") if not b[2]])
def test_yaml_loads(block, gateway_path, tmp_path):
    text = block[3]
    whole = re.search(r"(?m)^version:", text)
    done = check(gateway_path, str(tmp_path), text if whole else completed(text))
    assert done.returncode == 0, done.stdout


def moved(text):
    """The same on ports that are free, and local."""
    def port(m):
        return m[1] + "127.0.0.1:%d" % free_port()
    return re.sub(r"""(\blisten: )(?:[\w.\[\]:'"]*:)?\d+["']?""", port, text)


@cases([b for b in blocks("yaml") if not b[2]])
def test_yaml_serves(block, gateway_path, tmp_path):
    """It starts, answers a request on each listener, reloads the same, and ends when told."""
    text = block[3]
    text = moved(text if re.search(r"(?m)^version:", text) else completed(text))
    if not re.search(r"(?m)^admin:", text):
        text += "\nadmin: { listen: 127.0.0.1:%d, socket: admin.sock }\n" % free_port()
    conf = yaml.safe_load(text)
    path = tmp_path / "gateway.yaml"
    path.write_text(text, encoding="utf-8")
    admin = conf["admin"].get("listen")
    with Dns() as dns:
        proc = subprocess.Popen([gateway_path, "run", "-c", str(path)], cwd=tmp_path,
                                env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path), **dns.env),
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            if admin:
                wait_for("http://%s/readyz" % admin, proc)
            for listener in conf["listeners"].values():
                assert status_of(str(listener["listen"]), proc) >= 200
            proc.send_signal(signal.SIGHUP)
        finally:
            proc.send_signal(signal.SIGINT)
            said = proc.communicate(timeout=40)[1]
    assert proc.returncode == 0 and '"level":"error"' not in said, said


def status_of(address, proc):
    host, port = address.rsplit(":", 1)
    for _ in range(300):
        assert proc.poll() is None, "it ended"
        try:
            with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=5)) as c:
                c.request("GET", "/", headers={"Host": "a.test"})
                return c.getresponse().status
        except ConnectionRefusedError:
            proc_wait(proc, 0.1)
    raise AssertionError(address + " does not answer")


def test_completing_does_not_hide_mistakes(gateway_path, tmp_path):
    done = check(gateway_path, str(tmp_path), completed("routes: [{ prefix: /a, upsteam: b }]"))
    assert done.returncode == 1 and "upsteam" in done.stdout


# ---- console ----

@pytest.fixture
def path_of_programs(gateway_path, monkeypatch):
    monkeypatch.setenv("PATH", os.path.dirname(gateway_path) + ":" + os.environ["PATH"])


@cases(blocks("console"))
def test_console(block, path_of_programs, tmp_path):
    _, page, _, text = block
    for b in blocks("yaml"):
        if b[1] == page and b[2]:
            (tmp_path / b[2]).write_text(b[3], encoding="utf-8")
    parts = re.split(r"(?m)^\$ (.*)\n", text)
    assert parts[0] == "" and len(parts) > 1, "a console block begins with `$ command`"
    for command, output in zip(parts[1::2], parts[2::2]):
        done = subprocess.run(["sh", "-c", command], cwd=tmp_path, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
        assert done.stdout == output


# ---- other gateways ----

OTHERS = [*blocks("nginx"), *blocks("haproxy"), *blocks("envoy"), *blocks("kong"), *blocks("traefik")]


def language_of(block):
    return next(n for n in ("nginx", "haproxy", "envoy", "kong", "traefik") if block in blocks(n))


NGINX = """\
pid {0}/pid;
daemon off;
master_process off;
error_log stderr;
events {{}}
http {{
access_log off;
client_body_temp_path {0}/1; proxy_temp_path {0}/2; fastcgi_temp_path {0}/3;
uwsgi_temp_path {0}/4; scgi_temp_path {0}/5;
{1}}}
"""
# What is asked of nginx, of HAProxy, and of ours in their place: host, target, more fields.
ASKED = {
    "nginx": [("api.example.com", t, {}) for t in (
        "/v1/users/7", "/v1/users/", "/v1/users/a/b?x=1", "/internal/a", "/maintenance", "/users",
        "/other")] + [("other.example.org", "/v1/users/7", {})],
    "haproxy": [("api.example.com", t, h) for t in ("/v1/users/7", "/v1/users/a/b?x=1", "/admin",
                                                    "/other") for h in ({}, {"X-Beta": "1"})] +
               [("other.example.org", "/v1/users/7", {}), ("example.com", "/", {})],
}


def peer(language, text, folder):
    """(the command that checks its file, the command that serves)"""
    if language == "nginx":
        text = NGINX.format(folder, text)
    path = os.path.join(folder, language + ".conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return (["nginx", "-t", "-c", path], ["nginx", "-c", path]) if language == "nginx" else \
        (["haproxy", "-c", "-f", path], ["haproxy", "-db", "-f", path])


def with_peers():
    return dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin")


def on_port(text, port, origins):
    """What a snippet has, on that port of ours, and with our origins for its servers."""
    text = re.sub(r"(listen:? |bind )(?:\w*:)?80\d\d", r"\g<1>127.0.0.1:%d" % port, text)
    return re.sub(r"127\.0\.0\.1:(900\d)", lambda m: origins[m[1]].address, text)


def ours_after(block):
    page, line = block[0].rsplit(":", 1)
    return min((b for b in blocks("yaml") if b[0].startswith(page + ":") and
                int(b[0].rsplit(":", 1)[1]) > int(line)), key=lambda b: int(b[0].rsplit(":", 1)[1]))


def told(port, asked):
    """What came of each request: status, where a redirect leads, and what a server saw."""
    found = []
    for host, target, more in asked:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as c:
            c.request("GET", target, headers={"Host": host, **more})
            got = c.getresponse()
            body = got.read()
            to = re.sub(r"^http://api\.example\.com(:\d+)?", "", got.getheader("Location", ""))
            found.append((host, target, more, got.status, to,
                          json.loads(body) if got.status == 200 else None))
    return found


@cases(OTHERS)
def test_other_gateway_takes_it(block, tmp_path):
    language, text = language_of(block), block[3]
    if language in ("nginx", "haproxy"):
        # `nginx -t` binds
        text = re.sub(r"listen \d+", "listen 127.0.0.1:%d" % free_port(), text)
        done = subprocess.run(peer(language, text, str(tmp_path))[0], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30, check=False,
                              env=with_peers())
        assert done.returncode == 0, done.stdout
    else:
        # what each of them cannot do without
        root = {"envoy": "static_resources", "kong": "_format_version", "traefik": "http"}[language]
        assert root in yaml.safe_load(text)


@cases(OTHERS)
def test_other_gateway_and_ours_name_the_same(block):
    ours = ours_after(block)
    theirs = re.sub(r"address: ([\d.]+), port_value: (\d+)", r"\1:\2", block[3])
    servers, hosts = r"127\.0\.0\.1:\d+", r"(?<![\w.])(?:\w+\.)?example\.com"
    assert set(re.findall(servers, theirs)) == set(re.findall(servers, ours[3])) != set()
    assert set(re.findall(hosts, theirs)) == set(re.findall(hosts, ours[3])) != set()


@cases([b for b in OTHERS if language_of(b) in ASKED])
def test_other_gateway_and_ours_do_the_same(block, gateway_path, tmp_path):
    """Both serve, before the same servers: what clients get and servers see is the same."""
    language = language_of(block)
    groups = {"9001": "users", "9002": "users"}
    with contextlib.ExitStack() as stack:
        origins = {n: stack.enter_context(Origin(lambda conn, req, n=n: conn.send(answer(json.dumps({
            "server": groups.get(n, n), "target": req.target.decode(),
            "fields": {k: str(req.get(k)) for k in ("host", "x-from")}})))))
                   for n in ("9001", "9002", "9003", "9004")}
        ports = [free_port(), free_port()]
        command = peer(language, on_port(block[3], ports[0], origins), str(tmp_path))[1]
        (tmp_path / "gateway.yaml").write_text(
            on_port(ours_after(block)[3], ports[1], origins) + "\nadmin: { socket: admin.sock }\n",
            encoding="utf-8")
        found = []
        for port, line in zip(ports, (command, [gateway_path, "run", "-c",
                                                str(tmp_path / "gateway.yaml")])):
            proc = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                    env=with_peers())
            try:
                status_of("127.0.0.1:%d" % port, proc)
                found.append(told(port, ASKED[language]))
            finally:
                proc.send_signal(signal.SIGINT)
                said = proc.communicate(timeout=40)[1]
    assert found[0] == found[1], said
    assert {200, 403, 404} <= {status for _, _, _, status, _, _ in found[1]}


def test_all_five_are_there():
    assert {language_of(b) for b in OTHERS} == {"nginx", "haproxy", "envoy", "kong", "traefik"}


# ---- sh ----

class Place:
    """A gateway on the ports that the pages use, moved to free ones."""

    def __init__(self, gateway_path, folder, start):
        self.gateway_path = gateway_path
        self.folder = str(folder)
        self.start = start


def has_options(script, *options):
    """The script is there and its help names the options."""
    def there(place, command):
        done = subprocess.run([os.path.join(TOP, script), "--help"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stdout
        for option in options:
            assert option in done.stdout
    return there


def is_suite(name):
    """./runtests runs it."""
    def there(place, command):
        done = subprocess.run([os.path.join(TOP, "runtests"), "--list"], stdout=subprocess.PIPE,
                              text=True, timeout=30, check=False)
        assert name in done.stdout.split(), done.stdout
    return there


def first_file():
    """The first configuration of the README."""
    return next(b[3] for b in blocks("yaml") if b[0].startswith("README.md"))


def running(place, more="", log="stdout"):
    origin = Origin(lambda conn, req: conn.send(answer(b"x")))
    text = first_file().replace("listen: 8080", "listen: 127.0.0.1:@web@")
    text = re.sub(r"servers: \[.*?\]", "servers: [@origin@]", text)
    assert "@web@" in text and "@origin@" in text
    return origin, place.start(text + "\nadmin: { listen: 127.0.0.1:@admin@, %s }\n"
                               "log: { access: %s }\n" % (more, log), origin=origin.address)


def does_check(place, command):
    with open(os.path.join(place.folder, "gateway.yaml"), "w", encoding="utf-8") as f:
        f.write(first_file())
    subprocess.run(command.split(), cwd=place.folder, check=True, timeout=30)


def does_schema(place, command):
    """What stands there then is the schema, by the name that the page's file has for it."""
    name = command.rpartition("> ")[2]
    subprocess.run(["sh", "-c", command], cwd=place.folder, check=True, timeout=30)
    with open(os.path.join(place.folder, name), encoding="utf-8") as f:
        assert "routes" in json.load(f)["properties"]
    assert any(b[3].startswith(f"# yaml-language-server: $schema=./{name}\n") for b in blocks("yaml"))


def does_explain(place, command):
    """What it says of the README's file."""
    with open(os.path.join(place.folder, "gateway.yaml"), "w", encoding="utf-8") as f:
        f.write(first_file())
    with open(os.path.join(place.folder, "requests.txt"), "w", encoding="utf-8") as f:
        f.write("GET http://api.example.com/v1/users/42\n")
    done = subprocess.run(["sh", "-c", command], cwd=place.folder, stdout=subprocess.PIPE,
                          text=True, check=True, timeout=30)
    assert "forwarded" in done.stdout


def does_run(place, command):
    """As it stands, but for the ports; stopped by its pid."""
    text = first_file().replace("8080", "127.0.0.1:%d" % free_port())
    with open(os.path.join(place.folder, "gateway.yaml"), "w", encoding="utf-8") as f:
        f.write(text + "admin: { listen: 127.0.0.1:%d }\n" % (port := free_port()))
    env = dict(os.environ, XDG_RUNTIME_DIR=place.folder)
    proc = subprocess.Popen(command.split(), cwd=place.folder, env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for("http://127.0.0.1:%d/readyz" % port, proc)
    finally:
        proc.send_signal(signal.SIGTERM)
        assert proc.wait(40) == 0


def wait_for(url, proc):
    for _ in range(300):
        assert proc.poll() is None, "it ended"
        try:
            return urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            proc_wait(proc, 0.1)
    raise AssertionError(url + " does not answer")


def proc_wait(proc, seconds):
    try:
        proc.wait(seconds)
    except subprocess.TimeoutExpired:
        pass


def does_serve(place, command):
    """The service with its options, on a free port, in a folder of its own."""
    build = os.environ.get("WEIR_BUILDDIR") or os.path.dirname(place.gateway_path)
    line, moved = re.subn(r"127\.0\.0\.1:\d+", "127.0.0.1:0", command)
    assert moved == 1
    proc = subprocess.Popen([os.path.join(build, line.split()[0]), *line.split()[1:]],
                            cwd=place.folder, stdout=subprocess.PIPE, text=True)
    try:
        said = json.loads(proc.stdout.readline())
        assert said["msg"] == "listening", said
        wait_for("http://127.0.0.1:%d/readyz" % said["port"], proc)
    finally:
        proc.send_signal(signal.SIGTERM)
        proc.communicate(timeout=40)
    assert proc.returncode == 0


def does_load(place, command):
    """The line with a second of load; no error in what wrk says."""
    origin, gw = running(place)
    try:
        line = command.replace(":8080", ":%d" % gw.port()).replace("-d10s", "-d1s")
        done = subprocess.run(line.split(), stdout=subprocess.PIPE, text=True, timeout=30,
                              check=True)
        assert re.search(r"[1-9]\d* requests in", done.stdout), done.stdout
        assert not re.search("Socket errors|Non-2xx", done.stdout), done.stdout
    finally:
        origin.stop()


def does_ask_admin(place, command):
    origin, gw = running(place)
    try:
        line = command.replace(":9901", ":%d" % gw.port("admin"))
        done = subprocess.run([*shlex.split(line), "-f"], stdout=subprocess.PIPE, text=True,
                              timeout=10, check=True)
        assert done.stdout
    finally:
        origin.stop()


def does_reload_by_socket(place, command):
    """With the socket of our own process."""
    origin, gw = running(place, f"socket: {place.folder}/admin.sock")
    try:
        before = gw.metric("weir_config_generation")
        line = command.replace("/run/weir/gateway.sock", place.folder + "/admin.sock")
        assert line != command
        subprocess.run([*line.split(), "-f"], stdout=subprocess.DEVNULL, timeout=10, check=True)
        gw.until(lambda: gw.metric("weir_config_generation") != before, 8, "a new generation")
    finally:
        origin.stop()


def does_ctl(place, command):
    """With the socket of our own process."""
    origin, gw = running(place, f"socket: {place.folder}/admin.sock")
    try:
        gw.until(lambda: gw.admin("/readyz").status == 200, 8, "a gateway that serves")
        words = shlex.split(command)
        done = subprocess.run([words[0], "-s", f"{place.folder}/admin.sock", *words[1:]],
                              stdout=subprocess.PIPE, timeout=10, check=True)
        assert done.stdout
    finally:
        origin.stop()


COMMANDS = {
    "weirctl status": does_ctl,
    "weirctl upstreams": does_ctl,
    "weirctl config": does_ctl,
    "weirctl explain 'GET http://api.example.com/v1/users/42'": does_ctl,
    "weirctl explain 'GET https://api.example.com/v1/users/42' --client 10.1.2.3": does_ctl,
    "weirctl reload": does_ctl,
    "weirctl log-level debug": does_ctl,
    "./quickstart": has_options("quickstart", "--check"),   # .ci/run runs it with --check
    "./runtests": has_options("runtests", "--quick", "--list"),
    "weir-gateway check -c gateway.yaml": does_check,
    "weir-gateway explain -c gateway.yaml 'GET https://api.example.com/v1/users/42' "
    "-H 'X-User: alice'": does_explain,
    "weir-gateway explain -c gateway.yaml - < requests.txt": does_explain,
    "weir-gateway run -c gateway.yaml": does_run,
    "weir-gateway schema > weir.schema.json": does_schema,
    "wrk -t1 -c32 -d10s --latency http://127.0.0.1:8080/v1/users": does_load,
    "bench/run --quick": has_options("bench/run", "--quick"),
    # the suite of that name does the same in build/gcc
    "autoreconf -i && mkdir -p build/dev && cd build/dev && ../../configure && make -j2 && make check":
        is_suite("check"),
    "./runtests --quick": has_options("runtests", "--quick", "--list"),
    "weir-user-service --listen 127.0.0.1:9001 --database users.db --name user-1": does_serve,
    "weir-user-service --listen 127.0.0.1:9002 --database users.db --name user-2": does_serve,
    # distcheck configures, builds and installs
    "autoreconf -i && ./configure --prefix=/usr --sysconfdir=/etc && make && make install":
        is_suite("distcheck"),
    "curl -s http://127.0.0.1:9901/healthz": does_ask_admin,
    "curl -s http://127.0.0.1:9901/readyz": does_ask_admin,
    "curl -s http://127.0.0.1:9901/status": does_ask_admin,
    "curl -s 'http://127.0.0.1:9901/routes?limit=10'": does_ask_admin,
    "curl -s http://127.0.0.1:9901/upstreams": does_ask_admin,
    "curl -s http://127.0.0.1:9901/connections": does_ask_admin,
    "curl -s http://127.0.0.1:9901/config": does_ask_admin,
    "curl -s 'http://127.0.0.1:9901/config?format=json'": does_ask_admin,
    "curl -s 'http://127.0.0.1:9901/explain?url=http://api.example.com/v1/users/42'":
        does_ask_admin,
    "curl -s http://127.0.0.1:9901/metrics": does_ask_admin,
    "curl -s -X POST --unix-socket /run/weir/gateway.sock http://weir/reload":
        does_reload_by_socket,
}

LINES = list(dict.fromkeys(line for b in blocks("sh")
                           for line in re.sub(r"(?m)(^| +)#.*$", "", b[3]).splitlines() if line))


@pytest.mark.parametrize("command", LINES)
def test_command(command, gateway_path, path_of_programs, tmp_path, start):
    assert command in COMMANDS, "say in COMMANDS how this line is tried"
    COMMANDS[command](Place(gateway_path, tmp_path, start), command)


def test_nothing_left_in_the_table():
    assert set(COMMANDS) == set(LINES)


# ---- logrotate ----

@cases(blocks("logrotate"))
def test_logrotate(block, start, tmp_path):
    """The old lines are in the old file, the new ones in the new, none is lost."""
    log = tmp_path / "access.log"
    origin, gw = running(Place(None, tmp_path, start), log=log)
    try:
        text, moved_file = re.subn(r"(?m)^/\S+ ", f"{log} ", block[3])
        text, moved_pid = re.subn(r"\$\(pidof weir-gateway\)", str(gw.pid), text)
        assert (moved_file, moved_pid) == (1, 1)
        (tmp_path / "rotate.conf").write_text(text, encoding="utf-8")
        (tmp_path / "rotate.conf").chmod(0o644)
        for n in range(1, 4):
            assert gw.get(f"/v1/users/{n}").status == 200
            # the line is there, or goes to the old file before the new one is opened
            gw.until(log.exists, 8, "a log")
            gw.until(lambda: log.stat().st_size > 0, 8, "a line")
            subprocess.run(["logrotate", "-f", "-s", str(tmp_path / "state"),
                            str(tmp_path / "rotate.conf")], timeout=30, check=True,
                           env=dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin"))
            gw.until(log.exists, 8, "a new file")
        old = (tmp_path / "access.log.1").read_text(encoding="utf-8")
        assert [json.loads(line)["path"] for line in old.splitlines()] == ["/v1/users/3"]
        for n, name in ((1, "access.log.3.gz"), (2, "access.log.2.gz")):
            with gzip.open(tmp_path / name, "rt", encoding="utf-8") as f:
                assert [json.loads(line)["path"] for line in f] == [f"/v1/users/{n}"]
    finally:
        origin.stop()


# ---- a unit of systemd ----

@cases(blocks("ini"))
def test_unit(block, gateway_path, tmp_path):
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(block[3])
    service = unit["Service"]
    # where weirctl of root looks for the socket
    assert "/run/" + service["RuntimeDirectory"] == "/run/weir"
    assert service["Environment"] == "XDG_RUNTIME_DIR=/run"
    assert int(service["TimeoutStopSec"]) > 30 and "KillSignal" not in service
    path = tmp_path / "gateway.yaml"
    port = free_port()
    path.write_text(moved(first_file()) + "\nadmin: { listen: 127.0.0.1:%d }\n" % port,
                    encoding="utf-8")

    def command(key):
        line = service[key].replace("/usr/bin/weir-gateway", gateway_path)
        return line.replace("/etc/weir/gateway.yaml", str(path)).split()

    subprocess.run(command("ExecStartPre"), check=True, timeout=30)
    proc = subprocess.Popen(command("ExecStart"), env=dict(os.environ, XDG_RUNTIME_DIR=str(tmp_path)),
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_for("http://127.0.0.1:%d/readyz" % port, proc)
        subprocess.run([w.replace("$MAINPID", str(proc.pid)) for w in command("ExecReload")],
                       check=True, timeout=30)
        for _ in range(300):
            page = wait_for("http://127.0.0.1:%d/metrics" % port, proc).decode()
            if re.search(r"(?m)^weir_config_generation 2$", page):
                break
            proc_wait(proc, 0.05)
        else:
            raise AssertionError("no second generation")
    finally:
        proc.send_signal(signal.SIGTERM)
        said = proc.communicate(timeout=int(service["TimeoutStopSec"]))[1]
    assert proc.returncode == 0, said


# ---- a container ----

def needed_packages(build):
    """Of the libraries that the programs load, those of every system aside."""
    said = subprocess.run(["ldd", *(os.path.join(build, p) for p in ("weir-gateway", "weirctl"))],
                          stdout=subprocess.PIPE, text=True, check=True, timeout=30).stdout
    found = set()
    for path in set(re.findall(r"=> (/\S+)", said)):
        real = os.path.realpath(path)
        # dpkg knows some by the place that they had before /lib became a link
        owner = subprocess.run(["dpkg", "-S", real, real.removeprefix("/usr")],
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                               check=False, timeout=30).stdout
        assert owner, real
        found.add(owner.split(":")[0])
    return found - {"libc6", "libgcc-s1"}


@cases(blocks("dockerfile"))
def test_container(block, gateway_path):
    text = block[3].replace("\\\n", " ")
    building, serving = [set(m.split()) for m in re.findall(
        r"apt-get install -y --no-install-recommends ([^&\n]*)", text)]
    with open(os.path.join(TOP, "tools", "packages.txt"), encoding="utf-8") as f:
        build = set(re.findall(r"(?m)^build\t(\S+)", f.read()))
    # those are for ./quickstart and for `make dist`
    assert building == build - {"ca-certificates", "curl", "wrk", "xz-utils"}
    if not is_sanitized(gateway_path):
        assert serving == needed_packages(os.path.dirname(gateway_path))
    assert "autoreconf -i && ./configure --prefix=/usr --sysconfdir=/etc && make &&" in text
    # TERM is what a container is stopped with
    assert "STOPSIGNAL" not in text and 'ENTRYPOINT ["weir-gateway"]\nCMD ["run"]\n' in text


# ---- c ----

STUBS = {
    "services/product/product_store.h": """
        #include <stdbool.h>
        struct product { char name[32]; };
        void *product_store_open(void *app);
        void product_store_close(void *ctx);
        bool product_store_get(void *store, const char *id, struct product *product_r);
        """,
}


@cases(blocks("c"))
def test_c_compiles(block, gateway_path, tmp_path):
    for name, text in STUBS.items():
        if f'"{name}"' in block[3]:
            (tmp_path / name).parent.mkdir(parents=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
    build = os.environ.get("WEIR_BUILDDIR") or os.path.dirname(gateway_path)
    done = subprocess.run(["gcc", "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
                           f"-I{tmp_path}", f"-I{build}", f"-I{TOP}", "-xc", "-"],
                          input=block[3], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout


# ---- the pages that tell of everything ----

def page_of(name):
    with open(os.path.join(TOP, "docs", name), encoding="utf-8") as f:
        return f.read()


def test_every_field_of_the_log_is_told():
    row = re.search(r"(?m)^\| `log\.access\.fields` \|(.*)$", page_of("reference.md"))[1]
    fields = re.findall(r"[a-z_]+", re.split(r"(?<!\\)\|", row)[0].partition(" of ")[2])
    assert {"time", "phases", "query"} <= set(fields), fields
    told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\|([^|]*)\|", page_of("logs.md")))))
    assert set(fields) == told, "a row of the table in logs.md for each field, and no other"


def help_of(gateway_path, name):
    return subprocess.run([os.path.join(os.path.dirname(gateway_path), name), "--help"],
                          stdout=subprocess.PIPE, text=True, timeout=30, check=True).stdout


@pytest.mark.parametrize("name", ["weir-gateway", "weirctl"])
def test_every_command_and_option_is_told(gateway_path, name):
    assert f"```text\n{help_of(gateway_path, name)}```\n" in page_of("reference.md")


def test_help_tells_every_command(gateway_path):
    commands = re.findall(r"(?m)^  ([a-z]+)  ", help_of(gateway_path, "weir-gateway"))
    with open(os.path.join(TOP, "engine", "app", "app.c"), encoding="utf-8") as f:
        table = re.findall(r'(?m)^\t\{ "(\w+)", \w+ \},$', f.read())
    # `reference` is for whoever makes the page
    assert set(table) - {"reference"} == set(commands)


# ---- the manual page ----

def test_manual_page_names_what_the_program_takes(gateway_path):
    with open(os.path.join(TOP, "docs", "weir-gateway.8"), encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    said = subprocess.run([gateway_path, "--help"], stdout=subprocess.PIPE, text=True, timeout=30,
                          check=True).stdout
    commands = re.findall(r"(?m)^  ([a-z]+)  ", said)
    assert {"run", "check", "show"} <= set(commands)
    in_page = re.findall(r"(?m)^\.TP\n\.B ([a-z]+)$", page)
    assert [c for c in in_page if c != "reference"] == commands
    for option in re.findall(r"(?m)^  (-\w) ", said):
        assert re.search(rf"(?m)^\.TP\n\.BI {option} ", page), option


def test_manual_page_of_weirctl(gateway_path):
    with open(os.path.join(TOP, "docs", "weirctl.1"), encoding="utf-8") as f:
        page = f.read().replace("\\-", "-")
    said = subprocess.run([os.path.join(os.path.dirname(gateway_path), "weirctl"), "--help"],
                          stdout=subprocess.PIPE, text=True, timeout=30, check=True).stdout
    commands = re.findall(r"(?m)^  ([a-z][a-z-]*)  ", said)
    assert {"status", "reload"} <= set(commands)
    assert re.findall(r"(?m)^\.TP\n\.B ([a-z][a-z-]+)$", page) == commands
    with open(os.path.join(TOP, "docs", "operations.md"), encoding="utf-8") as f:
        assert re.findall(r"(?m)^\| `weirctl ([a-z-]+)` ", f.read()) == commands
    for option in re.findall(r"(?m)^  (-\w) ", said):
        assert re.search(rf"(?m)^\.TP\n\.BI {option} ", page), option
    assert all("--" + o in page for o in re.findall(r"--([a-z]+)", said))


def test_manual_page_shows_the_first_file_of_the_readme(gateway_path):
    with open(os.path.join(TOP, "docs", "weir-gateway.8"), encoding="utf-8") as f:
        page = f.read()
    assert f".nf\n{first_file()}.fi\n" in page


# ---- configure ----

def test_every_option_of_configure_is_told():
    text = ""
    for name in ("configure.ac", "m4/weir.m4"):
        with open(os.path.join(TOP, name), encoding="utf-8") as f:
            text += f.read()
    with open(os.path.join(TOP, "CONTRIBUTING.md"), encoding="utf-8") as f:
        page = f.read()
    options = re.findall(r"AS_HELP_STRING\(\[(--[a-z-]+)", text)
    assert {"--enable-asan", "--enable-coverage"} <= set(options)
    assert [o for o in options if f"`{o}`" not in page] == []


# ---- the demonstration ----

def demo(build, *args):
    return [os.path.join(TOP, "tools", "demo"), "--build", str(build), *args]


def test_demo_runs_until_interrupted(gateway_path, tmp_path):
    """What ./quickstart ends with: it prints what to try, and Ctrl-C ends all three processes."""
    for name in ("weir-gateway", "weirctl", "weir-user-service"):
        os.symlink(os.path.join(os.path.dirname(gateway_path), name), tmp_path / name)
    proc = subprocess.Popen(demo(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                            text=True, cwd=TOP)
    try:
        printed = ""
        for line in proc.stdout:
            printed += line
            if line.startswith("Ctrl-C"):
                break
        pids = [int(pid) for pid in re.findall(r"\(pid (\d+)\)", printed)]
        assert len(pids) == 3, printed
        hello = re.search(r"curl -s (http://\S+/hello)$", printed, re.M)
        assert urllib.request.urlopen(hello[1], timeout=5).read() == b"hello from the gateway\n"
        for kind in ("/v1/users ", "x-served-by", "/users/42",
                     "check -c", "weirctl -s", "kill -HUP", "wrk ", "/metrics"):
            assert kind in printed, kind
    finally:
        proc.send_signal(signal.SIGINT)
        rest = proc.communicate(timeout=60)[0]
    assert proc.returncode == 0, rest
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_demo_says_what_is_missing(tmp_path):
    done = subprocess.run(demo(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=30, check=False)
    assert done.returncode == 1 and "weir-gateway is not there" in done.stdout
