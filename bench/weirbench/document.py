# SPDX-License-Identifier: Apache-2.0
"""Writes docs/performance.md, its charts and the numbers behind them from a result."""

import json
import os

from . import svg, tables, tools
from .scenarios import BY_NAME, SCENARIOS

CHARTED = ("small", "browser", "64k", "upload", "close")


def _rows(result, scenario):
    rows = result["scenarios"].get(scenario, {})
    return [(n, rows[n]) for n in tables.ORDER if n in rows and rows[n]["valid"]]


def _times_floor(row):
    value = row["ratios"].get("floor")
    return f"({value:.2f} x)" if value else ""


def _cpu_chart(result, names, title):
    groups = [(BY_NAME[s].title, [(n, tables.SHORT[n], row["cpu_us"], _times_floor(row))
                                  for n, row in _rows(result, s)])
              for s in names]
    return svg.bars(title, "Microseconds of CPU a request, user and system; less is better. "
                    "In brackets: times the byte forwarder.", "us", groups)


def _latency_chart(result, names, title):
    rates = result.get("latency_rates", {})
    groups = [(f"{BY_NAME[s].title}, at {rates[s]:,.0f} requests/s",
               [(n, tables.SHORT[n], row["p99_us"] and row["p99_us"] / 1000, "")
                for n, row in _rows(result, s)])
              for s in names if s in rates]
    return svg.bars(title, "Milliseconds at half of the slowest proxy's peak, "
                    "open loop; less is better.", "ms", groups, 2)


def _memory_chart(result):
    start = [(n, tables.SHORT[n], result["start"][n]["rss_mib"], "")
             for n in tables.ORDER if n in result["start"] and n != "weir-log"]
    idle = [(n, tables.SHORT[n], max(0.0, result["idle"][n]["bytes_each"]) / 1024, "")
            for n in tables.ORDER if n in result["idle"]]
    return (svg.bars("Memory at start", "Resident set, MiB; less is better.", "MiB",
                     [("one worker, one request served", start)], 1),
            svg.bars("Memory of an idle connection", "Private memory of a kept connection after "
                     "one request, KiB; less is better.", "KiB",
                     [("each of thousands", idle)], 2))


def charts(result):
    """File name to SVG text, for what was measured."""
    made = {}
    if any(result["scenarios"].get(s) for s in CHARTED if s != "upload"):
        made["performance-cpu.svg"] = _cpu_chart(
            result, [s for s in CHARTED if s != "upload"], "CPU a request")
    if result["scenarios"].get("upload"):
        made["performance-upload.svg"] = _cpu_chart(result, ["upload"], "CPU an upload")
    if any(result["scenarios"].get(s) for s in ("routes-10", "routes-1000", "routes-100000")):
        made["performance-routes.svg"] = _cpu_chart(
            result, ("routes-10", "routes-1000", "routes-100000"), "CPU a request by routes")
    if result.get("latency_rates"):
        made["performance-latency.svg"] = _latency_chart(
            result, [s for s in CHARTED if s != "upload"], "Latency, 99th percentile")
        if "upload" in result["latency_rates"]:
            made["performance-upload-latency.svg"] = _latency_chart(
                result, ["upload"], "Latency of an upload, 99th percentile")
    if result["start"]:
        made["performance-start.svg"], idle = _memory_chart(result)
        if result["idle"]:
            made["performance-idle.svg"] = idle
    return made


def write_charts(result, folder):
    for name, text in charts(result).items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
            f.write(text)


def _markdown_table(head, lines):
    out = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    out += ["| " + " | ".join(x + [""] * (len(head) - len(x))) + " |" for x in
            [[c.replace("|", "/") for c in line] for line in lines]]
    return "\n".join(out) + "\n"


