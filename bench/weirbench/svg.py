# SPDX-License-Identifier: Apache-2.0
"""Bar charts as SVG. The colours follow the reader's light or dark setting by themselves."""

from html import escape

STYLE = """
svg { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
.page { fill: #ffffff; } .ink { fill: #1f2328; } .dim { fill: #656d76; }
.grid { stroke: #d8dee4; stroke-width: 1; } .title { font-size: 16px; font-weight: 600; }
.small { font-size: 12px; } .end { text-anchor: end; } .mid { text-anchor: middle; }
.floor { fill: #9aa4af; } .weir { fill: #0b7285; } .weir-log { fill: #66a8b3; }
.nginx { fill: #5a8f3c; } .haproxy { fill: #c98a1b; } .envoy { fill: #9a5fb5; }
.strong { font-weight: 600; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } .ink { fill: #e6edf3; } .dim { fill: #9198a1; }
.grid { stroke: #30363d; }
.floor { fill: #6b7684; } .weir { fill: #3bc9db; } .weir-log { fill: #2a8794; }
.nginx { fill: #7cb75b; } .haproxy { fill: #e3ad4e; } .envoy { fill: #bb8fd2; }
}
"""
WIDTH, LEFT, RIGHT = 820, 110, 96
BAR, GAP, GROUP_GAP, TOP = 20, 5, 34, 64


def _nice_step(limit):
    """A step of 1, 2 or 5 times a power of ten that makes four to eight lines."""
    step = 1e-6
    while True:
        for factor in (1, 2, 5):
            if limit / (step * factor) <= 7:
                return step * factor
        step *= 10


def _axis(out, limit, top, bottom, unit):
    step = _nice_step(limit)
    scale = (WIDTH - LEFT - RIGHT) / limit
    for i in range(int(limit / step) + 1):
        x = LEFT + i * step * scale
        out.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        out.append(f'<text class="dim small mid" x="{x:.1f}" y="{bottom + 18}">{i * step:,g}</text>')
    out.append(f'<text class="dim small end" x="{WIDTH - 16}" y="{bottom + 18}">{escape(unit)}</text>')
    return scale


def bars(title, subtitle, unit, groups, digits=1):
    """groups: [(heading, [(class, label, value, note)])]. Longer is more; say in the subtitle
    whether that is good."""
    groups = [(h, [b for b in rows if b[2] is not None]) for h, rows in groups]
    groups = [g for g in groups if g[1]]
    limit = max((b[2] for _, rows in groups for b in rows), default=1) * 1.02 or 1
    height = sum(GROUP_GAP + len(rows) * (BAR + GAP) for _, rows in groups)
    bottom = TOP + height
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 34}" '
           f'width="{WIDTH}" height="{bottom + 34}" role="img" aria-label="{escape(title)}">',
           f"<style>{STYLE}</style>",
           f'<rect class="page" width="{WIDTH}" height="{bottom + 34}" rx="8"/>',
           f'<text class="ink title" x="20" y="28">{escape(title)}</text>',
           f'<text class="dim" x="20" y="48">{escape(subtitle)}</text>']
    scale = _axis(out, limit, TOP + 4, bottom, unit)
    y = TOP
    for heading, rows in groups:
        out.append(f'<text class="ink strong" x="{LEFT}" y="{y + 23}">{escape(heading)}</text>')
        y += GROUP_GAP
        for kind, label, value, note in rows:
            strong = " strong" if kind == "weir" else ""
            text_y = y + BAR - 5
            out.append(f'<text class="ink end{strong}" x="{LEFT - 8}" y="{text_y}">'
                       f"{escape(label)}</text>")
            out.append(f'<rect class="{kind}" x="{LEFT}" y="{y}" '
                       f'width="{max(1.0, value * scale):.1f}" height="{BAR}" rx="3"/>')
            out.append(f'<text class="ink small{strong}" x="{LEFT + value * scale + 6:.1f}" '
                       f'y="{text_y}">{value:,.{digits}f}'
                       f'<tspan class="dim" dx="5">{escape(note)}</tspan></text>')
            y += BAR + GAP
    out.append("</svg>\n")
    return "\n".join(out)
