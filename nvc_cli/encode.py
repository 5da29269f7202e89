"""`nvc encode`."""

from __future__ import annotations

from typing import Any

import click

from nvc_cli import options, targets
from nvc_cli.report import Reporter


@click.command()
@click.argument("input", type=options.FILE)
@click.argument("output", type=options.FILE)
@options.quality_options
@targets.target_options
@targets.region_options
@options.model_option
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Leave out the first frames.")
@options.frames_option
@click.option(
    "--recon", type=options.FILE, help="Also write what a decoder will show: mkv or y4m for exact planes."
)
@options.pixels_option
@options.running_options
@options.overwrite_option
@options.report_options
def encode(
    input: str,
    output: str,
    qp: int | None,
    keyint: int,
    scene_cut: bool,
    preset: str,
    model: str,
    skip: int,
    n_frames: int | None,
    recon: str | None,
    max_pixels: int | None,
    device: str,
    threads: int,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
    **aims: Any,
) -> None:
    """Encode the video or picture INPUT into the stream OUTPUT.

    INPUT is anything FFmpeg reads, sound included; "-" is y4m on standard input. OUTPUT "-" is standard
    output.
    """
    options.refuse_two_outputs(OUTPUT=output == "-", json=as_json, recon=recon == "-")
    targets.refuse_two_targets(qp=qp, **aims)
    import nvc

    config = nvc.EncoderConfig(model, qp, keyint, scene_cut, preset, device, threads, **aims)
    with Reporter("encoded", as_json=as_json, quiet=quiet) as reporter:
        summary = nvc.encode(
            input,
            output,
            config,
            skip=skip,
            n_frames=n_frames,
            reconstruction=recon,
            limits=options.limits(max_pixels=max_pixels),
            overwrite=overwrite,
            on_frame=reporter.on_frame,
        )
    reporter.show_encoding(summary)
