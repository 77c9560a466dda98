# SPDX-License-Identifier: Apache-2.0
"""`watch: true`: a change of the files is a reload, however editors and orchestrators make it."""

import os
import shutil
import signal
import subprocess

import pytest

from harness import Dns

TEXT = """
version: 1
watch: true
include: [conf.d/*.yaml]
listeners: { web: { listen: "127.0.0.1:@web@" } }
routes:
  - { path: /a, respond: { body: "one" } }
  - { path: /page, respond: { file: page.txt } }
admin: { listen: "127.0.0.1:@admin@", socket: admin.sock }
log: { access: access.log }
workers: 1
"""


def respond(path, body):
    return 'routes: [ { path: %s, respond: { body: "%s" } } ]\n' % (path, body)


@pytest.fixture
def begin(start, tmp_path):
    """begin(prepare) -> a gateway that watches tmp_path/gateway.yaml, made by prepare(its text)."""
    def one(prepare=None, text=TEXT, args=()):
        (tmp_path / "conf.d").mkdir()
        (tmp_path / "page.txt").write_text("page one")
        gw = start(text.replace("admin.sock", str(tmp_path / "admin.sock"))
                   .replace("access.log", str(tmp_path / "access.log")), wait=False)
        gw.proc.send_signal(signal.SIGKILL)
        gw.proc.wait(10)
        with open(gw.file, encoding="utf-8") as f:
            filled = f.read()
        path = tmp_path / "gateway.yaml"
        (prepare or path.write_text)(filled)
        return gw, path, filled
    return one


def run(gw, path, *args, env=()):
    """The gateway of `begin` again, on its files."""

    with open(gw.err_path, "wb") as err:
        gw.proc = subprocess.Popen([gw.path, "run", "-c", str(path), *args], stdout=subprocess.DEVNULL,
                                   stdin=subprocess.DEVNULL, stderr=err, cwd=gw.dir,
                                   env=dict(os.environ, XDG_RUNTIME_DIR=gw.dir, **dict(env)))
    gw.pid = gw.proc.pid
    gw.wait_ready()
    gw.until(lambda: gw.admin("/readyz").status == 200, what="a gateway that serves")
    return gw


def generation(gw):
    return gw.metric("weir_config_generation")


def serves(gw, path, body):
    gw.until(lambda: gw.get(path).body == body, 8, "%s at %s" % (body, path))


def in_place(path, text):
    path.write_text(text)


def renamed_over(path, text):
    new = path.with_name(path.name + ".tmp123")
    new.write_text(text)
    os.rename(new, path)


def as_vim_does(path, text):
    probe = path.with_name("4913")
    probe.write_text("")
    probe.unlink()
    backup = path.with_name(path.name + "~")
    os.rename(path, backup)
    path.write_text(text)
    backup.unlink()


def piece_by_piece(path, text):
    with open(path, "w", encoding="utf-8") as f:
        for i in range(0, len(text), 40):
            f.write(text[i:i + 40])
            f.flush()


def linked(path, text):
    new = path.with_name("new.yaml.x")
    new.write_text(text)
    path.unlink()
    os.link(new, path)
    new.unlink()


@pytest.mark.parametrize("write", [in_place, renamed_over, as_vim_does, piece_by_piece, linked])
def test_an_editor(begin, write):
    gw, path, text = begin()
    run(gw, path)
    serves(gw, "/a", b"one")
    for body in ("two", "three"):
        write(path, text.replace('"one"', '"%s"' % body))
        serves(gw, "/a", body.encode())
    assert "files changed" in gw.stderr()


def test_a_bad_file_changes_nothing(begin):
    gw, path, text = begin()
    run(gw, path)
    renamed_over(path, text.replace("respond:", "repsond:"))
    gw.until(lambda: gw.metric("weir_config_last_reload_successful") == 0, 8, "a refusal")
    assert generation(gw) == 1 and gw.get("/a").body == b"one"
    assert 'did you mean \\"respond\\"' in gw.stderr()
    # It is watched on, and so is what a file names that was not in force yet.
    in_place(path, text.replace('"one"', '"two"'))
    serves(gw, "/a", b"two")


def test_included_files(begin):
    gw, path, _ = begin()
    run(gw, path)
    assert gw.get("/b").status == 404
    one = path.parent / "conf.d" / "b.yaml"
    in_place(one, respond("/b", "one"))
    serves(gw, "/b", b"one")
    renamed_over(one, respond("/b", "two"))
    serves(gw, "/b", b"two")
    one.unlink()
    gw.until(lambda: gw.get("/b").status == 404, 8, "its end")
    # The folder is replaced as a whole, and what is in the new one is watched.
    other = path.parent / "other"
    other.mkdir()
    (other / "c.yaml").write_text(respond("/c", "one"))
    shutil.rmtree(path.parent / "conf.d")
    os.rename(other, path.parent / "conf.d")
    serves(gw, "/c", b"one")
    in_place(path.parent / "conf.d" / "c.yaml", respond("/c", "two"))
    serves(gw, "/c", b"two")


