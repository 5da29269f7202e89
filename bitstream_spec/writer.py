"""Writing a stream, unit after unit, to any binary file: pipes too, nothing is ever rewritten."""

from __future__ import annotations

from types import TracebackType
from typing import BinaryIO

from bitstream_spec import schema, sections
from bitstream_spec.checks import MAX_SEEK_POINTS, check_range
from bitstream_spec.header import StreamHeader
from bitstream_spec.limits import DEFAULT_LIMITS, Limits
from bitstream_spec.packets import (
    AudioPacket,
    FramePacket,
    FrameType,
    GopHeader,
    Item,
    SeekPoint,
    Trailer,
)


class StreamWriter:
    """Writes one stream: the header at once, then GOP headers, frames and audio, at last the trailer.

    As a context manager it closes the stream unless an exception leaves the block, so that a stream which
    failed half-way stays visibly unfinished. The file itself is the caller's and is never closed here.
    """

    def __init__(self, file: BinaryIO, header: StreamHeader, limits: Limits = DEFAULT_LIMITS) -> None:
        """Write the stream header; raise LimitExceeded if a reader with the same `limits` would refuse it."""
        self.header = header
        self.size_bytes = 0
        self.n_frames = 0
        self._file = file
        self._limits = limits
        self._n_gops = 0
        self._gop: GopHeader | None = None
        self._awaits_keyframe = True
        self._first_pts = 0
        self._last_pts = 0
        self._end_pts = 0
        self._seek_index: list[SeekPoint] = []
        self._seek_step = 1
        self._closed = False
        data = sections.build_stream_header(header)
        limits.check_header(header, len(data))
        self._write(data)

    def write(self, item: Item) -> None:
        """Append an item as StreamReader gives it; a GOP header's counts are made anew."""
        if isinstance(item, GopHeader):
            self.write_gop(item.first_pts, item.frame_duration)
        elif isinstance(item, FramePacket):
            self.write_frame(item)
        else:
            self.write_audio(item)

    def write_gop(self, first_pts: int, frame_duration: int = 0) -> None:
        """Begin a GOP whose first frame, an I frame, will have this pts.

        Frames of that duration which keep to the stream's frame rate take the fewest bytes.
        """
        if self._gop is not None and self._awaits_keyframe:
            raise ValueError("the GOP before has no frame")
        gop = GopHeader(self._n_gops, self.n_frames, first_pts, frame_duration)
        if self._n_gops % self._seek_step == 0:
            self._seek_index.append(SeekPoint(self.n_frames, first_pts, self.size_bytes))
        if len(self._seek_index) > MAX_SEEK_POINTS:
            # The index may be sparse: keep every second entry, so that memory and trailer stay bounded.
            self._seek_index = self._seek_index[::2]
            self._seek_step *= 2
        self._write_sealed(schema.GOP_UNIT, sections.build_gop(gop))
        self._gop = gop
        self._n_gops += 1
        self._awaits_keyframe = True

    def write_frame(self, packet: FramePacket) -> None:
        """Append one frame, in coding order, which is display order: pts must increase."""
        if self._gop is None:
            raise ValueError("the first frame needs a GOP header before it")
        if (packet.frame_type is FrameType.I) != self._awaits_keyframe:
            raise ValueError("a GOP is one I frame and then P frames")
        if self._awaits_keyframe and packet.pts != self._gop.first_pts:
            raise ValueError(
                f"the GOP header says pts {self._gop.first_pts}, its first frame has {packet.pts}"
            )
        if self.n_frames and packet.pts <= self._last_pts:
            raise ValueError(f"pts {packet.pts} after pts {self._last_pts} (expected to increase)")
        n_layers = len(self.header.layers)
        check_range("number of layers in the frame", len(packet.layers), 1, n_layers)
        if self.header.is_still and self.n_frames:
            raise ValueError("a still picture has one frame")
        if not all(part.intact for part in packet.substreams):
            raise ValueError("a damaged layer cannot be written again; drop it")
        expected = self._gop.expected_times(self.n_frames - self._gop.first_frame_index, self.header)
        unit_header, body = sections.build_frame(packet, n_layers, *expected)
        self._write_unit(unit_header, body)
        if not self.n_frames:
            self._first_pts = packet.pts
        self._last_pts = packet.pts
        self._end_pts = packet.pts + packet.duration
        self._awaits_keyframe = False
        self.n_frames += 1

    def write_audio(self, packet: AudioPacket) -> None:
        """Append one audio packet; best next to the frames that are shown at the same time."""
        if packet.track >= len(self.header.audio_tracks):
            raise ValueError(f"invalid track {packet.track} (the header has {len(self.header.audio_tracks)})")
        body = sections.build_audio(packet)
        self._limits.check("max_audio_packet_bytes", len(body), "audio packet length")
        self._write_sealed(schema.AUDIO_UNIT, body)

    def close(self) -> None:
        """Write the trailer. A second call does nothing."""
        if self._closed:
            return
        if self._gop is not None and self._awaits_keyframe:
            raise ValueError("the last GOP has no frame")
        trailer = Trailer(self.n_frames, self._end_pts - self._first_pts, tuple(self._seek_index))
        self._write_sealed(schema.TRAILER_UNIT, sections.build_trailer(trailer))
        self._closed = True

    def __enter__(self) -> StreamWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()

    def _write_sealed(self, kind: int, body: bytes) -> None:
        self._write_unit(sections.build_unit_header(kind, len(body)), body)

    def _write_unit(self, unit_header: bytes, body: bytes) -> None:
        if self._closed:
            raise ValueError("the stream is closed")
        self._limits.check("max_unit_bytes", len(body), "unit length")
        self._write(unit_header + body)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            # Unbuffered files may take less than they are given.
            written = self._file.write(rest)
            rest = rest[written:]
        self.size_bytes += len(data)
