"""The .nvc file that is read: from disk or standard input, its bytes counted, its errors ours."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from bitstream_spec import Limits, StreamReader
from nvc.errors import MediaError
from nvc.files.pending import STANDARD_STREAM, part_path
from nvc.piped import PipedInput

_POLL_S = 0.1


class CountingFile:
    """As much of a binary file as StreamReader needs; `n_read` is the number of bytes read so far.

    With `patience_s` the end of a regular file is not the end of the stream: more may be written. Reading
    then waits until so many seconds have passed without growth. Such a file does not seek.
    """

    def __init__(self, file: BinaryIO, name: str, patience_s: float | None = None) -> None:
        self.n_read = 0
        self.name = name
        self._file = file
        self._size = 0
        self._reader: StreamReader | None = None
        # The end of a pipe is final: all that could write into it have left.
        self._patience_s = patience_s if _is_regular(file) else None
        if self.seekable():
            start = file.tell()
            self._size = file.seek(0, os.SEEK_END) - start
            file.seek(start)

    def read(self, size: int) -> bytes:
        with reading(self.name):
            data = self._file.read(size)
            waited_since = time.monotonic()
            while not data and self._may_grow and time.monotonic() - waited_since < (self._patience_s or 0):
                time.sleep(_POLL_S)
                data = self._file.read(size)
        if isinstance(self._file, PipedInput):
            self._file.raise_interrupt()
        self.n_read += len(data)
        return data

    def stop(self) -> None:
        """Let another thread that waits for bytes in here come to the end of them."""
        if self._patience_s is not None:
            self._patience_s = 0
        if isinstance(self._file, PipedInput):
            self._file.stop()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with reading(self.name):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._patience_s is None and self._file.seekable()

    @property
    def fraction_read(self) -> float | None:
        return min(1.0, self.n_read / self._size) if self._size else None

    @property
    def size_bytes(self) -> int:
        """Size of a file that can seek, else what was read so far."""
        return self._size or self.n_read

    @property
    def _may_grow(self) -> bool:
        return self._patience_s is not None and (self._reader is None or self._reader.trailer is None)

    def reader(self, limits: Limits, *, allow_unfinished: bool = False) -> StreamReader:
        """Read the stream header; raise a StreamError if it cannot be used.

        Frames with damaged upper layers are delivered, see StreamReader.
        """
        self._reader = StreamReader(
            cast(BinaryIO, self), limits, strict=False, allow_unfinished=allow_unfinished
        )
        return self._reader


@contextlib.contextmanager
def open_stream(source: str | Path, patience_s: float | None = None) -> Iterator[CountingFile]:
    """Open a stream for reading; "-" is standard input. Raises MediaError if it cannot be read.

    With `patience_s` it may still be on its way: what is not there is waited for, and what an encoder is
    writing for `source` is read in its place; see CountingFile.
    """
    if str(source) == STANDARD_STREAM:
        yield CountingFile(cast(BinaryIO, PipedInput(sys.stdin.buffer)), "standard input", patience_s)
        return
    with reading(str(source)):
        file = _open_growing(Path(source), patience_s or 0)
    with file:
        yield CountingFile(file, str(source), patience_s)


def _open_growing(path: Path, patience_s: float) -> BinaryIO:
    waited_since = time.monotonic()
    while True:
        part = part_path(path)
        if patience_s and not path.exists() and part.exists():
            with contextlib.suppress(FileNotFoundError):  # renamed just now
                return part.open("rb")
        if path.exists() or time.monotonic() - waited_since >= patience_s:
            return path.open("rb")
        time.sleep(_POLL_S)


def _is_regular(file: BinaryIO) -> bool:
    try:
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except OSError:
        return False


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the system's errors inside the block into a MediaError about reading `name`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MediaError(f"cannot read {name}: {reason}") from error
