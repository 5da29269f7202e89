"""Bjontegaard deltas between the curves of a result, clip by clip and on average."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nvc.bench.measurement import Measurement

METHOD = "akima"
MIN_OVERLAP, LEAST_OVERLAP = 0.5, 0.1
"""Below the first share of the joint PSNR range a figure has a warning, below the second there is none."""
MIN_POINTS = 4
Curve = list[tuple[float, float]]
"""Rate in bits per pixel and quality in dB, both increasing."""


@dataclass(frozen=True)
class BdFigure:
    """What `codec` costs at equal PSNR, in per cent more bytes than `anchor`, and gains at equal rate.

    None if the curves cannot be compared; `warning` says why, or that they share little.
    overlap: the shared part of their joint PSNR range, 0 to 1.
    """

    clip: str
    anchor: str
    codec: str
    bd_rate_percent: float | None
    bd_psnr_db: float | None
    overlap: float
    warning: str

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def curves(rows: Iterable[Measurement]) -> dict[str, dict[str, Curve]]:
    """Collect the points of each clip's codecs: {clip: {codec: curve}}."""
    found: dict[str, dict[str, Curve]] = {}
    for row in rows:
        if row.bpp is not None and row.psnr_db is not None and not row.error:
            found.setdefault(row.clip, {}).setdefault(row.codec, []).append((row.bpp, row.psnr_db))
    return {clip: {name: sorted(set(c)) for name, c in by.items()} for clip, by in found.items()}


def compare_curves(clip: str, anchor: str, codec: str, anchor_curve: Curve, codec_curve: Curve) -> BdFigure:
    """Compute BD-rate and BD-PSNR of one curve against another."""
    import bjontegaard  # takes matplotlib along

    notes: list[str] = []
    base, test = (
        _rising(curve, name, notes) for curve, name in ((anchor_curve, anchor), (codec_curve, codec))
    )
    if min(len(base), len(test)) < MIN_POINTS:
        notes.append(f"fewer than {MIN_POINTS} usable points")
        return BdFigure(clip, anchor, codec, None, None, 0.0, "; ".join(notes))
    overlap = _overlap([quality for _, quality in base], [quality for _, quality in test])
    if overlap < LEAST_OVERLAP:
        shared = f"only {100 * overlap:.0f} % of their PSNR range" if overlap > 0 else "no quality"
        notes.append(f"the curves share {shared}")
        return BdFigure(clip, anchor, codec, None, None, max(0.0, round(overlap, 3)), "; ".join(notes))
    if overlap < MIN_OVERLAP:
        notes.append(f"the curves share only {100 * overlap:.0f} % of their PSNR range")
    values = [[point[i] for point in curve] for curve in (base, test) for i in (0, 1)]
    options: dict[str, Any] = {"method": METHOD, "require_matching_points": False, "min_overlap": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no overlap in rate: nan, which becomes None
        rate = float(bjontegaard.bd_rate(*values, **options))
        psnr = float(bjontegaard.bd_psnr(*values, **options))
    return BdFigure(
        clip, anchor, codec, _finite(rate, 3), _finite(psnr, 4), round(overlap, 3), "; ".join(notes)
    )


def bd_table(rows: Sequence[Measurement], anchors: Sequence[str], codecs: Sequence[str]) -> list[BdFigure]:
    """Compare each of `codecs` with each of `anchors` on every clip that has both."""
    table = []
    for clip, by_codec in curves(rows).items():
        for codec in codecs:
            for anchor in anchors:
                if anchor != codec and anchor in by_codec and codec in by_codec:
                    table.append(compare_curves(clip, anchor, codec, by_codec[anchor], by_codec[codec]))
    return table


def mean_bd(table: Iterable[BdFigure], anchor: str, codec: str) -> tuple[float | None, float | None, int]:
    """Average BD-rate and BD-PSNR over the clips that have them, and how many these are."""
    pairs = [f for f in table if (f.anchor, f.codec) == (anchor, codec)]
    rates = [f.bd_rate_percent for f in pairs if f.bd_rate_percent is not None]
    psnrs = [f.bd_psnr_db for f in pairs if f.bd_psnr_db is not None]
    return _mean(rates), _mean(psnrs), len(rates)


def _rising(curve: Curve, name: str, notes: list[str]) -> Curve:
    """Leave out the points that cost more than another and are no better: a curve must rise."""
    kept: Curve = []
    for rate, quality in curve:
        if not kept or (rate > kept[-1][0] and quality > kept[-1][1]):
            kept.append((rate, quality))
    if len(kept) < len(curve):
        notes.append(f"{len(curve) - len(kept)} points of {name} left out: more bytes, no better")
    return kept


def _overlap(a: list[float], b: list[float]) -> float:
    shared = min(max(a), max(b)) - max(min(a), min(b))
    return shared / (max(*a, *b) - min(*a, *b))


def _finite(value: float, digits: int) -> float | None:
    return round(value, digits) if math.isfinite(value) else None


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
