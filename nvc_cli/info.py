"""`nvc info` and `nvc verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nvc_cli import options
from nvc_cli.failure import fail
from nvc_cli.report import Reporter, print_json

if TYPE_CHECKING:
    from bitstream_spec import Limits


@click.command()
@click.argument("input", type=options.FILE, required=False)
@click.option("--models", is_flag=True, help="List the networks that are installed.")
@options.limit_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def info(input: str | None, models: bool, limits: Limits, as_json: bool) -> None:
    """Show what the stream INPUT holds, or which networks are installed.

    Nothing is decoded: most damage to frames is found by `nvc verify` alone.
    """
    if models == (input is not None):
        raise click.UsageError("Give either INPUT or --models.")
    from nvc_cli import tables

    if models:
        from nvc.model_store import installed_models

        entries = installed_models()
        if as_json:
            print_json({"models": [tables.model_facts(entry) for entry in entries]})
        else:
            click.echo("\n".join(tables.models_table(entries)))
        return
    import nvc

    stream = nvc.read_info(str(input), limits=limits)
    if as_json:
        print_json(stream)
    else:
        click.echo("\n".join(tables.stream_table(stream)))
    if stream.fault:
        fail(f"{input}: {stream.fault}")


@click.command()
@click.argument("input", type=options.FILE)
@options.limit_options
@options.running_options
@options.jobs_option
@options.report_options
def verify(
    input: str,
    as_json: bool,
    quiet: bool,
    **settings: Any,
) -> None:
    """Decode the stream INPUT and compare every frame with the checksum its encoder wrote."""
    import nvc

    with Reporter("verified", as_json=as_json, quiet=quiet) as reporter:
        summary = nvc.verify(input, **settings, on_frame=reporter.on_frame)
    reporter.show_check(summary)
    if not summary.is_good:
        fail(summary.faults[0] if summary.faults else f"{input} is not finished")
