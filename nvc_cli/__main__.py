"""The `nvc` command and its exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
import sys
from pathlib import Path
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


def _arrange_memory() -> None:
    """Let glibc's malloc take large buffers from the system one by one, and all else, for all threads, from
    one heap, here and in processes that start from here.

    By default what lies free between buffers of a heap adds up, and threads have heaps of their own. Measured
    at 1920x1080, encoding two GOPs: 1256 to 1285 MiB instead of 1368 to 1398 with the one heap alone, which
    had taken 1389 where several took 1517. Torch then has to ask for large pages, as numpy does, or getting
    the buffers costs a tenth of the time and more; so where there are none, they stay in the heap.
    """
    wanted = {"MALLOC_ARENA_MAX": (-8, 1)}
    with contextlib.suppress(OSError):
        if "[never]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text():
            wanted["MALLOC_MMAP_THRESHOLD_"] = -3, 8_000_000  # luma of 1920x1080 as float32 takes 8.4
            wanted["MALLOC_TRIM_THRESHOLD_"] = -1, 64_000_000  # as it would rise to by itself
            os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    with contextlib.suppress(OSError, AttributeError, TypeError):  # another C library
        for name, (option, value) in wanted.items():
            if name not in os.environ:
                os.environ[name] = str(value)
                ctypes.CDLL(None).mallopt(option, value)


def main() -> None:
    """Run the command of this process's arguments."""
    signal.signal(signal.SIGTERM, _terminate)
    # Threads that wait by spinning starve each other beside other work: measured on two busy cores, a decode
    # took 7.8 s with torch's default and 1.9 s so.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _arrange_memory()
    # Libraries make 300,000 objects that stay: looking through them again and again took 0.4 s of each start.
    gc.set_threshold(50_000)
    nvc(prog_name="nvc")


if __name__ == "__main__":
    main()
