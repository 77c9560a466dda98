# SPDX-License-Identifier: Apache-2.0
"""What is in force: `show` of files, /config of a process."""

import json
import os
import re
import subprocess

import pytest
import yaml

TEXT = """
version: 1
include: [more/*.yaml]
listeners:
  web: { listen: "127.0.0.1:@web@" }
  small: { listen: "127.0.0.1:@small@", body_limit: 1KiB, request_headers: { set: { X-B: small } } }
upstreams: { origin: { servers: ["127.0.0.1:1"] } }
defaults:
  timeout: { connect: 1s, idle: 20s }
  request_headers: { set: { X-A: all, X-B: all } }
  ip: { deny: [10.0.0.13] }
admin: { listen: "127.0.0.1:@admin@" }
workers: 1
"""

MORE = """
routes:
  - { name: users, prefix: /users, strip_prefix: true, upstream: origin, timeout: { idle: 5s } }
  - name: open
    prefix: /open
    listeners: [small]
    upstream: origin
    ip: off
    body_limit: 2KiB
    response_headers: { remove: [Server] }
  - { prefix: /none, respond: { status: 204 } }
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.yaml").write_text(MORE)
    text = re.sub(r"@\w+@", lambda m: str(8000 + len(m[0])), TEXT)
    (tmp_path / "gateway.yaml").write_text(text)
    return tmp_path


def show(path, files, *args, status=0):
    done = subprocess.run([path, "show", "-c", str(files / "gateway.yaml"), *args], timeout=30,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def line_of(text, what):
    return next(i for i, line in enumerate(text.splitlines(), 1) if what in line)


def documents(text):
    """[(comments, what the rest means, {key: place})] of each document."""
    out = []
    for part in text.split("---\n"):
        lines = part.splitlines()
        places = {m[1]: m[2] for m in (re.match(r"\s*([\w-]+):.*  # (.*)$", l) for l in lines) if m}
        out.append(([l for l in lines if l.startswith("#")], yaml.safe_load(part), places))
    return out


def test_one_route(gateway_path, files):
    web, small = documents(show(gateway_path, files, "--route", "users"))
    main, more = str(files / "gateway.yaml"), str(files / "more" / "a.yaml")
    text = (files / "gateway.yaml").read_text()
    for comments, meant, places in (web, small):
        assert comments[0] == '# route "users", %s:%d' % (more, line_of(MORE, "name: users"))
        assert comments[3:] == [
            "#   request:  request_id, ip, request_headers, strip_prefix", "#   response: request_id"]
        assert set(meant) >= {"name", "prefix", "strip_prefix", "upstream", "timeout", "ip"}
        assert "listeners" not in meant and "routes" not in meant
        assert meant["timeout"] == {"connect": "1s", "idle": "5s", "first_byte": "15s",
                                    "total": "unlimited"}
        assert places["connect"] == "%s:%d" % (main, line_of(text, "timeout:"))
        assert places["idle"] == "%s:%d" % (more, line_of(MORE, "idle: 5s"))
        assert places["first_byte"] == "default"
    assert web[0][1] == "# on listener web" and small[0][1] == "# on listener small"
    assert web[1]["body_limit"] == "16MiB" and small[1]["body_limit"] == "1KiB"
    assert web[1]["request_headers"]["set"] == {"X-A": "all", "X-B": "all"}
    assert small[1]["request_headers"]["set"] == {"X-A": "all", "X-B": "small"}
    assert small[2]["X-B"] == small[2]["body_limit"] == "%s:%d" % (main, line_of(text, "small:"))


def test_a_route_takes_its_own(gateway_path, files):
    # `off` is a word to us, and no to a reader of YAML 1.1
    (comments, meant, places), = documents(show(gateway_path, files, "--route=open"))
    assert comments[1] == "# on listener small"
    assert comments[3:] == ["#   request:  request_id, request_headers",
                            "#   response: request_id, response_headers"]
    assert meant["ip"] is False and meant["body_limit"] == "2KiB"
    assert places["body_limit"].endswith("a.yaml:%d" % line_of(MORE, "body_limit"))


def test_a_route_without_a_name(gateway_path, files):
    # By its place in its file, so that no other file's edits rename it.
    for _, meant, _ in documents(show(gateway_path, files, "--route",
                                      "%s/more/a.yaml[2]" % files)):
        assert meant["prefix"] == "/none"


def test_no_such_route(gateway_path, files):
    said = show(gateway_path, files, "--route", "user", status=2)
    assert 'there is no route "user"; did you mean "users"?' in said
    assert "a value is due" in show(gateway_path, files, "--route", status=2)


def test_several_files(gateway_path, files, tmp_path):
    (tmp_path / "third.yaml").write_text(
        "version: 1\nroutes: [ { name: third, prefix: /3, respond: { status: 204 } } ]\n")
    said = show(gateway_path, files, "-c", str(tmp_path / "third.yaml"), "--route", "third")
    assert 'third.yaml:2' in said.splitlines()[0]


def test_all(gateway_path, files):
    said = show(gateway_path, files)
    meant = yaml.safe_load(said)
    assert [r.get("name") for r in meant["routes"]] == ["users", "open", None]
    order = [line for line in said.splitlines() if line.startswith("#")]
    assert re.fullmatch(r"#   request:  request_id, ip, .*request_headers.*rewrite.*", order[1])
    assert order[2].startswith("#   response: request_id, response_headers")


def test_of_a_process(start, gateway_path):
    """It is what the process runs, to the byte, whatever has become of the files."""
    gw = start(TEXT.replace("include: [more/*.yaml]\n", "") + MORE)
    def of_file(*args):
        return subprocess.run([gateway_path, "show", "-c", gw.file, *args], timeout=30,
                              stdout=subprocess.PIPE, check=True).stdout
    gw.until(lambda: gw.admin("/readyz").status == 200, what="a gateway that serves")
    whole, users = of_file(), of_file("--route", "users")
    with open(gw.file, "w", encoding="utf-8") as f:
        f.write("nothing: of use\n")
    got = gw.admin("/config")
    assert got.status == 200 and got.body == whole
    assert got.get("content-type") == b"application/yaml"
    assert gw.admin("/config?route=users").body == users
    assert gw.admin("/config?route=routes%5B2%5D").body.count(b"prefix: /none") == 2
    for target, status in (("/config?route=user", 404), ("/config?route=%zz", 400)):
        got = gw.admin(target)
        assert got.status == status and json.loads(got.body)["status"] == status


def places_of(value, pointer=""):
    """The pointer of every value in it, of what holds others too; lists of scalars are one value."""
    if pointer:
        yield pointer
    if isinstance(value, dict):
        for key, below in value.items():
            yield from places_of(below, pointer + "/" + key.replace("~", "~0").replace("/", "~1"))
    elif isinstance(value, list) and any(isinstance(v, dict) for v in value):
        for i, below in enumerate(value):
            yield from places_of(below, "%s/%d" % (pointer, i))


def test_json(gateway_path, files):
    said = json.loads(show(gateway_path, files, "--json"))
    assert list(said) == ["config", "origins", "policies"]
    config, origins = said["config"], said["origins"]
    main, more = str(files / "gateway.yaml"), str(files / "more" / "a.yaml")
    assert config["version"] == 1 and config["workers"] == 1
    assert config["routes"][0]["strip_prefix"] is True
    assert config["routes"][0]["timeout"]["idle"] == "5s"
    assert config["routes"][1]["ip"] == "off" and config["routes"][2]["respond"]["status"] == 204
    assert config["listeners"]["small"]["body_limit"] == "1KiB"
    assert sorted(origins) == sorted(places_of(config))
    assert origins["/workers"] == "%s:%d" % (main, line_of((files / "gateway.yaml").read_text(), "workers"))
    assert origins["/routes/1/body_limit"] == "%s:%d" % (more, line_of(MORE, "body_limit"))
    assert origins["/listeners/web/body_limit"] == "default"
    assert said["policies"]["response"][:2] == ["request_id", "response_headers"]
    yaml_said = show(gateway_path, files)
    assert ", ".join(said["policies"]["request"]) in yaml_said
    # To a reader of YAML 1.1 it says the same, but for `off` and 0600, a no and a number there.
    assert json.loads(json.dumps(config).replace('"off"', "false").replace('"0600"', "384")) == \
        yaml.safe_load(yaml_said)


def reads_back(gateway_path, first, path):
    """What is shown, once more: the same values, each of which stands in a file then."""
    path.write_text(json.dumps(first["config"], indent=2))
    for command in ("check", "show"):
        done = subprocess.run([gateway_path, command, "-c", str(path), "--json"], timeout=30,
                              stdout=subprocess.PIPE, check=True, text=True)
    second = json.loads(done.stdout)
    assert second["config"] == first["config"] and second["policies"] == first["policies"]
    return second["origins"]


def test_json_is_a_file(gateway_path, files, tmp_path):
    again = tmp_path / "again.yaml"
    origins = reads_back(gateway_path, json.loads(show(gateway_path, files, "--json")), again)
    assert origins["/routes/0/timeout/idle"].startswith(str(again) + ":")


def test_json_of_every_key(gateway_path, tmp_path):
    """The file of the mutation test has them all; a name with what pointers escape is added."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "every-key.yaml"),
              encoding="utf-8") as f:
        text = f.read()
    assert text.count("      debug:\n") == 1
    (tmp_path / "gateway.yaml").write_text(
        text.replace("      debug:\n", '      "a~b/$${x\\x7f":\n'))
    (tmp_path / "page.html").write_text("<p>\n")
    first = json.loads(show(gateway_path, tmp_path, "--json"))
    pointers = sorted(places_of(first["config"]))
    assert sorted(first["origins"]) == pointers
    assert any(p.endswith("/query/a~0b~1$${x\x7f/present") for p in pointers)
    reads_back(gateway_path, first, tmp_path / "again.yaml")


