"""How much a reader is willing to believe: bounds that are checked before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass, fields

from bitstream_spec.errors import LimitExceeded
from bitstream_spec.header import StreamHeader


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one stream. The defaults suit files from strangers; raise them for files you trust."""

    max_pixels: int = 2**25  # width x height; room for 8K video. A decoder takes some 300 bytes for each
    max_header_bytes: int = 2**20  # stream header; room for texts and codec headers
    max_unit_bytes: int = 2**26  # body of one unit; several raw 4K pictures
    max_audio_packet_bytes: int = 2**22  # body of one audio unit; 10 s of 8-channel 48 kHz PCM
    max_layers: int = 4  # per stream; the format's own bound
    max_audio_tracks: int = 16  # per stream; the format's own bound
    max_extradata_bytes: int = 2**16  # per audio track; codec headers are under 10 kB in practice
    max_metadata_entries: int = 256  # per stream; FFmpeg files have some dozens
    max_metadata_bytes: int = 2**18  # keys and values together, UTF-8; room for lyrics, not for pictures
    max_seek_points: int = 65536  # entries of the seek index; the format's own bound
    max_frames: int = 0  # per stream, 0 = unlimited; memory does not grow with it, time does

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            lowest = 0 if field.name == "max_frames" else 1
            if value < lowest:
                raise ValueError(f"invalid {field.name} {value} (expected >= {lowest})")

    def check(self, name: str, value: int, what: str) -> None:
        """Raise LimitExceeded if `value` is over the limit called `name`; `what` says whose value it is."""
        limit: int = getattr(self, name)
        if value > limit:
            raise LimitExceeded(
                f"{what} is {value}, over the limit of {limit}; raise {name} if you trust the file"
            )

    def check_header(self, header: StreamHeader, size_bytes: int) -> None:
        """Raise LimitExceeded if the stream header, built to `size_bytes`, is over any of its limits."""
        self.check("max_header_bytes", size_bytes, "stream header length")
        pixels = header.width * header.height
        self.check("max_pixels", pixels, f"picture size of {header.width}x{header.height} pixels")
        self.check("max_layers", len(header.layers), "number of layers")
        self.check("max_audio_tracks", len(header.audio_tracks), "number of audio tracks")
        for track in header.audio_tracks:
            self.check("max_extradata_bytes", len(track.extradata), "audio extradata length")
        self.check("max_metadata_entries", len(header.metadata), "number of metadata entries")
        text = sum(len(key.encode()) + len(value.encode()) for key, value in header.metadata)
        self.check("max_metadata_bytes", text, "metadata length")


DEFAULT_LIMITS = Limits()
