"""Figures of several rounds as text: the median, how far it spread, and the ratio to another."""

import statistics
from typing import Iterable

Figures = list[float]  # one a round


def spread(figures: Figures) -> float:
    return (max(figures) - min(figures)) / statistics.median(figures) if any(figures) else 0.0


def cell(figures: Figures, base: Figures | None = None) -> str:
    figure = statistics.median(figures)
    text = f"{figure:,.0f} ±{spread(figures) / 2:.0%}"
    if base is not None and any(base):
        text += f"  x{figure / statistics.median(base):.2f}"
    return text


def show(lines: Iterable[list[str]]) -> None:
    """The first line is the head."""
    table = list(lines)
    widths = [max(map(len, column)) for column in zip(*table)]
    for line in table:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    print()
