"""`nvc extract`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from nvc_cli import options

if TYPE_CHECKING:
    from bitstream_spec import Limits


@click.command()
@click.argument("input", type=options.FILE)
@click.argument("output", type=options.FILE)
@click.option("--layers", type=options.LAYERS, required=True, help="Keep so many layers, from the base up.")
@options.limit_options
@options.overwrite_option
@click.option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON object on standard output."
)
@click.option("--quiet", is_flag=True, help="No summary.")
def extract(
    input: str,
    output: str,
    layers: int,
    limits: Limits,
    overwrite: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make the stream OUTPUT of the lower layers of the stream INPUT.

    Nothing is decoded: what belongs to the upper layers is left out. Damage to the base layer, which shows
    only in decoding, is passed on.
    """
    options.refuse_two_outputs(OUTPUT=output == "-", json=as_json)
    import nvc
    from nvc_cli.report import print_json

    summary = nvc.extract(input, output, layers=layers, limits=limits, overwrite=overwrite)
    if as_json:
        print_json(summary)
    if not quiet:
        click.echo(
            f"kept {summary.layers} of {summary.n_layers} layers of {summary.n_frames} frames, "
            f"{summary.size_bytes} of {summary.input_bytes} bytes",
            err=True,
        )