def _scenario_section(result, scenario):
    rows = result["scenarios"][scenario.name]
    names = tables.columns_of(rows)
    rate = result.get("latency_rates", {}).get(scenario.name)
    head = tables.header(names)
    text = f"### {scenario.title[0].upper()}{scenario.title[1:]}\n\n"
    if rate:
        text += f"Latency at {rate:,.0f} requests/s.\n"
    if scenario.note:
        text += f"Note: {scenario.note}.\n"
    return text + "\n" + _markdown_table(
        head, [tables.row_cells(n, rows[n], names) for n in tables.ORDER if n in rows])


def _targets_section(result):
    lines = [tables.target_line(t) for t in result["targets"]]
    missed = sum(t["met"] is False for t in result["targets"])
    unknown = sum(t["met"] is None for t in result["targets"])
    met = len(lines) - missed - unknown
    text = f"{met} met, {missed} missed, {unknown} not measured in this run.\n\n"
    return text + _markdown_table(["what", "against", "target", "measured", "verdict"], lines)


def _memory_section(result):
    lines = []
    for n in tables.ORDER:
        s, i = result["start"].get(n), result["idle"].get(n)
        if s:
            lines.append([tables.SHORT[n], f"{s['rss_mib']:.1f} MiB", f"{s['loaded_pss_mib']:.1f} MiB",
                          f"{i['bytes_each']:,.0f} B" if i else "-",
                          f"{i['connections']:,}" if i else "-"])
    return _markdown_table(["proxy", "resident at start", "after load (shared pages counted once)",
                            "an idle connection", "of"], lines)


def _fill_template(result):
    m = result["machine"]
    versions = ", ".join(v for n, v in result["versions"].items() if n in ("nginx", "haproxy", "envoy"))
    weir = result["versions"].get("weir", "not part of this run")
    absent = "" if "weir" in result["versions"] else \
        "**weir-gateway was not part of this run: these are the numbers it is measured against.**\n"
    left_out = "".join(f"\nNot valid: {x['scenario']}, {x['proxy']}: {x['why']}\n"
                       for x in result["left_out"])
    worst = tables.noise(result)
    values = {
        "TIME": result["time"], "QUICK": " (a quick run)" if result["quick"] else "",
        "CPU": m["cpu"], "CORES": m["cores"], "VIRTUAL": ", virtual" if m["virtual"] else "",
        "MEMORY": m["memory_gib"], "KERNEL": m["kernel"], "SYSTEM": m["system"],
        "VERSIONS": versions, "WEIR": weir, "WRK": result["wrk"], "ABSENT": absent,
        "ROUNDS": result["rounds"], "SECONDS": result["seconds"],
        "CONNECTIONS": result["connections"], "NOISE": f"{worst * 100:.0f}",
        "TARGETS": _targets_section(result), "MEMORY_TABLE": _memory_section(result),
        "SCENARIOS": "\n".join(_scenario_section(result, s) for s in SCENARIOS
                               if result["scenarios"].get(s.name)),
        "REALTIME": " Proxies and load ran at real-time priority (`--realtime`)."
                    if result.get("realtime") else "",
        "LEFT_OUT": left_out,
        "CHARTS": "\n\n".join(f"![{n[12:-4]} chart](performance/{n})" for n in charts(result)),
    }
    with open(os.path.join(tools.HERE, "performance.md.in"), encoding="utf-8") as f:
        text = f.read()
    with open(os.path.join(tools.HERE, "bounds.md"), encoding="utf-8") as f:
        values["BOUNDS"] = f.read().strip()
    for key, value in values.items():
        text = text.replace(f"@{key}@", str(value))
    return text


def write(result, docs):
    """Returns the files written."""
    folder = os.path.join(docs, "performance")
    os.makedirs(folder, exist_ok=True)
    write_charts(result, folder)
    path = os.path.join(docs, "performance.md")
    with open(path, "w", encoding="utf-8") as f:
        f.write(_fill_template(result))
    numbers = os.path.join(folder, "last.json")
    with open(numbers, "w", encoding="utf-8") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    return [path, numbers] + [os.path.join(folder, n) for n in charts(result)]
