"""Tells what a .nvc file holds without decoding a picture; needs no networks."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

from bitstream_spec import (
    DEFAULT_LIMITS,
    FORMAT_VERSION,
    AudioPacket,
    AudioTrack,
    FramePacket,
    GopHeader,
    Limits,
    StreamError,
    StreamReader,
)
from nvc.files.source import CountingFile, open_stream
from nvc.files.summary import FrameTally, StreamInfo

CUT_SHORT = "cut short or never finished: the end is missing"


def read_info(input: str | Path, *, limits: Limits = DEFAULT_LIMITS) -> StreamInfo:
    """Read through the stream `input`, "-" is standard input, and count what is in it.

    A stream that is cut short or seen to be damaged is counted up to there, see `fault`; damage to base
    layers shows in decoding alone, see `verify`. Raises StreamError if not even its header can be used or it
    is over the `limits`, MediaError if the file cannot be read.
    """
    with open_stream(input) as file:
        reader = file.reader(limits, allow_unfinished=True)
        count = _Count(reader, file)
        fault = count.run()
    header, tally = reader.header, count.tally
    video_bytes = file.size_bytes - count.audio_bytes
    return StreamInfo(
        input=str(input),
        size_bytes=file.size_bytes,
        format_version=FORMAT_VERSION,
        model_name=header.model_name,
        model_id=header.model_id_hex,
        width=header.width,
        height=header.height,
        pixel_format=header.pixel_format.name.lower(),
        colour={name: int(code) for name, code in asdict(header.colour).items()},
        sample_aspect_ratio=_ratio(header.sample_aspect_ratio),
        frame_rate=_ratio(header.frame_rate),
        time_base=_ratio(header.time_base),
        display_matrix=header.display_matrix,
        is_still=header.is_still,
        layers=tuple(asdict(layer) for layer in header.layers),
        audio_tracks=tuple(_track(track) for track in header.audio_tracks),
        metadata=dict(header.metadata),
        n_frames=tally.n_frames,
        n_gops=count.n_gops,
        frame_types=tally.frame_types,
        substream_bytes=count.substream_bytes,
        audio_bytes=count.audio_bytes,
        duration_s=tally.duration_s,
        bpp=tally.bpp(video_bytes),
        bitrate_kbps=tally.bitrate_kbps(video_bytes),
        finished=reader.finished,
        fault=fault,
    )


class _Count:
    """Sums up the bytes of a stream by what they are for."""

    def __init__(self, reader: StreamReader, file: CountingFile) -> None:
        self.tally = FrameTally(reader.header)
        self.n_gops = 0
        self.audio_bytes = 0
        self.substream_bytes: dict[str, int] = {}
        self._reader = reader
        self._file = file

    def run(self) -> str | None:
        """Read to the end; return why that is not the proper end of the stream."""
        gop_bytes = 0
        before = self._file.n_read
        try:
            for item in self._reader:
                size_bytes = self._file.n_read - before
                before = self._file.n_read
                if isinstance(item, GopHeader):
                    self.n_gops += 1
                    gop_bytes = size_bytes
                elif isinstance(item, AudioPacket):
                    self.audio_bytes += size_bytes
                else:
                    self._add_frame(item, gop_bytes + size_bytes)
                    gop_bytes = 0
        except StreamError as error:
            return str(error)
        return None if self._reader.finished else CUT_SHORT

    def _add_frame(self, packet: FramePacket, size_bytes: int) -> None:
        self.tally.add(packet, size_bytes)
        named = {f"layer_{i}": layer for i, layer in enumerate(packet.layers)}
        if packet.quality_map is not None:
            named["quality_map"] = packet.quality_map
        for name, part in named.items():
            self.substream_bytes[name] = self.substream_bytes.get(name, 0) + len(part.payload)


def _ratio(value: Fraction) -> str:
    """Write 0, which means unknown, as an empty text."""
    return f"{value.numerator}/{value.denominator}" if value else ""


def _track(track: AudioTrack) -> dict[str, Any]:
    return asdict(track) | {"time_base": _ratio(track.time_base), "extradata": len(track.extradata)}
