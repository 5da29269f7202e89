"""What goes wrong becomes one line on standard error and an exit code."""

from __future__ import annotations

import os
import sys
from typing import Any

import click

FAILED = 1
INTERRUPTED = 130


class FailingGroup(click.Group):
    """A group of commands whose errors never show a traceback, unless NVC_TRACEBACK is set."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            click.echo("Interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if os.environ.get("NVC_TRACEBACK"):
                raise
            _leave_broken_pipe(error)
            raise click.ClickException(_one_line(error)) from error


def fail(message: str) -> None:
    """End the command as failed, after its results were shown."""
    raise click.ClickException(message)


def _one_line(error: Exception) -> str:
    from bitstream_spec import StreamError
    from nvc import NvcError

    text = " ".join(str(error).split())
    if isinstance(error, (NvcError, StreamError)):
        return text
    if isinstance(error, OSError):
        return (error.strerror or text).lower() + (f": {error.filename}" if error.filename else "")
    if isinstance(error, MemoryError):
        return "not enough memory"
    return f"{type(error).__name__}: {text} (a fault of nvc; NVC_TRACEBACK=1 shows where)"


def _leave_broken_pipe(error: BaseException | None) -> None:
    """Keep Python from complaining once more when it flushes a standard output that nobody reads."""
    while error is not None and not isinstance(error, BrokenPipeError):
        error = error.__cause__ or error.__context__
    if error is not None and sys.__stdout__ is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())
