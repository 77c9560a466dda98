# SPDX-License-Identifier: Apache-2.0
"""What is sent, what must come back, and one measurement of it."""

import http.client
import json
import os
import subprocess
import time
from dataclasses import dataclass, field

from . import tools
from .procs import BenchError, Proc, cpu_busy_s, cpu_ns_by_thread, user_system_s
from .proxies import ROUTE_NAMES, route_table

# What a browser sends with a request to an API of its page. With Host there are twelve fields.
BROWSER_HEADERS = {
    "Connection": "keep-alive",
    "sec-ch-ua": '"Chromium";v="128", "Not;A=Brand";v="24", "Google Chrome";v="128"',
    "sec-ch-ua-mobile": "?0",
    "sec-ch-ua-platform": '"Linux"',
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
                  "Chrome/128.0.0.0 Safari/537.36",
    "Accept": "application/json, text/plain, */*",
    "Sec-Fetch-Site": "same-origin",
    "Referer": "https://shop.example.com/account/orders?page=2",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8",
    "Cookie": "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; "
              "_ga=GA1.1.1403126790.1724840000; csrf=b6d767d2f8ed5d21",
}
UPLOAD_BYTES = 1 << 20
CONNECTIONS = 32


@dataclass
class Scenario:
    name: str
    title: str
    path: str = "/small"
    headers: dict = field(default_factory=dict)
    upload: int = 0
    close: bool = False
    routes: int = 0
    workers: int = 1
    answer_bytes: int = 128
    latency: bool = True
    note: str = ""

    def all_headers(self):
        extra = {"Connection": "close"} if self.close else {}
        return {**self.headers, **extra}


SCENARIOS = [
    Scenario("small", "small response, keep-alive"),
    Scenario("browser", "the same, a browser's twelve headers", headers=BROWSER_HEADERS),
    Scenario("64k", "64 KiB response", path="/64k", answer_bytes=65536),
    Scenario("upload", "1 MiB upload", path="/upload", upload=UPLOAD_BYTES),
    Scenario("close", "a new connection per request", close=True,
             note="the forwarder opens an upstream connection per client too; the others reuse"),
    Scenario("routes-10", "10 routes", routes=10, latency=False),
    Scenario("routes-1000", "1,000 routes", routes=1000, latency=False),
    Scenario("routes-100000", "100,000 routes", routes=100000, latency=False),
    Scenario("workers-2", "2 workers on both cores", workers=2, latency=False,
             note="load and origin share a core with the second worker: for correctness"),
]
BY_NAME = {s.name: s for s in SCENARIOS}


