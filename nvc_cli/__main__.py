"""The `nvc` command and its exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

import click

from nvc_cli.bench import bench
from nvc_cli.decode import decode
from nvc_cli.demo import demo
from nvc_cli.encode import encode
from nvc_cli.extract import extract
from nvc_cli.failure import FailingGroup
from nvc_cli.info import info, verify
from nvc_cli.train import export, train


def _show_version(ctx: click.Context, option: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from bitstream_spec import FORMAT_VERSION
        from nvc import __version__

        click.echo(f"nvc {__version__}, stream format {FORMAT_VERSION}")
        ctx.exit()


@click.group(cls=FailingGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "-V",
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the versions of nvc and of the stream format.",
)
def nvc() -> None:
    """Encode video into .nvc files with neural networks, and decode it again.

    Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 failed (one line
    says why), 2 wrong usage, 130 interrupted. NVC_TRACEBACK=1 shows where an error came from.
    """


for command in (encode, decode, extract, info, verify, bench, demo, train, export):
    nvc.add_command(command)


def _terminate(number: int, _: FrameType | None) -> NoReturn:
    # As an exception, so that unfinished outputs are removed on the way out.
    sys.exit(128 + number)


def _share_one_heap() -> None:
    """Let glibc's malloc serve all threads from one heap, here and in processes that start from here.

    By default threads have heaps of their own, and each keeps what was freed in it: measured at 1920x1080,
    encoding took 1517 MiB instead of 1389, and no less time.
    """
    name, m_arena_max = "MALLOC_ARENA_MAX", -8
    if name not in os.environ:
        os.environ[name] = "1"
        with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
            ctypes.CDLL(None).mallopt(m_arena_max, 1)


def main() -> None:
    """Run the command of this process's arguments."""
    signal.signal(signal.SIGTERM, _terminate)
    # Threads that wait by spinning starve each other beside other work: measured on two busy cores, a decode
    # took 7.8 s with torch's default and 1.9 s so.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _share_one_heap()
    # Libraries make 300,000 objects that stay: looking through them again and again took 0.4 s of each start.
    gc.set_threshold(50_000)
    nvc(prog_name="nvc")


if __name__ == "__main__":
    main()
