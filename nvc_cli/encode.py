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
@targets.layer_options
@targets.region_options
@options.model_option
@click.option("--skip", type=click.IntRange(min=0), default=0, help="Leave out the first frames.")
@options.frames_option
@click.option(
    "--recon",
    "reconstruction",
    type=options.FILE,
    help="Also write what a decoder will show: mkv or y4m for exact planes.",
)
@options.pixels_option
@options.running_options
@options.jobs_option
@options.overwrite_option
@options.report_options
def encode(
    input: str, output: str, as_json: bool, quiet: bool, max_pixels: int | None, **settings: Any
) -> None:
    """Encode the video or picture INPUT into the stream OUTPUT.

    INPUT is anything FFmpeg reads, sound included; "-" is y4m on standard input. OUTPUT "-" is standard
    output.
    """
    options.refuse_two_outputs(OUTPUT=output == "-", json=as_json, recon=settings["reconstruction"] == "-")
    targets.refuse_two_targets(**settings)
    import nvc

    coding = {name: settings.pop(name) for name in nvc.EncoderConfig.__dataclass_fields__}
    config, limits = nvc.EncoderConfig(**coding), options.limits(max_pixels=max_pixels)
    with Reporter("encoded", as_json=as_json, quiet=quiet) as reporter:
        summary = nvc.encode(input, output, config, **settings, limits=limits, on_frame=reporter.on_frame)
    reporter.show_encoding(summary)
