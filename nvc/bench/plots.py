"""Rate-distortion curves as pictures, and the curves' colours everywhere."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nvc.bench.bd import curves
from nvc.bench.measurement import Measurement

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PLOTS = "plots"
OWN_COLOUR = "#d62728"
_COLOURS = ("#1f77b4", "#2ca02c", "#9467bd", "#8c564b", "#17becf", "#7f7f7f", "#bcbd22", "#e377c2")
_LOW_DELAY_LINE, _OTHER_LINE = "-", "--"


def write_plots(rows: Sequence[Measurement], folder: Path) -> list[Path]:
    """Write one PNG and one SVG per clip; returns the PNGs."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    colours = codec_colours(row.codec for row in rows)
    for clip in curves(rows):
        figure = draw_curves([row for row in rows if row.clip == clip], clip, colours)
        for suffix in ("png", "svg"):
            figure.savefig(folder / f"{clip}.{suffix}", dpi=120)
        pictures.append(folder / f"{clip}.png")
    return pictures


def draw_curves(rows: Sequence[Measurement], title: str, colours: dict[str, str]) -> Figure:
    """Draw the curves of one clip: bits per pixel on a logarithmic axis, PSNR (6:1:1)."""
    from matplotlib.figure import Figure  # without pyplot: no window, no global state

    figure = Figure(figsize=(7, 4.6), layout="constrained")
    axes = figure.subplots()
    low_delay = {row.codec: row.protocol == "ld" for row in rows}
    for by_codec in curves(rows).values():
        for codec, curve in by_codec.items():
            line = _LOW_DELAY_LINE if low_delay[codec] else _OTHER_LINE
            width = 2.2 if codec.startswith("nvc") else 1.2
            rates, qualities = zip(*curve, strict=True)
            axes.plot(rates, qualities, line, marker=".", color=colours[codec], linewidth=width, label=codec)
    axes.set_xscale("log")
    axes.set_xlabel("bits per pixel (whole file)")
    axes.set_ylabel("PSNR (6 Y + U + V) / 8, dB")
    axes.set_title(title, fontsize=10)
    axes.grid(True, which="both", alpha=0.25)
    axes.legend(fontsize=8, ncols=2)
    return figure


def to_svg(figure: Figure) -> str:
    """Return a figure as an SVG element to stand inside a page."""
    text = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(text, format="svg", metadata=nothing)
    return text.getvalue()[text.getvalue().index("<svg") :]


def codec_colours(codecs: Iterable[str]) -> dict[str, str]:
    """Give each codec a colour; a mode and its low-delay twin share one, nvc has its own."""
    colours: dict[str, str] = {}
    families: dict[str, str] = {}
    for codec in dict.fromkeys(codecs):
        if codec.startswith("nvc"):
            colours[codec] = OWN_COLOUR
            continue
        family = codec.removesuffix("_ld")
        colours[codec] = families.setdefault(family, _COLOURS[len(families) % len(_COLOURS)])
    return colours
