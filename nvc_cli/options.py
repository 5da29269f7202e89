"""Options that several commands share: the same word means the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

if TYPE_CHECKING:
    from bitstream_spec import Limits

F = TypeVar("F", bound=Callable[..., Any])

DEVICES = click.Choice(["cpu", "cuda"])
PRESETS = click.Choice(["fast", "medium", "slow"])
POSITIVE = click.IntRange(min=1)
LAYERS = click.IntRange(1, 4)
FILE = click.Path(dir_okay=True, path_type=str)


def running_options(function: F) -> F:
    """Add --device and --threads."""
    function = click.option(
        "--threads",
        type=click.IntRange(min=0),
        default=0,
        show_default="as many as torch likes",
        help="CPU threads, of all processes together; with --jobs, of each.",
    )(function)
    return click.option(
        "--device",
        type=DEVICES,
        default="cpu",
        show_default=True,
        help="Where the networks run. Streams and pictures do not depend on it.",
    )(function)


def jobs_option(function: F) -> F:
    """Add --jobs."""
    return click.option(
        "--jobs",
        type=click.IntRange(min=0),
        default=0,
        show_default="as many as are worth it",
        help="Processes that code GOPs side by side, of one thread each. The result does not depend on it.",
    )(function)


def report_options(function: F) -> F:
    """Add --json and --quiet."""
    function = click.option("--quiet", is_flag=True, help="No progress and no summary.")(function)
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the result as one JSON object on standard output."
    )(function)


def overwrite_option(function: F) -> F:
    """Add --overwrite."""
    return click.option("-y", "--overwrite", is_flag=True, help="Replace files that exist already.")(function)


def frames_option(function: F) -> F:
    """Add --frames."""
    return click.option("-n", "--frames", "n_frames", type=POSITIVE, help="Stop after so many frames.")(
        function
    )


def pixels_option(function: F) -> F:
    """Add --max-pixels."""
    return click.option(
        "--max-pixels",
        type=POSITIVE,
        show_default="2^25, 8K video",
        help="Refuse larger pictures; each pixel takes some 300 bytes of memory.",
    )(function)


def _read_limits(ctx: click.Context, option: click.Parameter, values: tuple[str, ...]) -> dict[str, int]:
    """NAME=NUMBER each, a field of Limits."""
    from bitstream_spec import Limits

    names = [field.name for field in fields(Limits)]
    chosen = {}
    for value in values:
        name, _, number = value.partition("=")
        if name not in names or not number.isdecimal() or not int(number):
            raise click.BadParameter(f"{value!r} is not NAME=NUMBER; names are {', '.join(names)}")
        chosen[name] = int(number)
    return chosen


def limit_options(function: F) -> F:
    """Add --max-pixels, --max-frames and --limit; the command gets `limits`."""

    @wraps(function)
    def command(
        *arguments: Any,
        max_pixels: int | None,
        max_frames: int | None,
        other_limits: dict[str, int],
        **settings: Any,
    ) -> Any:
        named = {"max_pixels": max_pixels, "max_frames": max_frames}
        chosen = other_limits | {name: value for name, value in named.items() if value is not None}
        return function(*arguments, limits=limits(**chosen), **settings)

    command = click.option(
        "--limit",
        "other_limits",
        callback=_read_limits,
        multiple=True,
        metavar="NAME=NUMBER",
        help="Another limit, as an error names it: max_header_bytes=9000000, for a file that you trust.",
    )(command)
    command = click.option(
        "--max-frames",
        type=POSITIVE,
        show_default="no limit",
        help="Refuse the frames beyond so many.",
    )(command)
    return cast(F, pixels_option(command))


def limits(**chosen: int | None) -> Limits:
    """The limits that were chosen, the others by default."""
    import nvc

    return nvc.Limits(**{name: value for name, value in chosen.items() if value is not None})


def model_option(function: F) -> F:
    """Add --model."""
    return click.option(
        "--model",
        default="s",
        show_default=True,
        help="Networks to use: a name, an id or a file; 'nvc info --models' lists them.",
    )(function)


def quality_options(function: F) -> F:
    """Add --qp, --keyint, --scene-cut, --preset and --flow."""
    function = click.option(
        "--flow",
        type=click.Choice(["dis", "pyramid"]),
        default="dis",
        show_default=True,
        help="What motion search begins with: dense inverse search, or a network that learned from it.",
    )(function)
    function = click.option(
        "--preset",
        type=PRESETS,
        default="medium",
        show_default=True,
        help="How much the encoder searches.",
    )(function)
    function = click.option(
        "--scene-cut/--no-scene-cut", default=True, show_default=True, help="Keyframes at scene cuts."
    )(function)
    function = click.option(
        "--keyint",
        type=int,
        default=250,
        show_default=True,
        callback=_check_keyint,
        help="Most frames from one keyframe to the next; -1: only the first frame is one.",
    )(function)
    return click.option(
        "-q",
        "--qp",
        type=click.IntRange(0, 63),
        show_default="32, if no target is given",
        help="Quality: 0 is best, 63 is smallest.",
    )(function)


def refuse_two_outputs(**to_stdout: bool) -> None:
    """Raise UsageError if more than one of the named outputs goes to standard output."""
    names = [name for name, wanted in to_stdout.items() if wanted]
    if len(names) > 1:
        raise click.UsageError(f"{' and '.join(names)} cannot both go to standard output")


def _check_keyint(ctx: click.Context, option: click.Parameter, value: int) -> int:
    if value != -1 and value < 1:
        raise click.BadParameter(f"{value} is neither positive nor -1.")
    return value
