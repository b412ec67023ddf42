# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bar chart as SVG, written by hand: groups of horizontal bars on a logarithmic axis of seconds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 860
LABELS = 200
VALUES = 130
BAR = 16
GAP = 5
HEAD = 78
GROUP_TITLE = 26
GROUP_GAP = 14
FOOT = 46
FONT = "font-family='system-ui, -apple-system, Segoe UI, sans-serif'"
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


@dataclass(frozen=True, slots=True)
class Bar:
    """``seconds`` is its length; ``ours`` marks this project, ``dashed`` what was not measured."""

    label: str
    seconds: float
    note: str = ""
    ours: bool = False
    dashed: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    bars: Sequence[Bar]


def bar_chart(title: str, subtitle: str, groups: Sequence[Group]) -> str:
    """The SVG. Its background is white, so that it can be read on a dark page, too."""
    shown = [group for group in groups if group.bars]
    seconds = [bar.seconds for group in shown for bar in group.bars]
    low, high = _bounds(seconds)
    height = HEAD + FOOT + sum(GROUP_TITLE + GROUP_GAP + len(group.bars) * (BAR + GAP) for group in shown)
    bottom = height - FOOT
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height}' width='{WIDTH}' "
        f"height='{height}' role='img' aria-label='{escape(title, quote=True)}' {FONT} font-size='12'>",
        f"<rect width='{WIDTH}' height='{height}' fill='#ffffff'/>",
        _text(16, 30, title, size=17, weight="600"),
        _text(16, 52, subtitle, fill="#57606a"),
    ]
    for tick in TICKS:
        if low <= tick <= high:
            x = _x(tick, low, high)
            parts.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{HEAD - 8}' y2='{bottom}' stroke='#d8dee4'/>")
            parts.append(_text(x, bottom + 16, f"{tick:g}", anchor="middle", fill="#57606a"))
    middle = (LABELS + WIDTH - VALUES) / 2
    axis = "wall time of the whole process, seconds (logarithmic)"
    parts.append(_text(middle, bottom + 36, axis, anchor="middle", fill="#57606a"))
    y = float(HEAD)
    for group in shown:
        parts.append(_text(16, y + 16, group.title, weight="600"))
        y += GROUP_TITLE
        for bar in group.bars:
            parts += _bar(bar, y, low, high)
            y += BAR + GAP
        y += GROUP_GAP
    return "\n".join([*parts, "</svg>"]) + "\n"


def _bar(bar: Bar, y: float, low: float, high: float) -> list[str]:
    start, end = _x(low, low, high), _x(bar.seconds, low, high)
    fill = "#0969da" if bar.ours else "#afb8c1"
    style = f"fill='{fill}'"
    if bar.dashed:
        style = f"fill='#ffffff' stroke='{fill}' stroke-dasharray='4 3'"
    size = f"width='{max(end - start, 1):.1f}' height='{BAR}'"
    note = f"{seconds_text(bar.seconds)}{', ' + bar.note if bar.note else ''}"
    return [
        _text(LABELS - 10, y + 12, bar.label, anchor="end"),
        f"<rect x='{start:.1f}' y='{y:.1f}' {size} rx='2' {style}/>",
        _text(end + 6, y + 12, note, fill="#24292f"),
    ]


def seconds_text(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 100 else f"{seconds:.0f} s"


def _bounds(seconds: Sequence[float]) -> tuple[float, float]:
    """The ticks around what is shown."""
    low = max((tick for tick in TICKS if tick <= min(seconds)), default=TICKS[0])
    high = min((tick for tick in TICKS if tick >= max(seconds)), default=TICKS[-1])
    return low / (2 if low == min(seconds) else 1), max(high, low * 2)


def _x(seconds: float, low: float, high: float) -> float:
    share = math.log(max(seconds, low) / low) / math.log(high / low)
    return LABELS + share * (WIDTH - LABELS - VALUES)


def _text(
    x: float,
    y: float,
    text: str,
    anchor: str = "start",
    fill: str = "#24292f",
    size: int = 12,
    weight: str = "400",
) -> str:
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}' fill='{fill}' font-size='{size}' "
        f"font-weight='{weight}'>{escape(text)}</text>"
    )
