# SPDX-License-Identifier: Apache-2.0
"""From rounds to medians, ratios and verdicts on the targets."""

from statistics import median

# (what, scenario, kind, against, limit). Ratios are taken within one round, then their median.
TARGETS = [
    ("CPU a request, small", "small", "cpu", "floor", 1.12),
    ("CPU a request, small", "small", "cpu", "nginx", 0.80),
    ("CPU a request, small", "small", "cpu", "haproxy", 0.80),
    ("CPU a request, small", "small", "cpu", "envoy", 0.45),
    ("CPU a request, browser's headers", "browser", "cpu", "floor", 1.18),
    ("CPU a request, browser's headers", "browser", "cpu", "nginx", 0.80),
    ("CPU a request, browser's headers", "browser", "cpu", "haproxy", 0.80),
    ("CPU a request, browser's headers", "browser", "cpu", "envoy", 0.45),
    ("CPU a request, 64 KiB", "64k", "cpu", "floor", 1.05),
    ("CPU a request, new connections", "close", "cpu", "nginx", 0.85),
    ("CPU a request, default log and metrics", "small", "log", "floor", 1.20),
    ("p99 at half the slowest's peak", "small", "p99", "best peer", 1.10),
    ("CPU a request, 100,000 routes", "routes-100000", "routes", "10 routes", 1.03),
]
ABSOLUTE_TARGETS = [
    ("Private memory of an idle connection", "idle_bytes", 1024, "B"),
    ("RSS at start", "start_rss_mib", 12, "MiB"),
    ("CPU to load 100,000 routes", "routes_load_s", 2.0, "s"),
    ("CPU to reload when one of 100 files changes", "reload_cpu_ms", 50.0, "ms"),
]
PEERS = ("nginx", "haproxy", "envoy")


def ratio(ours, theirs, key):
    """Median of the ratios of rounds that both have; None when there are none."""
    if not ours or not theirs:
        return None
    pairs = [(a[key], b[key]) for a, b in zip(ours, theirs) if a and b and b.get(key)]
    return median(a / b for a, b in pairs) if pairs else None


def _median(rounds, key):
    values = [r[key] for r in rounds if r and r.get(key) is not None]
    return median(values) if values else None


def summarise_row(row):
    """Medians of one proxy in one scenario. A row with one error anywhere is not valid."""
    for key in ("rps", "cpu_us", "user_share", "proxy_load", "others_share"):
        row[key] = _median(row["rounds"], key)
    for key in ("p50_us", "p99_us", "p999_us"):
        row[key] = _median(row.get("latency") or [], key)
    cpu = [r["cpu_us"] for r in row["rounds"] if r]
    row["cpu_us_min"], row["cpu_us_max"] = (min(cpu), max(cpu)) if cpu else (None, None)
    problems = list(row.get("problems", []))
    for r in row["rounds"] + (row.get("latency") or []):
        if r and r["errors"]:
            problems.append(", ".join(f"{k} {v}" for k, v in r["errors"].items()))
    row["problems"] = problems
    row["valid"] = not problems and bool(cpu)


def summarise(result):
    for rows in result["scenarios"].values():
        for row in rows.values():
            summarise_row(row)
        for row in rows.values():
            row["ratios"] = {other: ratio(row["rounds"], rows[other]["rounds"], "cpu_us")
                             for other in rows if rows[other] is not row}
    result["targets"] = [_target(result, *t) for t in TARGETS]
    result["targets"] += [_absolute(result, *t) for t in ABSOLUTE_TARGETS]


def _rounds(result, scenario, proxy, key="rounds"):
    row = result["scenarios"].get(scenario, {}).get(proxy)
    return row.get(key) if row and row["valid"] else None


def _best_p99(result, scenario):
    rows = result["scenarios"].get(scenario, {})
    best = [(rows[p]["p99_us"], p) for p in PEERS
            if p in rows and rows[p]["valid"] and rows[p].get("p99_us")]
    return min(best)[1] if best else None


def _target(result, what, scenario, kind, against, limit):
    if kind == "cpu":
        value = ratio(_rounds(result, scenario, "weir"), _rounds(result, scenario, against), "cpu_us")
    elif kind == "log":
        value = ratio(_rounds(result, scenario, "weir-log"),
                      _rounds(result, scenario, against), "cpu_us")
    elif kind == "routes":
        value = ratio(_rounds(result, scenario, "weir"), _rounds(result, "routes-10", "weir"), "cpu_us")
    else:
        best = _best_p99(result, scenario)
        value = ratio(_rounds(result, scenario, "weir", "latency"),
                      _rounds(result, scenario, best, "latency") if best else None, "p99_us")
    return {"what": what, "against": against, "limit": limit, "value": value, "unit": "times",
            "met": None if value is None else value <= limit}


def _absolute(result, what, key, limit, unit):
    value = result["absolute"].get(key)
    return {"what": what, "against": "", "limit": limit, "value": value, "unit": unit,
            "met": None if value is None else value <= limit}
