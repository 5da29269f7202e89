"""Reading a stream from any binary file, unit after unit; nothing is believed before it was bounded."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from bitstream_spec import schema, sections
from bitstream_spec.errors import CorruptStream, StreamError, TruncatedStream, UnsupportedStream
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

_CHUNK = 1 << 16
"""Most bytes asked for at once: a length that lies costs no more memory than this."""


_GOP_MARKER = re.compile(
    b"|".join(
        re.escape(sections.build_unit_header(schema.GOP_UNIT, length))
        for length in range(schema.MIN_GOP_LENGTH, schema.MAX_GOP_LENGTH + 1)
    ),
    re.DOTALL,
)
"""Any header of a GOP unit."""


class StreamReader(Iterator[Item]):
    """Iterates over the GOP headers, frames and audio packets of one stream, in file order.

    It needs only read(), so pipes work; read_seek_index() and seek() need a seekable file.
    When the trailer is read, `trailer` is set; if it fits what was before it, `finished` is True.
    `n_frames` counts frames as they pass.

    Iteration raises CorruptStream, UnsupportedStream or LimitExceeded about one unit. If the fault is inside
    a unit, the next call goes on with the unit after it, so a caller may skip to the next GopHeader. If it is
    in a unit header, iteration is over until resync() or seek(). A stream without a trailer raises
    TruncatedStream after its last whole unit, or just ends there with `allow_unfinished`. A damaged upper
    layer raises, too, unless `strict` is False: then it is delivered with `intact` False.
    """

    def __init__(
        self,
        file: BinaryIO,
        limits: Limits = DEFAULT_LIMITS,
        *,
        allow_unfinished: bool = False,
        strict: bool = True,
    ) -> None:
        """Read the stream header; raise a StreamError if it cannot be used."""
        self._file = file
        self._limits = limits
        self._allow_unfinished = allow_unfinished
        self._strict = strict
        self._start = file.tell() if file.seekable() else 0
        self._position = 0
        self._ahead = b""
        """Bytes from `_position` on that were read from the file already."""
        self.header: StreamHeader = self._read_header()
        self._first_unit = self._position
        self.trailer: Trailer | None = None
        self.finished = False
        self.n_frames = 0
        self._ended = False
        self._n_gops: int | None = 0
        self._gop: GopHeader | None = None
        self._awaits_keyframe = True
        self._last_pts: int | None = None

    def __iter__(self) -> StreamReader:
        return self

    def __next__(self) -> Item:
        while not self._ended:
            item = self._next_unit()
            if item is not None:
                return item
        raise StopIteration

    def read_trailer(self) -> Trailer | None:
        """Return the trailer of a seekable file, without moving in it; None if it is missing or damaged."""
        before = self._position
        try:
            return self._trailer_from_tail(self._size())
        except StreamError:
            return None
        finally:
            self._move_to(before)

    def read_seek_index(self) -> tuple[SeekPoint, ...]:
        """Return the seek points of a seekable file, without moving in it.

        They come from the trailer; if it is missing or damaged, all unit headers are visited instead.
        """
        trailer = self.read_trailer()
        if trailer is not None:
            return trailer.seek_index
        before = self._position
        try:
            return self._scan(self._size())
        finally:
            self._move_to(before)

    def resync(self) -> bool:
        """After a fault, make sure that iteration goes on: at the next whole GOP header if need be.

        Returns False if the bytes hold none. Works in pipes, too: what is passed over is read, not sought.
        """
        if not self._ended or self.trailer is not None:
            return not self._ended
        data, place = b"", 0
        while True:
            found = _GOP_MARKER.search(data, place)
            place = found.start() if found else max(place, len(data) - schema.MIN_UNIT_HEADER_LENGTH + 1)
            length = data[place + 1] if found else 0
            start = place + schema.MIN_UNIT_HEADER_LENGTH
            if found and start + length <= len(data):
                if self._goes_on_with(data[start : start + length]):
                    self._unread(data[place:])
                    return True
                place += 1
            else:
                more = self._read(_CHUNK)
                if not more and not found:
                    return False
                if not more:
                    place += 1  # a mark too near the end
                data, place = data[place:] + more, 0

    def seek(self, point: SeekPoint) -> None:
        """Go on with the GOP header that `point` names; raise CorruptStream if it does not stand there."""
        offset = point.byte_offset
        where = f"GOP at byte {offset}"
        if not self._first_unit <= offset <= self._size() - schema.MIN_UNIT_HEADER_LENGTH:
            raise CorruptStream(f"{where}: the seek index points outside the stream")
        self._move_to(offset)
        kind, length = self._unit_header(where)
        if kind != schema.GOP_UNIT:
            raise CorruptStream(f"{where}: the seek index names it, but it is not there")
        gop = sections.parse_gop(self._body(kind, length, where), where)
        if (gop.first_frame_index, gop.first_pts) != (point.first_frame_index, point.pts):
            raise CorruptStream(
                f"{where}: begins with frame {gop.first_frame_index}, not as the seek index says"
            )
        self._move_to(offset)
        self._ended = self.finished = False
        self.trailer = None
        self.n_frames = gop.first_frame_index
        self._n_gops = None
        self._gop = None
        self._last_pts = None

    def _read_header(self) -> StreamHeader:
        preamble = self._read(schema.PREAMBLE_LENGTH)
        if not schema.MAGIC.startswith(preamble[: len(schema.MAGIC)]):
            raise CorruptStream("not an nvc stream: the file does not begin with its signature")
        if len(preamble) < schema.PREAMBLE_LENGTH:
            raise TruncatedStream(f"stream ends within its header, after {len(preamble)} bytes")
        length = sections.parse_preamble(preamble)
        self._limits.check("max_header_bytes", schema.PREAMBLE_LENGTH + length, "stream header length")
        rest = self._read(length)
        if len(rest) < length:
            raise TruncatedStream(f"stream ends within its header, after {self._position} bytes")
        header = sections.parse_stream_header(preamble + rest)
        self._limits.check_header(header, self._position)
        return header

    def _next_unit(self) -> Item | None:
        where = f"unit at byte {self._position}"
        self._ended = True  # until the unit header proved sound: nothing can be found behind a damaged one
        try:
            kind, length = self._unit_header(where)
            body = self._body(kind, length, where)
        except TruncatedStream:
            if self._allow_unfinished:
                return None
            raise TruncatedStream(
                f"stream ends without its trailer after {self.n_frames} whole frames; "
                "it was cut or never finished"
            ) from None
        self._ended = False
        if kind & schema.FRAME_UNIT:
            return self._frame(kind, body)
        if kind == schema.GOP_UNIT:
            return self._gop_header(body, where)
        if kind == schema.AUDIO_UNIT:
            return self._audio(body, where)
        if kind == schema.TRAILER_UNIT:
            self._end(body)
            return None
        if not kind & schema.IGNORABLE:
            raise UnsupportedStream(f"{where}: unknown kind {kind}; a newer nvc may read this stream")
        schema.unseal(body, where)
        return None

    def _frame(self, kind: int, body: bytes) -> FramePacket:
        index = self.n_frames
        where = f"frame {index}"
        self.n_frames += 1  # damaged or not, it stands in the stream
        gop, self._gop = self._gop, None  # a fault here makes the rest of the GOP unusable
        if 0 < self._limits.max_frames < self.n_frames:
            self._ended = True  # nothing behind it could be delivered either
            self._limits.check("max_frames", self.n_frames, "number of frames")
        if gop is None:
            raise CorruptStream(f"{where}: no whole GOP header and I frame before it")
        expected_pts = gop.expected_pts(index - gop.first_frame_index, self.header)
        n_layers = len(self.header.layers)
        packet = sections.parse_frame(kind, body, where, n_layers, expected_pts, gop.frame_duration)
        is_keyframe = packet.frame_type is FrameType.I
        if is_keyframe != self._awaits_keyframe:
            raise CorruptStream(
                f"{where}: {packet.frame_type.name} frame, but a GOP is one I frame and then P frames"
            )
        if is_keyframe and packet.pts != gop.first_pts:
            raise CorruptStream(f"{where}: pts {packet.pts}, its GOP header says {gop.first_pts}")
        if self._last_pts is not None and packet.pts <= self._last_pts:
            raise CorruptStream(f"{where}: pts {packet.pts} after pts {self._last_pts}")
        if self.header.is_still and index:
            raise CorruptStream(f"{where}: a second frame in a still picture")
        if self._strict and packet.n_whole_layers < len(packet.layers):
            raise CorruptStream(f"{where}: layer {packet.n_whole_layers} is damaged")
        self._gop = gop
        self._awaits_keyframe = False
        self._last_pts = packet.pts
        return packet

    def _gop_header(self, body: bytes, where: str) -> GopHeader:
        self._check_gop_has_frame(where)
        index, self._n_gops = self._n_gops, None
        self._gop = None
        gop = sections.parse_gop(body, where)
        if gop.first_frame_index != self.n_frames:
            raise CorruptStream(
                f"{where}: GOP of frame {gop.first_frame_index}, expected frame {self.n_frames}"
            )
        if index is not None and gop.index != index:
            raise CorruptStream(f"{where}: GOP {gop.index}, expected GOP {index}")
        self._n_gops = gop.index + 1
        self._gop = gop
        self._awaits_keyframe = True
        return gop

    def _check_gop_has_frame(self, where: str) -> None:
        gop = self._gop
        if gop is not None and self._awaits_keyframe:
            self._gop = None
            raise CorruptStream(f"{where}: GOP {gop.index} before it has no frame")

    def _audio(self, body: bytes, where: str) -> AudioPacket:
        packet = sections.parse_audio(body, where)
        if packet.track >= len(self.header.audio_tracks):
            raise CorruptStream(f"{where}: audio of track {packet.track}, which the header does not have")
        return packet

    def _goes_on_with(self, body: bytes) -> bool:
        """Whether this is the body of a GOP unit that may follow what was read; if so, expect its frames."""
        try:
            gop = sections.parse_gop(body, "GOP")
        except StreamError:
            return False
        if gop.first_frame_index < self.n_frames:
            return False
        self._ended = False
        self.n_frames = gop.first_frame_index
        self._n_gops = None
        self._gop = None
        return True

    def _end(self, body: bytes) -> None:
        self._ended = True
        self.trailer = trailer = self._trailer(body)
        self._check_gop_has_frame("trailer")
        if trailer.n_frames != self.n_frames:
            raise CorruptStream(f"trailer says {trailer.n_frames} frames, the stream has {self.n_frames}")
        if self._read(1):
            raise CorruptStream(f"bytes follow the end of the stream at byte {self._position - 1}")
        self.finished = True

    def _trailer_from_tail(self, size: int) -> Trailer:
        self._move_to(max(0, size - schema.TAIL_LENGTH))
        tail = self._read(schema.TAIL_LENGTH)
        unit_length = int.from_bytes(tail[:4], "little")
        if tail[4:8] != schema.TAIL_MAGIC or unit_length > size:
            raise TruncatedStream("no trailer at the end of the stream")
        self._move_to(size - unit_length)
        kind, length = self._unit_header("trailer")
        if kind != schema.TRAILER_UNIT or self._position + length != size:
            raise CorruptStream("trailer: its tail does not point to it")
        return self._trailer(self._body(kind, length, "trailer"))

    def _trailer(self, body: bytes) -> Trailer:
        trailer = sections.parse_trailer(body, "trailer")
        self._limits.check("max_seek_points", len(trailer.seek_index), "number of seek points")
        return trailer

    def _scan(self, size: int) -> tuple[SeekPoint, ...]:
        points = []
        offset = self._first_unit
        while True:
            where = f"unit at byte {offset}"
            self._move_to(offset)
            try:
                kind, length = self._unit_header(where)
            except TruncatedStream:
                break
            end = self._position + length
            if kind == schema.TRAILER_UNIT or end > size:
                break
            if kind == schema.GOP_UNIT:
                gop = sections.parse_gop(self._body(kind, length, where), where)
                points.append(SeekPoint(gop.first_frame_index, gop.first_pts, offset))
            offset = end
        return tuple(points)

    def _unit_header(self, where: str) -> tuple[int, int]:
        head = self._read(2)
        while len(head) > 1 and head[-1] & 0x80 and len(head) <= schema.MAX_LENGTH_BYTES:
            more = self._read(1)
            if not more:
                break
            head += more
        check = self._read(1)
        if not check:
            raise TruncatedStream(f"{where}: the stream ends within its header")
        try:
            return sections.parse_unit_header(head + check, where)
        except StreamError:
            self._unread((head + check)[1:])  # resync() may find something in it
            raise

    def _body(self, kind: int, length: int, where: str) -> bytes:
        name = "max_audio_packet_bytes" if kind == schema.AUDIO_UNIT else "max_unit_bytes"
        self._limits.check(name, length, f"{where}: length")
        body = self._read(length)
        if len(body) < length:
            raise TruncatedStream(f"{where}: the stream ends within it")
        return body

    def _size(self) -> int:
        """Bytes of the stream in a seekable file; leaves the file anywhere."""
        return self._file.seek(0, os.SEEK_END) - self._start

    def _move_to(self, position: int) -> None:
        self._file.seek(self._start + position)
        self._position = position
        self._ahead = b""

    def _unread(self, data: bytes) -> None:
        """Let `data`, which was read last, be read again."""
        self._ahead = data + self._ahead
        self._position -= len(data)

    def _read(self, size: int) -> bytes:
        """Read `size` bytes, or all that are left."""
        chunks = []
        while size:
            if self._ahead:
                chunk, self._ahead = self._ahead[:size], self._ahead[size:]
            else:
                chunk = self._file.read(min(size, _CHUNK))
            if not chunk:
                break
            chunks.append(chunk)
            size -= len(chunk)
            self._position += len(chunk)
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)
