"""Standard input and other files without a name: waited for in a way that can be ended."""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
from threading import Event
from typing import Any, BinaryIO

_POLL_S = 0.1


class PipedInput:
    """A binary file whose reader may be told to stop, from another thread, while it waits for bytes.

    An interrupt inside `read` would be lost where FFmpeg calls it, and the input would seem to end: it is
    kept until it can be raised.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._pipe = _pipe_of(file)
        self._stopped = Event()
        self._interrupt: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """Read as `file` does, of a pipe what there is; after `stop` nothing more."""
        try:
            if self._pipe is None:
                return b"" if self._stopped.is_set() else self._file.read(size)
            while not select.select([self._pipe], [], [], _POLL_S)[0]:
                if self._stopped.is_set():
                    return b""
            return os.read(self._pipe, size if size > 0 else io.DEFAULT_BUFFER_SIZE)
        except (KeyboardInterrupt, SystemExit) as interrupt:
            self._interrupt = interrupt
            return b""

    def stop(self) -> None:
        """Let reading end soon, wherever it stands."""
        self._stopped.set()

    def raise_interrupt(self) -> None:
        """Raise the interrupt that came while FFmpeg was reading, if one did."""
        if self._interrupt is not None:
            raise self._interrupt

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _pipe_of(file: BinaryIO) -> int | None:
    """Return the descriptor of a pipe or the like, of which nothing was read yet by other ways."""
    with contextlib.suppress(OSError, AttributeError):
        descriptor = file.fileno()
        if os.name == "posix" and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
    return None