def route_requests(routes, count=1000):
    """Hosts and paths spread evenly over the table, in an order that follows no pattern."""
    table = route_table(routes)
    step = 7919    # a prime: the hosts come out of order
    rows = []
    for i in range(min(count, routes)):
        host = table[(i * step + i * len(table) // count) % len(table)][0]
        rows.append((host, f"/v1/{ROUTE_NAMES[i % len(ROUTE_NAMES)]}/{i}"))
    return rows


def verify(scenario, port):
    """One exchange, and a second on the same connection: status, body and framing must be right."""
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    targets = [(None, scenario.path)] * 2
    if scenario.routes:
        targets = route_requests(scenario.routes)[:20]
    for host, path in targets:
        headers = dict(scenario.all_headers())
        if host:
            headers["Host"] = host
        body = b"x" * scenario.upload if scenario.upload else None
        conn.request("POST" if body else "GET", path, body=body, headers=headers)
        answer = conn.getresponse()
        data = answer.read()
        if answer.status != 200:
            raise BenchError(f"{scenario.name}: status {answer.status} where 200 was due")
        if scenario.upload:
            if data != str(scenario.upload).encode():
                raise BenchError(f"{scenario.name}: the origin counted {data[:40]!r} bytes")
        elif len(data) != scenario.answer_bytes:
            raise BenchError(f"{scenario.name}: {len(data)} bytes, {scenario.answer_bytes} were due")
        if scenario.close and answer.getheader("Connection", "").lower() != "close":
            raise BenchError(f"{scenario.name}: no Connection: close in the answer")
    if not scenario.close and conn.sock is None:
        raise BenchError(f"{scenario.name}: the connection was not kept")
    conn.close()
    if scenario.routes:
        _verify_no_route(port)


def _verify_no_route(port):
    conn = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    conn.request("GET", "/v1/nothing", headers={"Host": "t0.bench.test"})
    status = conn.getresponse().status
    conn.close()
    if status not in (200, 404):    # 200: the forwarder, which has no routes
        raise BenchError(f"status {status} for a path without a route, 404 was due")


class _Sample:
    """What the kernel has counted so far for an instance and for its CPUs."""

    def __init__(self, instance):
        self.cpus = instance.cpus
        self.threads = cpu_ns_by_thread(instance.pids())
        self.user, self.system = user_system_s(instance.pids())
        self.busy, self.stolen = cpu_busy_s(self.cpus)
        self.time = time.monotonic()

    def since(self, before):
        spent = sorted((v - before.threads.get(k, 0) for k, v in self.threads.items()), reverse=True)
        cpu_s = sum(spent) / 1e9
        wall_s = self.time - before.time
        user, system = self.user - before.user, self.system - before.system
        return {
            "cpu_s": cpu_s,
            "user_share": user / (user + system) if user + system > 0 else None,
            "proxy_load": cpu_s / wall_s,
            "others_share": max(0.0, self.busy - before.busy - cpu_s) / wall_s / len(self.cpus),
            "stolen_s": self.stolen - before.stolen,
            "second_share": spent[1] / sum(spent) if len(spent) > 1 and sum(spent) else 0.0,
        }


class Load:
    """Runs wrk and paced on their CPUs against an instance, and reads what that cost it."""

    def __init__(self, c_tools, cpus, folder):
        self.wrk = tools.need("wrk")
        self.paced = c_tools["paced"]
        self.cpus = cpus
        self.folder = folder
        os.makedirs(folder, exist_ok=True)

    def _run(self, argv, timeout, tick=None):
        """Runs to the end; `tick` is called every tenth of a second meanwhile."""
        with open(os.path.join(self.folder, "load.out"), "w+b") as out:
            p = Proc(os.path.basename(argv[0]), argv, self.cpus, stdout=out, stderr=out)
            try:
                self._wait(p, timeout, tick)
            finally:
                p.stop(0.5)
            out.seek(0)
            text = out.read().decode("utf-8", "replace")
        if p.popen.returncode != 0:
            raise BenchError(f"{p.name} failed: {text.strip()[-200:]}")
        return text

    @staticmethod
    def _wait(p, timeout, tick):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            try:
                p.popen.wait(0.1 if tick else timeout)
                return
            except subprocess.TimeoutExpired:
                if tick:
                    tick()
        raise BenchError(f"{p.name} did not end in {timeout:.0f} s")

    def _wrk_argv(self, scenario, port, seconds, connections):
        argv = [self.wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        for name, value in scenario.all_headers().items():
            argv += ["-H", f"{name}: {value}"]
        script, args = "report.lua", []
        if scenario.upload:
            script, args = "upload.lua", [str(scenario.upload)]
        elif scenario.routes:
            path = os.path.join(self.folder, f"{scenario.name}.txt")
            with open(path, "w", encoding="ascii") as f:
                f.writelines(f"{host} {target}\n" for host, target in route_requests(scenario.routes))
            script, args = "routes.lua", [path]
        argv += ["-s", os.path.join(tools.HERE, "lua", script)]
        argv += [f"http://127.0.0.1:{port}{scenario.path}"]
        return argv + (["--"] + args if args else [])

    def measure(self, scenario, instance, seconds, connections=CONNECTIONS, tick=None):
        """One round: CPU microseconds a request and requests a second."""
        argv = self._wrk_argv(scenario, instance.port, seconds, connections)
        pids = instance.pids()
        before = _Sample(instance)
        text = self._run(argv, seconds + 15, tick)
        cost = _Sample(instance).since(before)
        if not instance.proc.alive():
            raise BenchError(f"{instance.name} died under load")
        line = [x for x in text.splitlines() if x.startswith("@json ")]
        if not line:
            raise BenchError(f"wrk printed no result: {text.strip()[-200:]}")
        counted = json.loads(line[0][6:])
        wrong = {k: v for k, v in counted["errors"].items() if v}
        if counted["requests"] == 0:
            wrong["no requests"] = 1
        if scenario.workers > 1 and cost["second_share"] < 0.02:
            wrong["a worker without work"] = 1
        return {
            "requests": counted["requests"],
            "rps": counted["requests"] / (counted["duration_us"] / 1e6),
            "cpu_us": cost["cpu_s"] * 1e6 / max(1, counted["requests"]),
            "errors": wrong,
            **cost,
        }

    def request_bytes(self, scenario, port):
        lines = [f"{'POST' if scenario.upload else 'GET'} {scenario.path} HTTP/1.1",
                 f"Host: 127.0.0.1:{port}"]
        lines += [f"{k}: {v}" for k, v in scenario.all_headers().items()]
        if scenario.upload:
            lines.append(f"Content-Length: {scenario.upload}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + b"x" * scenario.upload

    def latency(self, scenario, instance, rate, seconds, seed):
        """One round at a fixed mean rate: percentiles in microseconds."""
        path = os.path.join(self.folder, f"{scenario.name}.request")
        with open(path, "wb") as f:
            f.write(self.request_bytes(scenario, instance.port))
        argv = [self.paced, "-p", str(instance.port), "-f", path, "-r", f"{rate:.1f}",
                "-d", str(seconds), "-w", "0.3", "-c", str(CONNECTIONS), "-s", str(seed)]
        if scenario.close:
            argv.append("-n")
        result = json.loads(self._run(argv, seconds + 15))
        wrong = {k: result[k] for k in ("errors", "bad_status", "unanswered") if result[k]}
        result["errors"] = wrong
        return result
