"""Results as lines of text: the BD table of `nvc bench`, and rows for a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nvc.bench.bd import LEAST_OVERLAP, MIN_POINTS, BdFigure, mean_bd
from nvc.bench.measurement import Measurement

_COLUMN = 16


def describe_row(row: Measurement) -> str:
    """Say one row in one line."""
    name = f"{row.clip} {row.codec} qp {row.qp}"
    if row.error or row.psnr_db is None:
        return f"{name}: failed: {row.error}"
    speed = f"{row.encode_fps:.1f}/{row.decode_fps:.1f} fps" if row.encode_fps and row.decode_fps else ""
    return f"{name}: {row.size_bytes} bytes, {row.bpp:.4f} bpp, {row.psnr_db:.3f} dB, {speed}".rstrip(", ")


def format_bd(table: Sequence[BdFigure]) -> list[str]:
    """Lay BD-rates out: a block per codec, a line per anchor, the mean and then a column per clip."""
    lines: list[str] = []
    for codec in _in_order(figure.codec for figure in table):
        mine = [figure for figure in table if figure.codec == codec]
        cells = bd_cells(mine)
        lines.append(f"BD-rate of {codec}: per cent more bytes at equal PSNR (6 Y + U + V) / 8 than")
        widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
        for row in cells:
            first, *rest = (text.rjust(width) for text, width in zip(row, widths, strict=True))
            lines.append("  ".join([first.strip().ljust(widths[0]), *rest]))
        lines += [f"* {f.anchor}, {f.clip}: {f.warning}" for f in mine if f.warning and f.bd_rate_percent]
        if any(figure.bd_rate_percent is None for figure in mine):
            share = f"{100 * LEAST_OVERLAP:.0f} % of their PSNR range"
            lines.append(f"- the curves share less than {share}, or have fewer than {MIN_POINTS} points")
        lines.append("")
    return lines[:-1]


def bd_cells(table: Sequence[BdFigure]) -> list[list[str]]:
    """Lay the BD-rates of one codec out in cells, headings first."""
    clips = _in_order(figure.clip for figure in table)
    by_place = {(figure.anchor, figure.clip): figure for figure in table}
    cells = [["", "mean", *short_names(clips)]]
    for anchor in _in_order(figure.anchor for figure in table):
        figures = [by_place.get((anchor, clip)) for clip in clips]
        mean = _mean_cell([f for f in table if f.anchor == anchor], len(clips))
        cells.append([anchor, mean, *(_cell(figure) for figure in figures)])
    return cells


def short_names(clips: Sequence[str]) -> list[str]:
    """Cut size and frame rate off the clips' names where they stay different; 16 characters at most."""
    short = [re.sub(r"_\d+x\d+.*", "", clip)[:_COLUMN] for clip in clips]
    return short if len(set(short)) == len(clips) else [clip[:_COLUMN] for clip in clips]


def _cell(figure: BdFigure | None) -> str:
    if figure is None:
        return ""
    if figure.bd_rate_percent is None:
        return "-"
    return f"{figure.bd_rate_percent:+.1f} %" + ("*" if figure.warning else "")


def _mean_cell(table: Sequence[BdFigure], n_clips: int) -> str:
    rate, _, count = mean_bd(table, table[0].anchor, table[0].codec)
    if rate is None:
        return "-"
    mark = "*" if any(f.warning for f in table if f.bd_rate_percent is not None) else ""
    return f"{rate:+.1f} %{mark}" + (f" ({count} of {n_clips})" if count < n_clips else "")


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
