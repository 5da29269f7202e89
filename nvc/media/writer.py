"""The interface of everything that takes frames: films, pictures and y4m streams."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO

from bitstream_spec import AudioPacket
from nvc.frames import Frame

Target = str | Path | BinaryIO


class VideoWriter(ABC):
    """Takes the frames of one video in display order, and its audio packets as they come.

    Used with `with`, it closes at the end of the block, or aborts if the block fails.
    """

    notices: list[str]
    """One line for each thing that the file cannot hold as it was given."""

    @abstractmethod
    def write(self, item: Frame | AudioPacket) -> None:
        """Write a frame or an audio packet. Raises MediaError if the file cannot take it."""

    @abstractmethod
    def close(self) -> None:
        """Write what is left and finish the file; further calls do nothing."""

    @abstractmethod
    def abort(self) -> None:
        """Release the file unfinished. Never raises; what is left on the disk is the caller's to remove."""

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()