def test_json_of_a_route(gateway_path, files):
    said = json.loads(show(gateway_path, files, "--json", "--route", "users"))
    web, small = said["routes"]
    more = str(files / "more" / "a.yaml")
    assert list(web) == ["name", "place", "listeners", "policies", "config", "origins"]
    assert web["name"] == small["name"] == "users"
    assert web["place"] == small["place"] == "%s:%d" % (more, line_of(MORE, "name: users"))
    assert web["listeners"] == ["web"] and small["listeners"] == ["small"]
    assert web["policies"] == {"request": ["request_id", "ip", "request_headers", "strip_prefix"],
                               "response": ["request_id"]}
    assert web["config"]["request_headers"]["set"] == {"X-A": "all", "X-B": "all"}
    assert small["config"]["request_headers"]["set"] == {"X-A": "all", "X-B": "small"}
    for one in (web, small):
        assert sorted(one["origins"]) == sorted(places_of(one["config"]))
    assert 'there is no route "user"' in show(gateway_path, files, "--json", "--route", "user", status=2)


def test_json_of_a_process(start, gateway_path, files):
    gw = start(TEXT.replace("include: [more/*.yaml]\n", "") + MORE)
    gw.until(lambda: gw.admin("/readyz").status == 200, what="a gateway that serves")
    for args, target in (((), "/config?format=json"),
                         (("--route", "users"), "/config?route=users&format=json")):
        of_file = subprocess.run([gateway_path, "show", "-c", gw.file, "--json", *args], timeout=30,
                                 stdout=subprocess.PIPE, check=True).stdout
        got = gw.admin(target)
        assert got.status == 200 and got.body == of_file
        assert got.get("content-type") == b"application/json"
    assert gw.admin("/config?format=yaml").get("content-type") == b"application/yaml"
    for target, status in (("/config?format=xml", 400), ("/config?format=json&route=none", 404)):
        got = gw.admin(target)
        assert got.status == status and json.loads(got.body)["status"] == status


@pytest.mark.parametrize("command", (["show"], ["show", "--route", "users"], ["check"], ["version"],
                                     ["explain", "http://a.test/open"], ["defaults"], ["--help"]))
def test_a_full_disk(gateway_path, files, command):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([gateway_path, *command, "-c", str(files / "gateway.yaml")],
                              stdout=full, stderr=subprocess.PIPE, text=True, timeout=30,
                              check=False)
    assert done.returncode == 3
    assert "weir-gateway: cannot write: " in done.stderr.splitlines()[-1]
