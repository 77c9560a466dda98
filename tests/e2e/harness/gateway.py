# SPDX-License-Identifier: Apache-2.0
"""A gateway process: started from YAML text on free ports, stopped by its pid.

In the text `@name@` is replaced: any name that is not given is taken as a free port
and remembered, so `listen: 127.0.0.1:@web@` makes gw.port("web").
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from .client import Client

SANITIZER = re.compile(r"(AddressSanitizer|ThreadSanitizer|LeakSanitizer|runtime error:)")


def free_port():
    """A port nobody listens on now. (Nothing can promise more.)"""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def fill(text, names, ports):
    """Replace @name@ by names[name], else by a port kept in `ports`."""
    def one(m):
        key = m[1]
        if key in names:
            return str(names[key])
        if key not in ports:
            ports[key] = free_port()
        return str(ports[key])
    return re.sub(r"@([a-z][a-z0-9_]*)@", one, text)


def is_sanitized(path):
    """Built with a sanitizer, whose own bookkeeping is memory too."""
    with open(path, "rb") as f:
        data = f.read()
    return b"__asan_init" in data or b"__tsan_init" in data


class Gateway:
    """`with Gateway(path, yaml, origin=o.address) as gw:`"""

    def __init__(self, path, yaml, args=(), env=None, stdout=None, wait=True, ready="web",
                 preexec=None, **names):
        self.path = os.path.abspath(path)
        self.dir = tempfile.mkdtemp(prefix="weir-e2e-")
        self.file = os.path.join(self.dir, "gateway.yaml")
        self.names = names
        self.ports = {}
        self.write(yaml)
        self.out_path = os.path.join(self.dir, "stdout")
        self.err_path = os.path.join(self.dir, "stderr")
        self.ready = ready
        out = stdout if stdout is not None else open(self.out_path, "wb")
        environ = dict(os.environ, XDG_RUNTIME_DIR=self.dir, **(env or {}))
        self.sanitized = is_sanitized(self.path)
        if self.sanitized:
            # what is freed is kept a while: little enough for tests that look at memory
            environ["ASAN_OPTIONS"] = ":".join(filter(None, [
                environ.get("ASAN_OPTIONS"),
                "quarantine_size_mb=8:thread_local_quarantine_size_kb=64"]))
        with open(self.err_path, "wb") as err:
            self.proc = subprocess.Popen(
                [self.path, "run", "-c", self.file, *args], stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, cwd=self.dir, env=environ, preexec_fn=preexec)
        if stdout is None:
            out.close()
        self.pid = self.proc.pid
        if wait:
            self.wait_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        self.clean()

    def write(self, yaml, **names):
        """Replace the file at once, as an editor would."""
        self.names.update(names)
        text = fill(yaml, self.names, self.ports)
        with open(self.file + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.file + ".new", self.file)

    def port(self, name="web"):
        return self.ports[name]

    def wait_ready(self, timeout=15.0):
        end = time.monotonic() + timeout
        while True:
            if self.proc.poll() is not None:
                raise AssertionError("gateway exited with %d at start:\n%s"
                                     % (self.proc.returncode, self.stderr()))
            try:
                # the admin's socket is opened last
                for name in [self.ready] + ["admin"] * ("admin" in self.ports):
                    Client(self.ports[name], timeout=1).close()
                return
            except OSError:
                pass
            if time.monotonic() > end:
                self.stop(signal.SIGKILL)
                raise AssertionError("gateway not ready in %gs:\n%s" % (timeout, self.stderr()))
            time.sleep(0.02)

    def client(self, name="web", **kw):
        return Client(self.ports[name], **kw)

    def get(self, target="/", headers=(), name="web", **kw):
        """One GET on its own connection."""
        with self.client(name) as c:
            return c.request("GET", target, headers, **kw)

    def kill(self, signo):
        self.proc.send_signal(signo)

    def reload(self, yaml=None, timeout=8.0, **names):
        """New file, SIGHUP, and wait until the new generation is counted."""
        before = self.metric("weir_config_generation") if "admin" in self.ports else None
        if yaml is not None:
            self.write(yaml, **names)
        self.kill(signal.SIGHUP)
        if before is not None:
            self.until(lambda: self.metric("weir_config_generation") != before, timeout,
                       "no new configuration generation")

    def until(self, test, timeout=8.0, what="condition"):
        """Poll test() until it gives something true, and return that."""
        end = time.monotonic() + timeout
        while True:
            got = test()
            if got:
                return got
            if time.monotonic() > end:
                raise AssertionError("%s did not come in %gs" % (what, timeout))
            time.sleep(0.01)

    def alive(self):
        return self.proc.poll() is None

    def wait_exit(self, timeout=15.0):
        return self.proc.wait(timeout)

    def stop(self, signo=signal.SIGINT, timeout=10.0):
        if self.proc.poll() is None:
            self.proc.send_signal(signo)
            try:
                self.proc.wait(timeout)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
                raise AssertionError("gateway did not stop in %gs" % timeout) from None
        return self.proc.returncode

    def clean(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    # what it said

    def _read(self, path):
        try:
            with open(path, encoding="utf-8", errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def stdout(self):
        return self._read(self.out_path)

    def stderr(self):
        return self._read(self.err_path)

    def sanitizer_report(self):
        text = self.stderr()
        return text if SANITIZER.search(text) else None

    def access(self):
        """The access log so far. A line that is not JSON is an error."""
        lines = self.stdout().split("\n")[:-1]  # what follows the last LF is not done yet
        return [json.loads(line) for line in lines if line]

    def wait_access(self, test=lambda e: True, timeout=8.0):
        """The first access log entry that test() likes."""
        return self.until(lambda: next((e for e in self.access() if test(e)), None),
                          timeout, "access log entry")

    # the admin listener

    def admin(self, target, method="GET"):
        with Client(self.ports["admin"]) as c:
            return c.request(method, target, [("Connection", "close")], host="localhost")

    def metrics(self):
        """{'name{label="v"}': float} with labels sorted by name."""
        out = {}
        for line in self.admin("/metrics").body.decode().splitlines():
            if not line or line.startswith("#"):
                continue
            m = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)(?: \d+)?", line)
            assert m, "bad metrics line %r" % line
            labels = sorted(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', m[2] or ""))
            key = m[1] + ("{%s}" % ",".join('%s="%s"' % l for l in labels) if labels else "")
            out[key] = float(m[3])
        return out

    def metric(self, name, **labels):
        """Sum of all series of a name that carry these labels."""
        total = 0.0
        for key, value in self.metrics().items():
            if key.split("{")[0] != name:
                continue
            if all('%s="%s"' % kv in key for kv in labels.items()):
                total += value
        return total

    # what the kernel says

    def rss_kib(self):
        with open("/proc/%d/status" % self.pid, encoding="ascii") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])

    def may_grow_kib(self, kib):
        """What a test allows, and what a sanitizer keeps for itself."""
        return kib + (64 * 1024 if self.sanitized else 0)

    def fds(self):
        return len(os.listdir("/proc/%d/fd" % self.pid))

    def children(self):
        with open("/proc/%d/task/%d/children" % (self.pid, self.pid), encoding="ascii") as f:
            return f.read().split()
