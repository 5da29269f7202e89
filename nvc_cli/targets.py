"""Options of `nvc encode` that say where bits go: targets in time, regions in space."""

from __future__ import annotations

import re
from typing import Any

import click

from nvc_cli.options import LAYERS, F

_PREFIXES = {"": 1, "k": 1000, "M": 1000**2, "G": 1000**3}
_TARGETS = {
    "qp": "--qp",
    "layer_qp": "--layer-qp",
    "bitrate_kbps": "--bitrate",
    "size_bytes": "--size",
    "psnr_db": "--psnr",
}


class Amount(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """A number with k, M or G behind it, powers of 1000; in units of `unit`."""

    name = "amount"

    def __init__(self, unit: int = 1) -> None:
        self._unit = unit

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        found = re.fullmatch(r"(\d+\.?\d*|\.\d+)([kMG]?)", str(value).strip())
        if not found or not float(found[1]):
            self.fail(f"{value!r} is not an amount such as 500k, 2.5M or 800000.", param, ctx)
        return float(found[1]) * _PREFIXES[found[2]] / self._unit


class QpList(click.ParamType):  # type: ignore[type-arg,unused-ignore]
    """Whole numbers with commas between them."""

    name = "list"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        try:
            return tuple(int(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 52,32.", param, ctx)


def layer_options(function: F) -> F:
    """Add --layers and --layer-qp."""
    function = click.option(
        "--layer-qp",
        type=QpList(),
        metavar="QP,...",
        help="The qp of each layer, from the base up, in place of --layers and --qp.",
    )(function)
    return click.option(
        "--layers",
        type=LAYERS,
        default=1,
        show_default=True,
        help="Layers of quality: a stream that becomes a smaller one by dropping the upper of them, see "
        "'nvc extract'. Each one less is 20 qp coarser.",
    )(function)


def target_options(function: F) -> F:
    """Add --bitrate, --size, --psnr, --passes, --maxrate and --bufsize."""
    for option in (
        click.option(
            "--bufsize",
            "bufsize_kbits",
            type=Amount(1000),
            metavar="BITS",
            help="Buffer that --maxrate fills and frames must fit in.  [default: one second of --maxrate]",
        ),
        click.option(
            "--maxrate", "maxrate_kbps", type=Amount(1000), metavar="BITS/S", help="Limit of the bitrate."
        ),
        click.option(
            "--passes",
            type=click.IntRange(1, 3),
            show_default="2 with --size, else 1",
            help="Code the video so often, each time steered by the pass before.",
        ),
        click.option(
            "--psnr",
            "psnr_db",
            type=click.FloatRange(1, 99),
            help="Mean (6 Y + U + V) / 8 PSNR to reach, in dB.",
        ),
        click.option(
            "--size",
            "size_bytes",
            type=Amount(),
            callback=lambda ctx, option, value: value and int(value),
            metavar="BYTES",
            help="Bytes of OUTPUT, sound included: 10M.",
        ),
        click.option(
            "--bitrate",
            "bitrate_kbps",
            type=Amount(1000),
            metavar="BITS/S",
            help="Bits per second of OUTPUT less its sound: 500k.",
        ),
    ):
        function = option(function)
    return function


def region_options(function: F) -> F:
    """Add --roi, --roi-strength, --aq and --importance."""
    for option in (
        click.option(
            "--importance",
            type=click.Choice(["ms-ssim"]),
            help="Spend bits where they raise this metric most, by a learned map.",
        ),
        click.option(
            "--aq",
            type=click.FloatRange(0, 8),
            default=0.0,
            show_default=True,
            help="qp taken from smooth blocks and given to textured ones, per doubling of variance; 0: off.",
        ),
        click.option(
            "--roi-strength",
            type=click.IntRange(0, 63),
            default=12,
            show_default=True,
            help="How much better white and boxes are, in qp, and how much worse black.",
        ),
        click.option(
            "--roi",
            multiple=True,
            metavar="MASK|X,Y,W,H[,OFFSET]",
            help="Region of interest: a picture or video, white better and black worse, or a box with the qp "
            "added inside it. Several are allowed.",
        ),
    ):
        function = option(function)
    return function


def refuse_two_targets(**values: Any) -> None:
    """Raise UsageError if settings of quality and size contradict each other."""
    given = [option for name, option in _TARGETS.items() if values[name] is not None]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given)} exclude each other: give one of them.")
    if values["bufsize_kbits"] is not None and values["maxrate_kbps"] is None:
        raise click.UsageError("--bufsize needs --maxrate beside it.")
    if values["passes"] == 1 and values["size_bytes"] is not None:
        raise click.UsageError("--size needs --passes 2 or 3.")
    if (values["passes"] or 1) > 1 and given in ([], ["--qp"], ["--layer-qp"]):
        raise click.UsageError("--passes needs --bitrate, --size or --psnr to steer to.")
