"""Output files that appear under their name only when they are whole."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from nvc.errors import MediaError

try:
    import fcntl
except ImportError:  # Windows: two runs on one output are not told apart
    fcntl = None  # type: ignore[assignment]

STANDARD_STREAM = "-"


def check_target(target: str | Path, *others: str | Path | None, overwrite: bool = False) -> None:
    """Raise MediaError if `target` cannot become an output, or is one of the `others` in use."""
    if str(target) == STANDARD_STREAM:
        return
    path = Path(target)
    for other in others:
        if other is None or str(other) == STANDARD_STREAM:
            continue
        if path.resolve() == Path(other).resolve() or _is_same_file(path, Path(other)):
            raise MediaError(f"cannot write {target}: it is also the file {other} of this command")
    if path.is_dir():
        raise MediaError(f"cannot write {target}: it is a folder")
    if path.is_file() and not overwrite:
        raise MediaError(f"cannot write {target}: it exists already; -y (overwrite=True) replaces it")
    if not path.parent.is_dir():
        raise MediaError(f"cannot write {target}: there is no folder {path.parent}")


def part_path(target: Path) -> Path:
    """Where the output `target` stands while it is written."""
    final = target.resolve()
    return final.with_name(f".nvc-part.{final.name}")


@contextlib.contextmanager
def pending_path(target: str | Path) -> Iterator[Path]:
    """Yield a path beside `target` that becomes `target` when the block ends, or goes if it fails.

    Its suffix is that of `target`. What a killed run left there is taken over. A device or a named pipe is
    written directly. Raises MediaError, with the target's name in the message, if a file cannot be written.
    """
    final = Path(target).resolve()
    if final.exists() and not final.is_file():
        with _naming(final, target):
            yield final
        return
    part = part_path(final)
    with _naming(part, target):
        lock = _claim(part)
        try:
            yield part
            os.fsync(lock)
            os.replace(part, final)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise
        finally:
            os.close(lock)


@contextlib.contextmanager
def pending_file(target: str | Path) -> Iterator[BinaryIO]:
    """Open `target` for writing as `pending_path` does, unbuffered: who follows it sees what is written.

    "-" is standard output.
    """
    if str(target) == STANDARD_STREAM:
        with _naming(Path(), "standard output"):
            sys.stdout.flush()
            yield cast(BinaryIO, getattr(sys.stdout.buffer, "raw", sys.stdout.buffer))
        return
    with pending_path(target) as path, path.open("wb", buffering=0) as file:
        yield cast(BinaryIO, file)


@contextlib.contextmanager
def _naming(part: Path, target: str | Path) -> Iterator[None]:
    try:
        yield
    except MediaError as error:
        if str(part) not in str(error):
            raise
        raise MediaError(str(error).replace(str(part), str(target))) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MediaError(f"cannot write {target}: {reason}") from error


def _claim(part: Path) -> int:
    """Create or take over the file, empty, so that no second run writes it, too; return its descriptor."""
    while True:
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if fcntl is not None:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise MediaError(f"cannot write {part}: another run is writing it") from error
        except OSError:
            pass  # a file system without locks
        # Another run may have renamed the file just before the lock was ours.
        if part.exists() and os.path.samestat(os.fstat(descriptor), part.stat()):
            os.ftruncate(descriptor, 0)
            return descriptor
        os.close(descriptor)


def _is_same_file(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
