# SPDX-License-Identifier: Apache-2.0
"""What a change of one file of many costs: CPU of all processes of a proxy, and the traffic's p99."""

import dataclasses
import http.client
import os
import signal
import socket
import statistics
import threading
import time

from . import procs, scenarios
from .procs import BenchError
from .proxies import ROUTE_NAMES, Instance, _fill, _write

FILES, HOSTS_A_FILE = 100, 100      # with ten prefixes a host: 100,000 routes
UPSTREAMS_A_FILE = 100
RATE = 1000                         # requests a second meanwhile
TIMES = 5
LIMIT_S = 60

TITLE = (f"one of {FILES} files changes, {FILES * HOSTS_A_FILE * len(ROUTE_NAMES):,} routes, "
         f"{FILES * UPSTREAMS_A_FILE:,} upstreams (reload)")


def _parts():
    """(file number, [(host, upstream number)])."""
    for f in range(FILES):
        yield f, [(f"t{f}-{h}.bench.test", f"u{f}-{h % UPSTREAMS_A_FILE}")
                  for h in range(HOSTS_A_FILE)]


class _Kind:
    """Stands where a Proxy stands: writes many files in place of one."""

    suffix = ""

    def __init__(self, proxy):
        self.proxy, self.name, self.binary = proxy, proxy.name, proxy.binary

    def write_all(self, folder, origin):
        os.makedirs(os.path.join(folder, "conf.d"), exist_ok=True)
        for f, hosts in _parts():
            self.write_one(folder, origin, f, hosts, "v1")

    def write_one(self, folder, origin, f, hosts, version):
        text = self.text(origin, hosts, version)
        _write(os.path.join(folder, "conf.d"), f"{f:03}{self.suffix}", text)

    def change(self, inst, origin, version):
        f, hosts = list(_parts())[FILES // 2]
        self.write_one(inst.folder, origin, f, hosts, version)


class _Weir(_Kind):
    suffix = ".yaml"

    def configure(self, folder, port, origin, workers, _routes):
        self.write_all(folder, origin)
        text = _fill("weir.yaml.in", {
            "PORT": port, "ORIGIN": origin, "WORKERS": workers, "DIR": folder, "ACCESS": "off",
            "ADMIN": "", "ROUTES": "  - { prefix: /, upstream: origin }"})
        return [self.binary, "run", "-c",
                _write(folder, "weir.yaml", text + "include: [conf.d/*.yaml]\n")]

    def text(self, origin, hosts, version):
        ups = "".join(f"  {u}: {{ servers: [127.0.0.1:{origin}] }}\n"
                      for u in sorted({u for _, u in hosts}))
        rows = "".join(f"  - {{ hosts: [{h}], prefix: /{version}/{n}, upstream: {u} }}\n"
                       for h, u in hosts for n in ROUTE_NAMES)
        return f"upstreams:\n{ups}routes:\n{rows}"

    def reload(self, inst):
        conn = http.client.HTTPConnection("localhost", timeout=LIMIT_S)
        conn.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        conn.sock.settimeout(LIMIT_S)
        conn.sock.connect(os.path.join(inst.folder, "admin.sock"))
        conn.request("POST", "/reload")
        answer = conn.getresponse()
        said = answer.read()
        conn.close()
        if answer.status != 200:
            raise BenchError(f"reload: {answer.status} {said[:200]!r}")


class _ByProcess(_Kind):
    """A reload is other processes: it is over when there are new ones and all are quiet."""

    number = signal.SIGHUP

    def reload(self, inst):
        before = set(inst.pids())
        os.kill(inst.proc.pids()[0], self.number)
        end, last = time.monotonic() + LIMIT_S, None
        while time.monotonic() < end:
            time.sleep(0.2)
            now = procs.cpu_ns(inst.pids())
            if set(inst.pids()) - before and last is not None and now - last < 2_000_000:
                return
            last = now
        raise BenchError("the reload came to no end")


class _Nginx(_ByProcess):
    suffix = ".conf"

    def configure(self, folder, port, origin, workers, _routes):
        self.port = port
        self.write_all(folder, origin)
        servers = (f"\tserver {{\n\t\tlisten 127.0.0.1:{port} backlog=4096;\n"
                   "\t\tlocation / { proxy_pass http://origin; }\n\t}\n"
                   f"\tinclude {folder}/conf.d/*.conf;\n")
        text = _fill("nginx.conf.in", {"DIR": folder, "ORIGIN": origin, "WORKERS": workers,
                                       "SERVERS": servers})
        return [self.binary, "-p", folder, "-e", f"{folder}/nginx.error.log",
                "-c", _write(folder, "nginx.conf", text)]

    def text(self, origin, hosts, version):
        ups = "".join(f"upstream {u} {{ server 127.0.0.1:{origin}; keepalive 16; }}\n"
                      for u in sorted({u for _, u in hosts}))
        rows = "".join(
            f"server {{ listen 127.0.0.1:{self.port}; server_name {h};\n"
            + "".join(f"\tlocation /{version}/{n} {{ proxy_pass http://{u}; }}\n"
                      for n in ROUTE_NAMES) + "}\n" for h, u in hosts)
        return ups + rows


class _Haproxy(_ByProcess):
    """Its idiom for many routes is a map, so that a file is one of backends, and the map changes."""

    suffix = ".cfg"
    number = signal.SIGUSR2

    def configure(self, folder, port, origin, workers, _routes):
        self.write_all(folder, origin)
        rows = "".join(f"{h}/v1/{n} {u}\n" for _, hosts in _parts()
                       for h, u in hosts for n in ROUTE_NAMES)
        rule = f"\tuse_backend %[base,map_beg({_write(folder, 'routes.map', rows)},origin)]"
        text = _fill("haproxy.cfg.in", {"PORT": port, "ORIGIN": origin, "WORKERS": workers,
                                        "ROUTES": rule})
        return [self.binary, "-W", "-db", "-f", _write(folder, "haproxy.cfg", text),
                "-f", os.path.join(folder, "conf.d")]

    def text(self, origin, hosts, version):
        return "".join(f"backend {u}\n\tserver origin-{version} 127.0.0.1:{origin}\n"
                       for u in sorted({u for _, u in hosts}))


KINDS = {"weir": _Weir, "nginx": _Nginx, "haproxy": _Haproxy}


def _tree_cost(inst, reload):
    """CPU of a reload in ms; of processes that are gone meanwhile nothing is counted."""
    before = procs.cpu_ns_by_thread(inst.pids())
    reload()
    after = procs.cpu_ns_by_thread(inst.pids())
    return sum(ns - before.get(key, 0) for key, ns in after.items()) / 1e6


def measure(proxy, folder, origin, cpus, load):
    """The row of one proxy."""
    kind = KINDS[proxy.name](proxy)
    inst = Instance(kind, folder, origin, cpus, 1, 0, LIMIT_S)
    quiet = dataclasses.replace(scenarios.BY_NAME["small"], name="reload")
    try:
        costs = []
        for i in range(TIMES):
            kind.change(inst, origin, f"w{i}")
            costs.append(_tree_cost(inst, lambda: kind.reload(inst)))
        calm = load.latency(quiet, inst, RATE, 5, 1)
        stop, problems = threading.Event(), []

        def again():
            i = 0
            while not stop.wait(0.5):
                i += 1
                try:
                    kind.change(inst, origin, f"x{i}")
                    kind.reload(inst)
                except (BenchError, OSError) as e:
                    problems.append(str(e))
                    return
        thread = threading.Thread(target=again)
        thread.start()
        busy = load.latency(quiet, inst, RATE, 5, 1)
        stop.set()
        thread.join(LIMIT_S)
        if problems:
            raise BenchError(problems[0])
        return {"load_cpu_ms": inst.start_cpu_s * 1e3, "cpu_ms": statistics.median(costs),
                "costs_ms": costs, "rss_mib": inst.start_memory["rss"] / 1024,
                "p99_calm_us": calm["p99_us"], "p99_us": busy["p99_us"], "errors": busy["errors"]}
    finally:
        inst.stop()
