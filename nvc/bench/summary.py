"""Joins the results of several runs into one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nvc.bench.bd import BdFigure, bd_table
from nvc.bench.measurement import Measurement
from nvc.bench.plots import PLOTS, write_plots
from nvc.bench.results import read_results, write_results

Place = tuple[str, str, int, int]


def summarize(folders: Sequence[Path]) -> tuple[list[Measurement], list[str]]:
    """Join the rows of result folders, and say what cannot be joined.

    Of rows with one key the first folder's is kept. Codecs of one name and different version (nvc with other
    weights, say) become different codecs, named after their folders. Rows without figures are left out.
    Raises NvcError if a folder has no results.
    """
    joined: dict[tuple[object, ...], Measurement] = {}
    owners: dict[str, dict[str, str]] = {}
    for folder in folders:
        for row in read_results(folder):
            if not row.error and row.key not in joined:
                joined[row.key] = row
                owners.setdefault(row.codec, {}).setdefault(row.version, folder.name)
    rows = [_renamed(row, owners[row.codec]) for row in joined.values()]
    notes = []
    for clip in dict.fromkeys(row.clip for row in rows):
        places = {_place(row) for row in rows if row.clip == clip}
        if len(places) > 1:
            kept = max(places, key=lambda place: sum(_place(row) == place for row in rows))
            rows = [row for row in rows if row.clip != clip or _place(row) == kept]
            notes.append(f"{clip}: kept the rows of {kept[2]} frames with keyint {kept[3]}; others differ")
    return rows, notes


def summary_table(rows: Sequence[Measurement]) -> list[BdFigure]:
    """Compare each nvc curve, or without one each codec, with all others."""
    names = list(dict.fromkeys(row.codec for row in rows))
    own = [name for name in names if name.startswith("nvc")] or names
    return bd_table(rows, names, own)


def write_summary(rows: Sequence[Measurement], out: Path) -> None:
    """Write joined rows as a result folder of their own, with plots."""
    out.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys(row.codec for row in rows))
    write_results(out, rows, [figure.to_dict() for figure in bd_table(rows, names, names)])
    write_plots(rows, out / PLOTS)


def _place(row: Measurement) -> Place:
    return row.clip, row.clip_md5, row.n_frames, row.keyint


def _renamed(row: Measurement, versions: dict[str, str]) -> Measurement:
    if len(versions) == 1:
        return row
    return replace(row, codec=f"{row.codec}@{versions[row.version]}")
