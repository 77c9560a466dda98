# SPDX-License-Identifier: Apache-2.0
"""The result as text for a terminal, and the cells that the document shares with it."""

from . import reload
from .scenarios import SCENARIOS

ORDER = ("floor", "weir", "weir-log", "nginx", "haproxy", "envoy")
SHORT = {"floor": "floor", "weir": "Weir", "weir-log": "Weir+log",
         "nginx": "nginx", "haproxy": "HAProxy", "envoy": "Envoy"}


def number(value, digits=1, unit=""):
    if value is None:
        return "-"
    return f"{value:,.{digits}f}{unit}"


def latency(us):
    if us is None:
        return "-"
    return f"{us:,.0f} us" if us < 1000 else f"{us / 1000:,.1f} ms"


def header(names):
    return ["proxy", "CPU us/req", "spread", "user", "req/s", "p50", "p99", "p99.9", "memory"] + \
        [f"/{SHORT[n]}" for n in names]


def row_cells(name, row, names):
    """One proxy in one scenario. The ratios are CPU a request, against each other proxy."""
    if not row["valid"]:
        return [SHORT[name], "NOT VALID: " + "; ".join(row["problems"] or ["no rounds"])[:70]]
    share = row["user_share"]
    cells = [SHORT[name], number(row["cpu_us"], 2),
             f"{number(row['cpu_us_min'])}-{number(row['cpu_us_max'])}",
             "-" if share is None else f"{share * 100:.0f}%",
             number(row["rps"], 0), latency(row["p50_us"]), latency(row["p99_us"]),
             latency(row["p999_us"]), number(row.get("memory_mib"), 1, " MiB")]
    for other in names:
        value = row["ratios"].get(other)
        cells.append("" if other == name else number(value, 2))
    return cells


def columns_of(rows):
    """Against whom ratios are shown."""
    return [n for n in ORDER if n in rows and n != "weir-log"]


def _grid(lines):
    widths = [0] * max(len(line) for line in lines)
    for line in lines:
        if len(line) > 2:
            widths = [max(w, len(c)) for w, c in zip(widths, line + [""] * 30)]
    out = []
    for line in lines:
        cells = [c.ljust(w) if i == 0 else c.rjust(w) for i, (c, w) in enumerate(zip(line, widths))]
        if len(line) <= 2:
            cells = [line[0].ljust(widths[0])] + line[1:]
        out.append("  " + "  ".join(cells).rstrip())
    return "\n".join(out)


def target_line(t):
    verdict = {True: "met", False: "MISSED", None: "not measured"}[t["met"]]
    if t["unit"] == "times":
        return [t["what"], f"of {t['against']}", f"at most {t['limit']:.2f}",
                number(t["value"], 3), verdict]
    return [t["what"], "", f"at most {t['limit']:g} {t['unit']}",
            number(t["value"], 2, " " + t["unit"]), verdict]


def _scenario(result, scenario, rows):
    names = columns_of(rows)
    lines = [header(names)]
    lines += [row_cells(n, rows[n], names) for n in ORDER if n in rows]
    title = f"{scenario.title} ({scenario.name})"
    rate = result.get("latency_rates", {}).get(scenario.name)
    if rate:
        title += f"; latency at {rate:,.0f} requests/s"
    if scenario.note:
        title += f"\n  {scenario.note}"
    return f"\n{title}\n{_grid(lines)}"


def _idle(result):
    lines = [["proxy", "connections", "private before", "private after", "each"]]
    for name in ORDER:
        v = result["idle"].get(name)
        if v:
            lines.append([SHORT[name], number(v["connections"], 0),
                          number(v["private_before_kib"], 0, " KiB"),
                          number(v["private_after_kib"], 0, " KiB"),
                          number(v["bytes_each"], 0, " B")])
    return f"\nidle keep-alive connections\n{_grid(lines)}"


def _reload(result):
    lines = [["proxy", "CPU to load", "CPU to reload", "memory", "p99 without", "p99 with"]]
    for name in ORDER:
        v = result["reload"].get(name)
        if v:
            lines.append([SHORT[name], number(v["load_cpu_ms"], 0, " ms"),
                          number(v["cpu_ms"], 1, " ms"), number(v["rss_mib"], 0, " MiB"),
                          latency(v["p99_calm_us"]), latency(v["p99_us"])])
    return f"\n{reload.TITLE}\n{_grid(lines)}"


def noise(result):
    """The largest share of the proxy's core that went to anything but the proxy in one round."""
    worst = 0.0
    for name, rows in result["scenarios"].items():
        if name == "workers-2":
            continue
        for row in rows.values():
            for r in row["rounds"]:
                if r:
                    worst = max(worst, r["others_share"])
    return worst


def render(result):
    parts = [_scenario(result, s, result["scenarios"][s.name])
             for s in SCENARIOS if result["scenarios"].get(s.name)]
    if result["idle"]:
        parts.append(_idle(result))
    if result.get("reload"):
        parts.append(_reload(result))
    if "weir" in result["versions"]:
        parts.append("\ntargets\n" + _grid([target_line(t) for t in result["targets"]]))
    worst = noise(result)
    if worst > 0.10:
        parts.append(f"\nThe machine was not quiet: in one round {worst * 100:.0f}% of the proxy's "
                     "core went to others.")
    for x in result["left_out"]:
        parts.append(f"\nNOT VALID: {x['scenario']}, {x['proxy']}: {x['why']}")
    return "\n".join(parts) + "\n"
