"""A whole benchmark: measured rows, reference rows, BD figures, and the files of the result folder."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from nvc.bench.bd import BdFigure, bd_table
from nvc.bench.clip import Clip
from nvc.bench.measurement import MEASURED, Measurement
from nvc.bench.measures import can_measure_ms_ssim, vmaf_command
from nvc.bench.nvc_codec import NvcCodec
from nvc.bench.plots import PLOTS, write_plots
from nvc.bench.reference import ReferenceRows
from nvc.bench.report import write_report
from nvc.bench.results import write_results
from nvc.bench.runner import Plan, Progress, run
from nvc.errors import NvcError


@dataclass
class Outcome:
    """What a benchmark came to. `table` has each codec under test against each other codec."""

    rows: list[Measurement] = field(default_factory=list)
    table: list[BdFigure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[Measurement]:
        return [row for row in self.rows if row.error]


def benchmark(
    plan: Plan,
    references: ReferenceRows,
    reference_codecs: Sequence[str],
    on_row: Callable[[Progress], None] = lambda progress: None,
    notes: Sequence[str] = (),
) -> Outcome:
    """Measure the plan's rows, add reference rows of the same pictures, write results.csv and results.json.

    Then come R-D plots and the report, in which `notes` stand too. A codec that was measured takes no
    reference rows. When it is interrupted, what is there is written all the same, and the next run goes on.
    Raises NvcError if the extra `bench` is not installed, and as `run` does.
    """
    require_extra()
    outcome = Outcome(notes=list(notes))
    if vmaf_command() is None:
        outcome.notes.append("no VMAF: neither vmaf nor an ffmpeg with libvmaf is installed")
    measured = {codec.name for codec in plan.codecs}
    wanted = [name for name in reference_codecs if name not in measured]

    def add_references(clip: Clip) -> None:
        if not can_measure_ms_ssim(clip):
            outcome.notes.append(f"no MS-SSIM of {clip.name}: {clip.width}x{clip.height} is too small for it")
        outcome.rows += references.find(clip, plan.keyint, wanted)

    try:
        for progress in run(plan, add_references):
            outcome.rows.append(progress.row)
            on_row(progress)
    finally:
        if outcome.rows:
            _complete(outcome, plan)
    write_plots(outcome.rows, plan.out / PLOTS)
    write_report(outcome.rows, outcome.table, plan.out, outcome.notes)
    return outcome


def require_extra() -> None:
    """Raise NvcError if a package of the extra `bench` is missing."""
    for package in ("bjontegaard", "matplotlib"):
        if importlib.util.find_spec(package) is None:
            raise NvcError(f"nvc bench needs the package {package}: pip install 'nvc[bench]'")


def _place(codec: str) -> tuple[bool, str]:
    return not codec.startswith("nvc"), codec


def _complete(outcome: Outcome, plan: Plan) -> None:
    clips = [path.stem for path in plan.clips]
    outcome.rows.sort(
        key=lambda row: (clips.index(row.clip), row.origin != MEASURED, *_place(row.codec), row.qp)
    )
    names = list(dict.fromkeys(row.codec for row in outcome.rows if not row.error))
    own = [codec.name for codec in plan.codecs if isinstance(codec, NvcCodec)]
    if own:
        outcome.table = bd_table(outcome.rows, [name for name in names if name not in own], own)
    else:
        base = [codec.name for codec in plan.codecs if codec.name in names][:1]
        outcome.table = bd_table(outcome.rows, base, [name for name in names if name not in base])
    write_results(plan.out, outcome.rows, [f.to_dict() for f in bd_table(outcome.rows, names, names)])
