"""Turns FFmpeg's pictures of any pixel format into 8-bit 4:2:0 planes, and planes into FFmpeg's pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import VideoReformatter

from bitstream_spec import Colour, ColourRange
from nvc.errors import MediaError
from nvc.frames import Frame, Plane

_PLANAR_420 = {"yuv420p", "yuvj420p", "yuva420p"}
_INTERLEAVED_420 = {"nv12": (0, 1), "nv21": (1, 0)}
_BT601 = 6
_SWS_BT601 = 5
_SWS_MATRICES = {1: 1, 4: 4, 7: 7, 9: 9}
"""swscale's number of each H.273 matrix that is not BT.601."""
_RGB_MATRIX = 0
_NEUTRAL_CHROMA = 128
# swscale's SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT: the same samples on every machine.
_SCALER_FLAGS = 4 | 0x40000 | 0x80000


class PlaneReader:
    """Converts the pictures of one video; 8-bit 4:2:0 samples pass through untouched.

    Other formats go through swscale. RGB becomes BT.601 limited range, a grey picture keeps its luma; all
    else keeps its matrix and range. `colour` is what then holds for the planes, `notices` says what was done.
    """

    def __init__(self, first: VideoFrame, colour: Colour) -> None:
        self._reformatter = VideoReformatter()
        self.notices: list[str] = []
        name = first.format.name
        if first.format.is_rgb or name == "pal8":
            colour = replace(colour, matrix=_BT601, range=ColourRange.LIMITED)
        elif colour.range is ColourRange.UNSPECIFIED and (name.startswith("yuvj") or _is_grey(first)):
            colour = replace(colour, range=ColourRange.FULL)
        if colour.matrix == _RGB_MATRIX:
            colour = replace(colour, matrix=_BT601)
        self.colour = colour
        if name in _PLANAR_420 | set(_INTERLEAVED_420):
            if name == "yuva420p":
                self.notices.append("left out the alpha plane")
        elif _is_grey(first):
            self.notices.append(f"converted {name} to 8-bit 4:2:0 with neutral chroma")
        else:
            alpha = ", without alpha" if _has_alpha(name) else ""
            self.notices.append(f"converted {name} to 8-bit 4:2:0{alpha}")

    def read(self, picture: VideoFrame) -> tuple[Plane, Plane, Plane]:
        """Return copies of the Y, U and V planes. Raises MediaError if they cannot be converted."""
        name = picture.format.name
        if name in _PLANAR_420:
            return _plane(picture, 0), _plane(picture, 1), _plane(picture, 2)
        if name in _INTERLEAVED_420:
            chroma = _plane(picture, 1, samples_per_pixel=2)
            u, v = _INTERLEAVED_420[name]
            return _plane(picture, 0), chroma[:, u::2].copy(), chroma[:, v::2].copy()
        if _is_grey(picture):
            luma = _plane(self._convert(picture, "gray"), 0)
            shape = (luma.shape[0] + 1) // 2, (luma.shape[1] + 1) // 2
            return luma, np.full(shape, _NEUTRAL_CHROMA, np.uint8), np.full(shape, _NEUTRAL_CHROMA, np.uint8)
        if picture.format.is_rgb or name == "pal8":
            converted = self._convert(
                picture, "yuv420p", src_color_range=2, dst_color_range=1, dst_colorspace=_SWS_BT601
            )
        else:
            converted = self._convert(picture, "yuv420p")
        return _plane(converted, 0), _plane(converted, 1), _plane(converted, 2)

    def _convert(self, picture: VideoFrame, format_name: str, **colours: int) -> VideoFrame:
        if picture.format.name == format_name:
            return picture
        try:
            return self._reformatter.reformat(
                picture, format=format_name, interpolation=_SCALER_FLAGS, **colours
            )
        except (av.FFmpegError, ValueError) as exc:
            raise MediaError(f"cannot convert pictures of pixel format {picture.format.name}") from exc


def to_picture(frame: Frame, format_name: str = "yuv420p") -> VideoFrame:
    """Copy the planes into a picture for FFmpeg, without times."""
    picture = VideoFrame(frame.width, frame.height, format_name)
    for target, plane in zip(picture.planes, frame.planes, strict=True):
        rows, columns = plane.shape
        padded = np.zeros((target.buffer_size // target.line_size, target.line_size), np.uint8)
        padded[:rows, :columns] = plane
        target.update(padded.tobytes())
    return picture


def _plane(picture: VideoFrame, index: int, samples_per_pixel: int = 1) -> Plane:
    plane: VideoPlane = picture.planes[index]
    rows: np.ndarray[Any, np.dtype[np.uint8]] = np.frombuffer(memoryview(plane), np.uint8)
    rows = rows[: plane.height * plane.line_size].reshape(plane.height, plane.line_size)
    return rows[:, : plane.width * samples_per_pixel].copy()


def _is_grey(picture: VideoFrame) -> bool:
    return picture.format.name.startswith("gray") or picture.format.name in {"ya8", "ya16le", "ya16be"}


def _has_alpha(name: str) -> bool:
    return name.startswith(("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya", "pal8"))


def to_coded_picture(frame: Frame, colour: Colour, format_name: str) -> VideoFrame:
    """Convert the planes to the format of a picture file: "rgb24", or "yuvj420p" (full range BT.601)."""
    picture = to_picture(frame)
    limited = colour.range is not ColourRange.FULL
    matrix = _SWS_MATRICES.get(colour.matrix, _SWS_BT601)
    if format_name == "yuvj420p" and not limited and matrix == _SWS_BT601:
        return to_picture(frame, format_name)
    return VideoReformatter().reformat(
        picture,
        format=format_name,
        src_colorspace=matrix,
        dst_colorspace=_SWS_BT601,
        src_color_range=1 if limited else 2,
        dst_color_range=2,
        interpolation=_SCALER_FLAGS,
    )
