"""`nvc bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nvc_cli import options

if TYPE_CHECKING:
    from nvc.bench import Progress

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_CLIP = click.Path(exists=True, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


def _names(ctx: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in value.split(",") if name.strip())


def _protocols(ctx: click.Context, option: click.Parameter, value: str) -> tuple[str, ...]:
    from nvc.bench.codec import PROTOCOLS

    names = _names(ctx, option, value)
    for name in names:
        if name not in PROTOCOLS:
            raise click.BadParameter(f"{name!r} is none of {', '.join(PROTOCOLS)}.")
    return names


def _qps(ctx: click.Context, option: click.Parameter, value: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in value.split(",")))
    except ValueError:
        raise click.BadParameter(f"{value!r} is no list of numbers like 20,28,36,44.") from None


def _assignments(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    pairs = [value.partition("=") for value in values]
    for (name, equals, rest), value in zip(pairs, values, strict=True):
        if not (name and equals and rest):
            raise click.BadParameter(f"{value!r} is not NAME=VALUE.")
    return {name: rest for name, _, rest in pairs}


def _anchor_qps(
    ctx: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> dict[str, tuple[int, ...]]:
    return {name: _qps(ctx, option, rest) for name, rest in _assignments(ctx, option, values).items()}


@click.command()
@click.argument("clips", type=_CLIP, nargs=-1, required=True)
@click.option("--out", type=_FOLDER, help="Folder of the results; a run there is resumed.")
@click.option(
    "--anchors",
    callback=_names,
    default="x264,x265",
    show_default=True,
    help="Encoders to compare with: x264, x265, svtav1, vp9, mpeg2, or one mode such as x264_veryslow_ld.",
)
@click.option(
    "--anchor-qps",
    multiple=True,
    callback=_anchor_qps,
    metavar="NAME=QPS",
    help="Quality settings of an anchor on its own scale, such as x264=20,26,32,38; repeatable.",
)
@click.option(
    "--anchor",
    "places",
    multiple=True,
    callback=_assignments,
    metavar="NAME=PATH",
    help="A program of yours, or the folder it is in: hm=PATH, vtm=PATH, vvenc=PATH; repeatable.",
)
@click.option(
    "--template",
    "templates",
    type=_FILE,
    multiple=True,
    help="TOML file that says how to run another encoder; repeatable.",
)
@click.option(
    "--protocols",
    callback=_protocols,
    default="ld,default",
    show_default=True,
    help="Which anchors' modes: ld (display order, no look-ahead), default, intra (HM, VTM).",
)
@click.option(
    "--references",
    callback=_names,
    default="hm_ldp,hm_ldb,vtm_ldb,vtm17_ldb,vvenc_medium,hm_intra,vtm_intra",
    show_default=True,
    help="Shipped rows to add where clip, frames and keyint are the same; '' for none.",
)
@click.option(
    "--qps", callback=_qps, default="4,12,20,28,36,44", show_default=True, help="Quality settings of nvc."
)
@click.option(
    "--layers",
    type=options.LAYERS,
    default=1,
    show_default=True,
    help="Measure a stream of so many layers, too, and each prefix of it.",
)
@click.option("--no-nvc", is_flag=True, help="Measure the anchors only.")
@options.frames_option
@click.option("--keyint", type=int, default=-1, show_default=True, help="Frames from keyframe to keyframe.")
@options.model_option
@click.option("--preset", type=options.PRESETS, default="medium", show_default=True)
@click.option("--device", type=options.DEVICES, default="cpu", show_default=True)
@click.option(
    "--threads", type=options.POSITIVE, default=1, show_default=True, help="Threads of nvc; anchors have one."
)
@click.option("--jobs", type=options.POSITIVE, default=1, show_default=True, help="Rows measured at once.")
@click.option("--summarize", is_flag=True, help="CLIPS are result folders: join them (into OUT, if given).")
@click.option("--quiet", is_flag=True, help="No progress.")
def bench(
    clips: tuple[Path, ...],
    out: Path | None,
    anchors: tuple[str, ...],
    anchor_qps: dict[str, tuple[int, ...]],
    places: dict[str, str],
    templates: tuple[Path, ...],
    protocols: tuple[str, ...],
    references: tuple[str, ...],
    qps: tuple[int, ...],
    layers: int,
    no_nvc: bool,
    n_frames: int | None,
    keyint: int,
    model: str,
    preset: str,
    device: str,
    threads: int,
    jobs: int,
    summarize: bool,
    quiet: bool,
) -> None:
    """Code CLIPS with nvc and with other encoders, decode all again, and compare size, quality and speed.

    The BD-rates are printed. OUT gets all figures (results.csv, results.json), plots and report.html.
    """
    if summarize:
        _summarize(clips, out)
        return
    if out is None:
        raise click.UsageError("Missing option '--out'.")
    from nvc import bench as library

    external, missing = library.find_external(places, templates, anchor_qps, protocols)
    outside = {name for codec in external for name in (codec.name, codec.template.name)}
    inside = {name: values for name, values in anchor_qps.items() if name not in outside}
    codecs: list[library.BenchCodec] = [*library.select_anchors(anchors, protocols, inside), *external]
    if not no_nvc:
        own = library.make_nvc_codec(model, qps, preset, device, threads)
        codecs += [own, *(own.layered(layers) if layers > 1 else [])]
    plan = library.Plan(clips, tuple(codecs), out, n_frames, keyint, jobs)
    with _BenchProgress(quiet) as progress:
        outcome = library.benchmark(plan, library.load_references(), references, progress.show, missing)
    for line in library.format_bd(outcome.table):
        click.echo(line)
    for note in outcome.notes:
        click.echo(f"Note: {note}", err=True)
    for row in outcome.failures:
        click.echo(f"failed: {row.clip} {row.codec} qp {row.qp}: {row.error}", err=True)


def _summarize(folders: tuple[Path, ...], out: Path | None) -> None:
    from nvc import bench as library

    joined, notes = library.summarize(folders)
    if out is not None:
        library.write_summary(joined, out, notes)
    for line in library.format_bd(library.summary_table(joined)):
        click.echo(line)
    for note in notes:
        click.echo(f"Note: {note}", err=True)


class _BenchProgress:
    """A bar on a terminal, else each measured row in a line."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._n_reused = 0

    def __enter__(self) -> _BenchProgress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.close()
        if self._n_reused and not self._quiet:
            click.echo(f"reused {self._n_reused} rows of an earlier run", err=True)

    def show(self, progress: Progress) -> None:
        """Take note of a finished row."""
        from nvc.bench import describe_row

        self._n_reused += progress.reused
        if self._quiet:
            return
        if sys.stderr.isatty():
            if self._bar is None:
                from tqdm import tqdm

                self._bar = tqdm(desc="measured", total=progress.total, unit="row")
            self._bar.set_postfix_str(f"{progress.row.codec} qp {progress.row.qp}", refresh=False)
            self._bar.update(progress.done - self._bar.n)
        elif not progress.reused:
            click.echo(f"{progress.done}/{progress.total} {describe_row(progress.row)}", err=True)
