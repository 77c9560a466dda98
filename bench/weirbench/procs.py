# SPDX-License-Identifier: Apache-2.0
"""Processes under test: started on given CPUs, measured by the kernel's accounting, always ended."""

import atexit
import ctypes
import os
import resource
import signal
import socket
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)
_running = []

# Whether children run before everything else on the machine; set once, before the first starts.
realtime = False


class BenchError(Exception):
    """A run that cannot go on, or a row that is not valid; its text is for the reader."""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def raise_fd_limit(want=65536):
    """Raises this process's limit as far as it may; children inherit it. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (want, hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(hard, limit)))
            return limit
        except (ValueError, OSError):
            continue
    return soft


class Proc:
    """One child in a session of its own. It dies with us, however we die."""

    def __init__(self, name, argv, cpus=None, stdout=None, stderr=None, cwd=None):
        self.name = name
        self.argv = argv


        def before_exec():
            # SIGTERM, not SIGKILL: nginx's master must get to end its workers.
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            if cpus:
                os.sched_setaffinity(0, cpus)
            if realtime:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))

        self.popen = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL,
            stderr=stderr or subprocess.DEVNULL, preexec_fn=before_exec,
            start_new_session=True, cwd=cwd)
        self.pid = self.popen.pid
        _running.append(self)

    def alive(self):
        return self.popen.poll() is None

    def pids(self):
        """The process and its descendants as they are now: a master may have forked since."""
        return _tree(self.pid)

    def stop(self, grace=3.0):
        if self in _running:
            _running.remove(self)
        if self.alive():
            self.popen.terminate()
            try:
                self.popen.wait(grace)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, signal.SIGKILL)    # its own group: what is left of its children
        except (ProcessLookupError, PermissionError):
            pass
        self.popen.wait()


def stop_all():
    for p in list(_running):
        p.stop(1.0)


def on_signal_exit():
    """SIGTERM, SIGHUP and SIGINT end the run through the same clean-up as its normal end."""
    def handler(number, _frame):
        raise SystemExit(128 + number)
    for s in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(s, handler)
    atexit.register(stop_all)


def _tree(root):
    parents = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", "rb") as f:
                    parents[int(entry)] = int(f.read().rsplit(b")", 1)[1].split()[1])
            except OSError:
                continue
    found = [root]
    for pid in found:
        found += [p for p, parent in parents.items() if parent == pid]
    return found


def cpu_ns(pids):
    """CPU time of all threads, from the scheduler's own sums: exact to the nanosecond."""
    return sum(cpu_ns_by_thread(pids).values())


def cpu_ns_by_thread(pids):
    """The same thread by thread: {(pid, thread id): ns}."""
    found = {}
    for pid in pids:
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/schedstat", "rb") as f:
                    found[(pid, task)] = int(f.read().split()[0])
        except OSError:
            continue
    return found


def user_system_s(pids):
    """User and system time, exact to a clock tick only: good for shares, not for costs."""
    user = system = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as f:
                fields = f.read().rsplit(b")", 1)[1].split()
        except OSError:
            continue
        user += int(fields[11])
        system += int(fields[12])
    tick = os.sysconf("SC_CLK_TCK")
    return user / tick, system / tick


def memory_kib(pids):
    """Rss, Pss and private memory of all, in KiB."""
    total = {"rss": 0, "pss": 0, "private": 0}
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
                fields = dict(line.split(":", 1) for line in f if line.endswith("kB\n"))
        except OSError:
            continue
        value = {k: int(v.split()[0]) for k, v in fields.items()}
        total["rss"] += value["Rss"]
        total["pss"] += value["Pss"]
        total["private"] += value["Private_Clean"] + value["Private_Dirty"]
    return total


def fd_count(pids):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)


def cpu_busy_s(cpus):
    """Time that the given CPUs were not idle, and time stolen from them by the hypervisor."""
    busy = stolen = 0
    with open("/proc/stat", encoding="ascii") as f:
        for line in f:
            name, *rest = line.split()
            if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cpus:
                v = [int(x) for x in rest]
                busy += sum(v[:3]) + v[5] + v[6]
                stolen += v[7]
    tick = os.sysconf("SC_CLK_TCK")
    return busy / tick, stolen / tick


def wait_port(port, proc, timeout=10.0):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if not proc.alive():
            raise BenchError(f"{proc.name} ended at once (status {proc.popen.returncode})")
        with socket.socket() as s:
            s.settimeout(1.0)
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise BenchError(f"{proc.name} does not listen on port {port} after {timeout:.0f} s")
