"""Joins the results of several runs into one."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nvc.bench.bd import BdFigure, bd_table
from nvc.bench.measurement import Measurement
from nvc.bench.plots import PLOTS, write_plots
from nvc.bench.report import write_report
from nvc.bench.results import read_results, write_results
from nvc.bench.runner import picture_path, source_path

Place = tuple[str, str, int, int]


@dataclass(frozen=True)
class JoinedRow:
    """A row, the folder it was found in, and the name it had there."""

    row: Measurement
    folder: Path
    codec: str


def summarize(folders: Sequence[Path]) -> tuple[list[JoinedRow], list[str]]:
    """Join the rows of result folders, and say what cannot be joined.

    Of rows with one key the first folder's is kept. Codecs of one name and different version (nvc with other
    weights, say) become different codecs, named after their folders. Rows without figures are left out.
    Raises NvcError if a folder has no results.
    """
    found: dict[tuple[object, ...], tuple[Measurement, Path]] = {}
    owners: dict[str, dict[str, str]] = {}
    for folder in folders:
        for row in read_results(folder):
            if not row.error and row.key not in found:
                found[row.key] = row, folder
                owners.setdefault(row.codec, {}).setdefault(row.version, folder.name)
    joined = [
        JoinedRow(_renamed(row, owners[row.codec]), folder, row.codec) for row, folder in found.values()
    ]
    notes = []
    for clip in dict.fromkeys(item.row.clip for item in joined):
        places = [_place(item.row) for item in joined if item.row.clip == clip]
        kept = max(places, key=places.count)
        if places.count(kept) < len(places):
            joined = [item for item in joined if item.row.clip != clip or _place(item.row) == kept]
            notes.append(f"{clip}: kept the rows of {kept[2]} frames with keyint {kept[3]}; others differ")
    return joined, notes


def summary_table(joined: Sequence[JoinedRow]) -> list[BdFigure]:
    """Compare each nvc curve, or without one each codec, with all others."""
    rows = [item.row for item in joined]
    names = list(dict.fromkeys(row.codec for row in rows))
    own = [name for name in names if name.startswith("nvc")] or names
    return bd_table(rows, names, own)


def write_summary(joined: Sequence[JoinedRow], out: Path, notes: Sequence[str] = ()) -> None:
    """Write joined rows as a result folder of their own, with pictures, plots and report."""
    out.mkdir(parents=True, exist_ok=True)
    rows = [item.row for item in joined]
    names = list(dict.fromkeys(row.codec for row in rows))
    for item in joined:
        before = replace(item.row, codec=item.codec)
        _copy(picture_path(item.folder, before), picture_path(out, item.row))
        _copy(source_path(item.folder, item.row.clip), source_path(out, item.row.clip))
    write_results(out, rows, [figure.to_dict() for figure in bd_table(rows, names, names)])
    write_plots(rows, out / PLOTS)
    write_report(rows, summary_table(joined), out, notes)


def _copy(source: Path, target: Path) -> None:
    """Copy a picture that is there and not yet here."""
    if source.exists() and not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _place(row: Measurement) -> Place:
    return row.clip, row.clip_md5, row.n_frames, row.keyint


def _renamed(row: Measurement, versions: dict[str, str]) -> Measurement:
    if len(versions) == 1:
        return row
    return replace(row, codec=f"{row.codec}@{versions[row.version]}")
