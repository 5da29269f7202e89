"""`nvc decode`."""

from __future__ import annotations

from typing import Any

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
@click.option("--layers", type=options.LAYERS, help="Leave out the layers above so many.")
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Compare frame checksums; without, damage to a frame mostly goes unnoticed, too.",
)
@click.option(
    "--conceal", is_flag=True, help="Go on behind damage; repeat the last frame where some are lost."
)
@click.option("--follow", is_flag=True, help="INPUT is still being written: wait for its end.")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0, min_open=True),
    default=30,
    show_default=True,
    help="With --follow: give up after so many seconds without growth.",
)
@options.limit_options
@options.running_options
@options.jobs_option
@options.overwrite_option
@options.report_options
def decode(
    input: str,
    output: str,
    follow: bool,
    timeout_s: float,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Decode the stream INPUT into the video OUTPUT.

    The suffix of OUTPUT tells its kind: mp4 and mov (H.264, sound copied), mkv (exact planes, FFV1), y4m, or
    png and jpg for one frame. "-" is standard input, and y4m on standard output. Of a stream that is damaged
    or cut short, the whole frames before that place are kept, with --conceal those after it, too; the exit
    code is 1 either way. Where only upper layers are damaged or missing, the lower ones are shown.
    """
    options.refuse_two_outputs(OUTPUT=output == "-", json=as_json)
    import nvc

    settings["follow_s"] = timeout_s if follow else None
    with Reporter("decoded", as_json=as_json, quiet=quiet) as reporter:
        summary = nvc.decode(input, output, **settings, on_frame=reporter.on_frame)
    reporter.show_decoding(summary)
    if summary.fault and summary.concealed:
        fail(f"{summary.fault} (concealed {summary.n_lost_frames} lost frames in {output})")
    if summary.fault:
        fail(f"{summary.fault} (kept the {summary.n_frames} frames before it in {output})")
    if summary.layer_fault:
        fail(f"{summary.layer_fault} ({summary.n_reduced_frames} frames in {output} are of lower layers)")