def test_a_change_before_its_folder_is_watched(begin):
    """A reload reads a folder that nobody watches yet, and then waits for a name."""
    gw, path, text = begin()
    late = path.parent / "late"
    late.mkdir()
    with Dns() as dns:
        dns.silence("a.test")
        run(gw, path, env=dns.env)
        in_place(path, text.replace("conf.d/", "late/").replace(
            "routes:", 'upstreams: { u: { servers: ["a.test:1"] } }\nroutes:\n'
            "  - { path: /u, upstream: u }"))
        dns.wait_asked("a.test")
        in_place(late / "b.yaml", respond("/b", "new"))
        assert generation(gw) == 1
        dns.set("a.test", ["127.0.0.1"])
        serves(gw, "/b", b"new")


def test_a_file_that_a_route_names(begin):
    gw, path, _ = begin()
    run(gw, path)
    renamed_over(path.parent / "page.txt", "page two")
    serves(gw, "/page", b"page two")


def test_a_volume_of_kubernetes(begin, tmp_path):
    """gateway.yaml -> ..data/gateway.yaml, ..data -> ..1: the link in the middle is replaced."""
    def mount(name, text):
        (tmp_path / name).mkdir()
        (tmp_path / name / "gateway.yaml").write_text(text)
        os.symlink(name, tmp_path / "..data_tmp")
        os.rename(tmp_path / "..data_tmp", tmp_path / "..data")

    def prepare(text):
        mount("..1", text)
        os.symlink("..data/gateway.yaml", tmp_path / "gateway.yaml")
    gw, path, text = begin(prepare)
    run(gw, path)
    serves(gw, "/a", b"one")
    for n, body in ((2, "two"), (3, "three")):
        mount("..%d" % n, text.replace('"one"', '"%s"' % body))
        shutil.rmtree(tmp_path / ("..%d" % (n - 1)))
        serves(gw, "/a", body.encode())


def test_links_to_elsewhere(begin, tmp_path):
    """The file behind a link is written in place; the folder of a release is switched."""
    def prepare(text):
        for name in ("r1", "r2"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "g.yaml").write_text(text.replace('"one"', '"%s"' % name))
        os.symlink("r1", tmp_path / "current")
        os.symlink(str(tmp_path / "current" / "g.yaml"), tmp_path / "gateway.yaml")
        # include: and file: are relative to the file that names them, by the name it was given
    gw, path, text = begin(prepare)
    run(gw, path)
    serves(gw, "/a", b"r1")
    in_place(tmp_path / "r1" / "g.yaml", text.replace('"one"', '"again"'))
    serves(gw, "/a", b"again")
    os.symlink("r2", tmp_path / "next")
    os.rename(tmp_path / "next", tmp_path / "current")
    serves(gw, "/a", b"r2")


def test_a_folder(begin, tmp_path):
    gw, path, text = begin()
    folder = tmp_path / "all"
    folder.mkdir()
    (folder / "conf.d").mkdir()
    (folder / "page.txt").write_text("")
    (folder / "a.yaml").write_text(text)
    run(gw, folder)
    in_place(folder / "b.yaml", "version: 1\n" + respond("/b", "new"))
    serves(gw, "/b", b"new")


def test_what_others_write_beside_it(begin):
    """The access log, say."""
    gw, path, _ = begin()
    run(gw, path)
    log = path.parent / "access.log"
    for target in ("/a?1", "/a?2", "/a?3"):
        gw.get(target)
        before = log.stat().st_size
        (path.parent / "notes.txt").write_text(target)
        (path.parent / "conf.d" / "b.yaml.swp").write_text(target)
        # lines are written about once a second: time enough to have reloaded
        gw.until(lambda: log.stat().st_size > before, 8, "a line of the log")
    assert generation(gw) == 1 and "files changed" not in gw.stderr()


def test_only_when_asked_for(begin):
    gw, path, text = begin(text=TEXT.replace("watch: true\n", ""))
    run(gw, path)
    log = path.parent / "access.log"
    in_place(path, text.replace('"one"', '"two"'))
    for target in ("/a?1", "/a?2"):
        before = log.stat().st_size
        assert gw.get(target).body == b"one"
        gw.until(lambda: log.stat().st_size > before, 8, "a line of the log")
    assert generation(gw) == 1
    # A reload can begin it, and end it.
    in_place(path, "watch: true\n" + text)
    gw.kill(signal.SIGHUP)
    gw.until(lambda: generation(gw) == 2, 8, "a reload")
    in_place(path, text.replace('"one"', '"three"'))
    serves(gw, "/a", b"three")
    in_place(path, text.replace('"one"', '"four"'))
    for target in ("/a?1", "/a?2"):
        before = log.stat().st_size
        assert gw.get(target).body == b"three"
        gw.until(lambda: log.stat().st_size > before, 8, "a line of the log")
