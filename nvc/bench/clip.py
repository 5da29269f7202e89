"""The clips of a benchmark: their first frames as raw planes on the disk, read as they are needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from uuid import uuid4

import numpy as np

from nvc.errors import ConfigError, MediaError
from nvc.frames import Frame
from nvc.media import VideoInfo, open_output, open_video


@dataclass(frozen=True)
class Clip:
    """The first frames of a video, as a raw file of Y, U and V planes that stays where it is."""

    name: str
    raw: Path
    width: int
    height: int
    frame_rate: Fraction
    n_frames: int
    md5: str
    """Of the raw planes, frame after frame: two clips with one md5 are the same pictures."""

    @property
    def frame_bytes(self) -> int:
        return self.width * self.height + 2 * _chroma_size(self.width, self.height)

    def __iter__(self) -> Iterator[Frame]:
        for index in range(self.n_frames):
            yield self[index]

    def __getitem__(self, index: int) -> Frame:
        """Map one frame; its pts is its index."""
        if not 0 <= index < self.n_frames:
            raise IndexError(index)
        return raw_frame(self.raw, self.width, self.height, index)

    def write_y4m(self, path: Path) -> Path:
        """Write the clip as y4m, for programs that read no raw planes; an existing file is kept."""
        if not path.exists():
            info = VideoInfo(
                width=self.width,
                height=self.height,
                time_base=1 / self.frame_rate,
                frame_rate=self.frame_rate,
                n_frames=self.n_frames,
            )
            partial = path.with_suffix(f".{uuid4().hex}.part")  # another job may write the same
            with open_output(str(partial), info, format="y4m") as writer:
                for frame in self:
                    writer.write(frame)
            partial.replace(path)
        return path


def load_clip(path: str | Path, n_frames: int | None, folder: Path) -> Clip:
    """Decode the first `n_frames` (all of them if None) of a video into a raw file in `folder`.

    A shorter video gives a shorter clip. Raises MediaError if there is no frame to read.
    """
    name = Path(path).stem
    raw = folder / f"{name}.yuv"
    digest = hashlib.md5(usedforsecurity=False)
    count = 0
    with open_video(path, n_frames=n_frames) as reader, raw.open("wb") as file:
        for item in reader:
            if isinstance(item, Frame):
                count += 1
                for plane in item.planes:
                    data = plane.tobytes()
                    digest.update(data)
                    file.write(data)
        info = reader.info
    if count == 0:
        raise MediaError(f"cannot use {path}: it has no frames")
    rate = info.frame_rate or Fraction(25)
    return Clip(name, raw, info.width, info.height, rate, count, digest.hexdigest())


def raw_frame(path: Path, width: int, height: int, index: int) -> Frame:
    """Map frame `index` of a file of raw 8-bit 4:2:0 planes."""
    luma, chroma = width * height, _chroma_size(width, height)
    size = luma + 2 * chroma
    data = np.memmap(path, np.uint8, "r", index * size, (size,))
    shape = (height + 1) // 2, (width + 1) // 2
    return Frame(
        np.asarray(data[:luma]).reshape(height, width),
        np.asarray(data[luma : luma + chroma]).reshape(shape),
        np.asarray(data[luma + chroma :]).reshape(shape),
        pts=index,
        duration=1,
    )


def raw_frames(path: Path, width: int, height: int) -> Iterator[Frame]:
    """Map the frames of a file of raw planes. Raises MediaError if it ends within a frame."""
    size = width * height + 2 * _chroma_size(width, height)
    n_frames, rest = divmod(path.stat().st_size, size)
    if rest:
        raise MediaError(f"{path.name} holds {n_frames} frames of {width}x{height} and {rest} bytes more")
    for index in range(n_frames):
        yield raw_frame(path, width, height, index)


def unique_names(paths: Sequence[Path]) -> None:
    """Raise ConfigError if two clips would have one name in the results."""
    seen: dict[str, Path] = {}
    for path in paths:
        if path.stem in seen:
            raise ConfigError(f"{seen[path.stem]} and {path} have one name: rename one of them")
        seen[path.stem] = path


def _chroma_size(width: int, height: int) -> int:
    return ((width + 1) // 2) * ((height + 1) // 2)
