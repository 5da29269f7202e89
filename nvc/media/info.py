"""What a video file says about its pictures, apart from the pictures."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from bitstream_spec import Colour


@dataclass(frozen=True)
class VideoInfo:
    """The facts that travel beside the frames, from the input file to the output file.

    `colour` describes the 8-bit 4:2:0 frames that are handed on, so it may differ from the file's own tags
    where pixels were converted. None means that the file does not say.
    """

    width: int
    height: int
    time_base: Fraction
    """Unit of every frame's pts and duration, in seconds."""
    frame_rate: Fraction | None = None
    """Average frame rate; frames of a variable-rate video are placed by their pts alone."""
    sample_aspect_ratio: Fraction | None = None
    colour: Colour = Colour()  # noqa: RUF009  (frozen)
    display_matrix: tuple[int, ...] | None = None
    """Rotation and flip to apply on display: nine int32 in the layout of FFmpeg's side data."""
    n_frames: int | None = None
    """How many frames to expect, as far as the container tells."""
    is_still: bool = False
    metadata: tuple[tuple[str, str], ...] = ()
    """Title, date and the like: what the container says about the whole file."""

    def require_size(self, width: int, height: int) -> None:
        """Raise ValueError if a frame of this size does not belong to this video."""
        if (width, height) != (self.width, self.height):
            raise ValueError(f"frame of {width}x{height}, expected {self.width}x{self.height}")
