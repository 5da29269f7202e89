"""Video in and out, through FFmpeg: frames, their facts, and copied audio packets.

Nothing here knows of networks or of the .nvc format beyond its plain data types.
"""

from __future__ import annotations

from nvc.media.info import VideoInfo
from nvc.media.output import open_output
from nvc.media.reader import VideoReader, open_video
from nvc.media.writer import VideoWriter

__all__ = ["VideoInfo", "VideoReader", "VideoWriter", "open_output", "open_video"]
