"""`nvc decode`."""

from __future__ import annotations

import click

from nvc_cli import options
from nvc_cli.failure import fail
from nvc_cli.report import Reporter


@click.command()
@click.argument("input", type=options.FILE)
@click.argument("output", type=options.FILE)
@click.option("--start", "start_s", type=click.FloatRange(min=0), help="Begin here, in seconds.")
@click.option(
    "--duration",
    "duration_s",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after so many seconds.",
)
@options.frames_option
@click.option("--lossless", is_flag=True, help="Exact planes in MP4, too; fewer players show it.")
@click.option(
    "--crf",
    type=click.FloatRange(0, 51),
    default=8,
    show_default=True,
    help="Quality of the H.264 in MP4; lower is better.",
)
@click.option("--verify/--no-verify", default=True, show_default=True, help="Compare frame checksums.")
@options.limit_options
@options.running_options
@options.overwrite_option
@options.report_options
def decode(
    input: str,
    output: str,
    start_s: float | None,
    duration_s: float | None,
    n_frames: int | None,
    lossless: bool,
    crf: float,
    verify: bool,
    max_pixels: int | None,
    max_frames: int | None,
    device: str,
    threads: int,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Decode the stream INPUT into the video OUTPUT.

    The suffix of OUTPUT tells its kind: mp4 and mov (H.264, sound copied), mkv (exact planes, FFV1), y4m, or
    png and jpg for one frame. "-" is standard input, and y4m on standard output. Of a stream that is damaged
    or cut short, the whole frames are kept and the exit code is 1.
    """
    options.refuse_two_outputs(OUTPUT=output == "-", json=as_json)
    import nvc

    with Reporter("decoded", as_json=as_json, quiet=quiet) as reporter:
        summary = nvc.decode(
            input,
            output,
            device=device,
            threads=threads,
            verify=verify,
            start_s=start_s,
            duration_s=duration_s,
            n_frames=n_frames,
            lossless=lossless,
            crf=crf,
            limits=options.limits(max_pixels=max_pixels, max_frames=max_frames),
            overwrite=overwrite,
            on_frame=reporter.on_frame,
        )
    reporter.show_decoding(summary)
    if summary.fault:
        fail(f"{summary.fault} (kept the {summary.n_frames} frames before it in {output})")
