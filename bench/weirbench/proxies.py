# SPDX-License-Identifier: Apache-2.0
"""The proxies compared, each started from a template in bench/conf."""

import http.client
import os
import re
import resource

from . import tools
from .procs import BenchError, Proc, free_port, memory_kib, cpu_ns, wait_port

ROUTE_NAMES = ("users", "orders", "items", "carts", "payments",
               "stock", "search", "reviews", "login", "images")


def route_table(count):
    """(host, [prefix]) pairs: ten prefixes a host, as many hosts as `count` routes need."""
    prefixes = [f"/v1/{name}" for name in ROUTE_NAMES]
    return [(f"t{i}.bench.test", prefixes) for i in range(max(1, count // len(prefixes)))]


def fd_limit():
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _fill(template, values):
    # A proxied connection may take two descriptors; a few are for other ends.
    values = {"FILES": fd_limit(), "CONNECTIONS": (fd_limit() - 200) // 2, **values}
    with open(os.path.join(tools.HERE, "conf", template), encoding="utf-8") as f:
        text = f.read()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def _write(folder, name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


class Proxy:
    """One kind of proxy. start() gives a running instance of it."""

    name = ""
    title = ""

    def __init__(self, binary, version):
        self.binary = binary
        self.version = version

    def configure(self, folder, port, origin, workers, routes):
        """Writes its files and returns the command to run."""
        raise NotImplementedError

    def start(self, folder, origin, cpus, workers=1, routes=0, timeout=10.0):
        return Instance(self, folder, origin, cpus, workers, routes, timeout)


class Instance:
    """A proxy that runs. Its files and its log are in `folder`."""

    def __init__(self, proxy, folder, origin, cpus, workers, routes, timeout):
        os.makedirs(folder, exist_ok=True)
        self.proxy = proxy
        self.name = proxy.name
        self.folder = folder
        self.cpus = cpus
        self.port = free_port()
        argv = proxy.configure(folder, self.port, origin, workers, routes)
        self.log_path = os.path.join(folder, "stderr.log")
        with open(self.log_path, "wb") as err, \
                open(os.path.join(folder, "stdout.log"), "wb") as out:
            self.proc = Proc(proxy.name, argv, cpus, stdout=out, stderr=err, cwd=folder)
        try:
            wait_port(self.port, self.proc, timeout)
            self._first_answer(timeout)
        except (BenchError, OSError) as e:
            self.stop()
            raise BenchError(f"{e}; {self._last_words()}") from e
        self.start_cpu_s = cpu_ns(self.proc.pids()) / 1e9
        self.start_memory = memory_kib(self.proc.pids())

    def _first_answer(self, timeout):
        """Any answer will do. A master may listen before its workers are there."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            conn.request("GET", "/")
            conn.getresponse().read()
        finally:
            conn.close()

    def _last_words(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            lines = f.read().strip().splitlines()
        return "it said: " + (lines[-1] if lines else "nothing")

    def pids(self):
        return self.proc.pids()

    def stop(self):
        self.proc.stop()


class Floor(Proxy):
    name = "floor"
    title = "byte forwarder"

    def configure(self, folder, port, origin, workers, routes):
        return [self.binary, "-l", str(port), "-u", str(origin), "-t", str(workers)]


class Nginx(Proxy):
    name = "nginx"
    title = "nginx"

    def configure(self, folder, port, origin, workers, routes):
        def server(names, locations):
            body = "".join(f"\t\tlocation {p} {{ proxy_pass http://origin; }}\n" for p in locations)
            listen = f"127.0.0.1:{port} backlog=4096" if server.first else f"127.0.0.1:{port}"
            server.first = False
            return f"\tserver {{\n\t\tlisten {listen};\n\t\tserver_name {names};\n{body}\t}}\n"
        server.first = True
        table = route_table(routes) if routes else [("_", ["/"])]
        servers = "".join(server(host, prefixes) for host, prefixes in table)
        text = _fill("nginx.conf.in", {"DIR": folder, "ORIGIN": origin, "WORKERS": workers,
                                       "SERVERS": servers})
        return [self.binary, "-p", folder, "-e", f"{folder}/nginx.error.log",
                "-c", _write(folder, "nginx.conf", text)]


class Haproxy(Proxy):
    name = "haproxy"
    title = "HAProxy"

    def configure(self, folder, port, origin, workers, routes):
        rule = "\tdefault_backend origin"
        if routes:
            rows = "".join(f"{host}{prefix} origin\n"
                           for host, prefixes in route_table(routes) for prefix in prefixes)
            rule = f"\tuse_backend %[base,map_beg({_write(folder, 'routes.map', rows)},none)]"
        text = _fill("haproxy.cfg.in", {"PORT": port, "ORIGIN": origin, "WORKERS": workers,
                                        "ROUTES": rule})
        return [self.binary, "-db", "-f", _write(folder, "haproxy.cfg", text)]


class Envoy(Proxy):
    name = "envoy"
    title = "Envoy"

    def configure(self, folder, port, origin, workers, routes):
        def host(name, domain, key, prefixes):
            rows = "".join(f'              - {{ match: {{ {key}: "{p}" }}, '
                           "route: { cluster: origin, timeout: 0s } }\n" for p in prefixes)
            return f'            - name: {name}\n              domains: ["{domain}"]\n' \
                   f"              routes:\n{rows}"
        if routes:
            hosts = "".join(host(h, h, "path_separated_prefix", p) for h, p in route_table(routes))
        else:
            hosts = host("all", "*", "prefix", ["/"])
        text = _fill("envoy.yaml.in", {"PORT": port, "ORIGIN": origin, "VIRTUAL_HOSTS": hosts})
        return [self.binary, "-c", _write(folder, "envoy.yaml", text), "--concurrency",
                str(workers), "--disable-hot-restart", "--log-level", "error"]


class Weir(Proxy):
    name = "weir"
    title = "Weir"
    access = "off"
    admin = ""

    def configure(self, folder, port, origin, workers, routes):
        if routes:
            rows = "".join(f"  - {{ hosts: [{host}], prefix: {p}, upstream: origin }}\n"
                           for host, prefixes in route_table(routes) for p in prefixes)
        else:
            rows = "  - { prefix: /, upstream: origin }\n"
        text = _fill("weir.yaml.in", {
            "PORT": port, "ORIGIN": origin, "WORKERS": workers, "ROUTES": rows, "DIR": folder,
            "ACCESS": self.access, "ADMIN": self.admin})
        return [self.binary, "run", "-c", _write(folder, "weir.yaml", text)]


class WeirLogging(Weir):
    """With what a user has by default: the access log on stdout (a file here) and metrics."""

    name = "weir-log"
    title = "Weir, log and metrics"
    access = "stdout"
    admin_port = 0

    def configure(self, folder, port, origin, workers, routes):
        self.admin_port = free_port()
        self.admin = f"listen: 127.0.0.1:{self.admin_port}, "
        return super().configure(folder, port, origin, workers, routes)


class WeirReloading(WeirLogging):
    """For the soak: no log, and a second version of the file to reload to and fro."""

    name = "weir"
    access = "off"
    EXTRA = "  - { prefix: /soak-extra, respond: { status: 204 } }\n"

    @staticmethod
    def rewrite(instance, extra):
        path = os.path.join(instance.folder, "weir.yaml")
        with open(path, encoding="utf-8") as f:
            text = f.read().replace(WeirReloading.EXTRA, "")
        if extra:
            text = text.replace("admin:", WeirReloading.EXTRA + "admin:", 1)
        with open(path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.replace(path + ".new", path)


def available(wanted, build_dir, c_tools, weir_path, say):
    """The proxies that can be had, in a fixed order; says which cannot and why."""
    def make(name):
        if name == "floor":
            return Floor(c_tools["floor"], "bench/floor.c")
        if name == "nginx":
            path = tools.need("nginx")
            return Nginx(path, tools.version_of([path, "-v"]).replace("nginx version: ", ""))
        if name == "haproxy":
            path = tools.need("haproxy")
            return Haproxy(path, tools.version_of([path, "-v"]).split(" - ")[0]
                           .replace("version ", "").split(" 20")[0])
        if name == "envoy":
            path = tools.find_envoy(build_dir)
            text = tools.version_of([path, "--version"])
            found_version = re.search(r"version: \w+/([^/ ]+)", text)
            return Envoy(path, f"Envoy {found_version[1]}" if found_version else text)
        path = tools.find_weir(weir_path, build_dir)
        kind = WeirLogging if name == "weir-log" else Weir
        return kind(path, tools.version_of([path, "version"]))

    found = {}
    for name in wanted:
        try:
            found[name] = make(name)
        except BenchError as e:
            say(f"not measured: {name}: {e}")
    return found
