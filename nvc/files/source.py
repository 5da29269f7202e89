"""The .nvc file that is read: from disk or standard input, its bytes counted, its errors ours."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from bitstream_spec import Limits, StreamReader
from nvc.errors import MediaError
from nvc.files.pending import STANDARD_STREAM


class CountingFile:
    """As much of a binary file as StreamReader needs; `n_read` is the number of bytes read so far."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.n_read = 0
        self.name = name
        self._file = file
        self._size = 0
        if file.seekable():
            start = file.tell()
            self._size = file.seek(0, os.SEEK_END) - start
            file.seek(start)

    def read(self, size: int) -> bytes:
        with reading(self.name):
            data = self._file.read(size)
        self.n_read += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        with reading(self.name):
            return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def seekable(self) -> bool:
        return self._file.seekable()

    @property
    def fraction_read(self) -> float | None:
        return min(1.0, self.n_read / self._size) if self._size else None

    @property
    def size_bytes(self) -> int:
        """Size of a file that can seek, else what was read so far."""
        return self._size or self.n_read

    def reader(self, limits: Limits, *, allow_unfinished: bool = False) -> StreamReader:
        """Read the stream header; raise a StreamError if it cannot be used."""
        return StreamReader(cast(BinaryIO, self), limits, allow_unfinished=allow_unfinished)


@contextlib.contextmanager
def open_stream(source: str | Path) -> Iterator[CountingFile]:
    """Open a stream for reading; "-" is standard input. Raises MediaError if it cannot be read."""
    if str(source) == STANDARD_STREAM:
        yield CountingFile(sys.stdin.buffer, "standard input")
        return
    with reading(str(source)):
        file = Path(source).open("rb")  # noqa: SIM115  (closed below, its errors told apart)
    with file:
        yield CountingFile(file, str(source))


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Turn the system's errors inside the block into a MediaError about reading `name`."""
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise MediaError(f"cannot read {name}: {reason}") from error
