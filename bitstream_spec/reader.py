"""Reading a stream from any binary file, unit after unit; nothing is believed before it was bounded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import BinaryIO

from bitstream_spec import schema, sections
from bitstream_spec.errors import CorruptStream, StreamError, TruncatedStream, UnsupportedStream
from bitstream_spec.gop_search import MAX_UNIT_BYTES, find_gop
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

    Whether a frame's base layer is whole shows only in decoding. If its length was damaged, what follows is
    read wrongly, frames that are none among it, until a fault is met or a whole GOP unit inside of a frame:
    the next call, or resync(), goes on with the next whole GOP, whose frame numbers and times count again.
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
        self._ahead: list[memoryview] = []
        """Bytes from `_position` on that were read from the file already, the next ones last."""
        self._unsure = b""
        """The last bytes before `_position`, if no CRC-32 covers them: a GOP unit may begin there."""
        self.header: StreamHeader = self._read_header()
        self._first_unit = self._position
        self.trailer: Trailer | None = None
        self.finished = False
        self.n_frames = 0
        self._ended = False
        self._n_gops: int | None = 0
        self._gop: GopHeader | None = None
        self._gop_frame = -1
        """First frame of the last GOP whose header was whole; later ones have later frames."""
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
        seen = b""
        while part := self._read(_CHUNK):
            seen = seen[1 - MAX_UNIT_BYTES :] + part
            if self._finds_gop(seen):
                return True
        return False

    def seek(self, point: SeekPoint) -> None:
        """Go on with the GOP header that `point` names; raise CorruptStream if it does not stand there."""
        offset = point.byte_offset
        where = f"GOP at byte {offset}"
        if not self._first_unit <= offset <= self._size() - schema.MIN_UNIT_LENGTH:
            raise CorruptStream(f"{where}: the seek index points outside the stream")
        self._move_to(offset)
        _, kind, length = self._unit_header(where)
        if kind != schema.GOP_UNIT:
            raise CorruptStream(f"{where}: the seek index names it, but it is not there")
        gop = sections.parse_gop(self._body(length, where), where)
        if (gop.first_frame_index, gop.first_pts) != (point.first_frame_index, point.pts):
            raise CorruptStream(
                f"{where}: begins with frame {gop.first_frame_index}, not as the seek index says"
            )
        self._move_to(offset)
        self.finished = False
        self.trailer = None
        self._expect(gop)

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
            head, kind, length = self._unit_header(where)
            is_frame = kind & schema.FRAME_UNIT
            body = self._frame_body(head, length) if is_frame else self._sealed_body(length, where)
        except TruncatedStream:
            if self._allow_unfinished:
                return None
            raise TruncatedStream(
                f"stream ends without its trailer after {self.n_frames} whole frames; "
                "it was cut or never finished"
            ) from None
        self._ended = False
        if is_frame:
            return self._frame(head, body)
        if kind == schema.GOP_UNIT:
            return self._gop_header(head, body, where)
        if kind == schema.AUDIO_UNIT:
            return self._audio(body, where)
        if kind == schema.TRAILER_UNIT:
            self._end(body)
            return None
        if not kind & schema.IGNORABLE:
            raise UnsupportedStream(f"{where}: unknown kind {kind}; a newer nvc may read this stream")
        schema.unseal(body, where)
        return None

    def _frame(self, head: bytes, body: bytes) -> FramePacket:
        index = self.n_frames
        where = f"frame {index}"
        self.n_frames += 1  # damaged or not, it stands in the stream
        gop, self._gop = self._gop, None  # a fault here makes the rest of the GOP unusable
        if 0 < self._limits.max_frames < self.n_frames:
            self._ended = True  # nothing behind it could be delivered either
            self._limits.check("max_frames", self.n_frames, "number of frames")
        if gop is None:
            raise CorruptStream(f"{where}: no whole GOP header and I frame before it")
        expected = gop.expected_times(index - gop.first_frame_index, self.header)
        packet = sections.parse_frame(head, body, where, len(self.header.layers), *expected)
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

    def _gop_header(self, head: bytes, body: bytes, where: str) -> GopHeader:
        before, index = self._gop, self._n_gops
        self._gop = self._n_gops = None
        gop = sections.parse_gop(body, where)
        fault = None
        if before is not None and self._awaits_keyframe:
            fault = f"GOP {before.index} before it has no frame"
        elif gop.first_frame_index != self.n_frames:
            fault = f"GOP of frame {gop.first_frame_index}, expected frame {self.n_frames}"
        elif index is not None and gop.index != index:
            fault = f"GOP {gop.index}, expected GOP {index}"
        if fault is not None:
            if gop.first_frame_index > self._gop_frame:  # it is whole; at fault is what was before it
                self._unread(head + body)
                self._expect(gop)
            raise CorruptStream(f"{where}: {fault}")
        self._n_gops = gop.index + 1
        self._gop = gop
        self._gop_frame = gop.first_frame_index
        self._awaits_keyframe = True
        return gop

    def _audio(self, body: bytes, where: str) -> AudioPacket:
        packet = sections.parse_audio(body, where)
        if packet.track >= len(self.header.audio_tracks):
            raise CorruptStream(f"{where}: audio of track {packet.track}, which the header does not have")
        return packet

    def _finds_gop(self, seen: bytes) -> bool:
        """Whether `seen`, which was read last, holds a GOP unit that may follow; if so, go on with it."""
        found = find_gop(seen, self._gop_frame)
        if found is None:
            return False
        place, gop = found
        self._unread(seen[place:])
        self._expect(gop)
        return True

    def _expect(self, gop: GopHeader) -> None:
        """Go on with this GOP, whose unit is read next, whatever was before it."""
        self._ended = False
        self._unsure = b""
        self.n_frames = gop.first_frame_index
        self._n_gops = None
        self._gop = None
        self._gop_frame = gop.first_frame_index - 1
        self._last_pts = None

    def _end(self, body: bytes) -> None:
        self._ended = True
        self.trailer = trailer = self._trailer(body)
        if self._gop is not None and self._awaits_keyframe:
            raise CorruptStream(f"trailer: GOP {self._gop.index} before it has no frame")
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
        _, kind, length = self._unit_header("trailer")
        if kind != schema.TRAILER_UNIT or self._position + length != size:
            raise CorruptStream("trailer: its tail does not point to it")
        return self._trailer(self._body(length, "trailer"))

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
                _, kind, length = self._unit_header(where)
                end = self._position + length
                if kind == schema.TRAILER_UNIT or end > size:
                    break
                if kind == schema.GOP_UNIT:
                    gop = sections.parse_gop(self._body(length, where), where)
                    points.append(SeekPoint(gop.first_frame_index, gop.first_pts, offset))
            except StreamError:
                break
            offset = end
        return tuple(points)

    def _unit_header(self, where: str) -> tuple[bytes, int, int]:
        """Read a unit header; returns its bytes, kind, and length of the body, which is within the limits."""
        head = self._read(2)
        while len(head) > 1 and head[-1] & 0x80 and len(head) <= schema.MAX_LENGTH_BYTES:
            more = self._read(1)
            if not more:
                break
            head += more
        if len(head) < 2 or (head[-1] & 0x80 and len(head) <= schema.MAX_LENGTH_BYTES):
            raise TruncatedStream(f"{where}: the stream ends within its header")
        try:
            kind, length = sections.parse_unit_header(head, where)
            if schema.has_check(kind, length):
                check = self._read(1)
                if not check:
                    raise TruncatedStream(f"{where}: the stream ends within its header")
                is_right = schema.seal_header(head) == head + check
                head += check
                if not is_right:
                    raise CorruptStream(f"{where}: checksum of its header differs, the bytes were damaged")
            name = "max_audio_packet_bytes" if kind == schema.AUDIO_UNIT else "max_unit_bytes"
            self._limits.check(name, length, f"{where}: length")
        except StreamError:
            self._unread(self._unsure + head)  # resync() may find something in it
            self._unsure = b""
            raise
        return head, kind, length

    def _frame_body(self, head: bytes, length: int) -> bytes:
        """Read the body of a frame; where a GOP unit is found in it, go on there and raise CorruptStream."""
        where = f"frame {self.n_frames}"
        parts = []
        seen, part = self._unsure, head
        while True:
            seen = seen[1 - MAX_UNIT_BYTES :] + part
            if self._finds_gop(seen):
                raise CorruptStream(f"{where}: damaged, a GOP begins within it")
            if not length:
                break
            part = self._read(min(length, _CHUNK))
            if not part:
                raise TruncatedStream("the stream ends within a frame")
            parts.append(part)
            length -= len(part)
        self._unsure = seen[1 - MAX_UNIT_BYTES :]
        return b"".join(parts)

    def _sealed_body(self, length: int, where: str) -> bytes:
        """Read the body of another unit; if its CRC-32 is not right, look for a GOP unit in a short one."""
        body = self._read(length)
        is_whole = len(body) == length and schema.is_sealed(body)
        self._unsure = b"" if is_whole else body[1 - MAX_UNIT_BYTES :]
        if not is_whole and len(body) <= _CHUNK and self._finds_gop(body):
            raise CorruptStream(f"{where}: damaged, a GOP begins within it")
        if len(body) < length:
            raise TruncatedStream(f"{where}: the stream ends within it")
        return body

    def _body(self, length: int, where: str) -> bytes:
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
        self._ahead = []
        self._unsure = b""

    def _unread(self, data: bytes) -> None:
        """Let `data`, which was read last, be read again."""
        self._ahead.append(memoryview(data))
        self._position -= len(data)

    def _read(self, size: int) -> bytes:
        """Read `size` bytes, or all that are left."""
        chunks: list[bytes | memoryview] = []
        while size:
            chunk: bytes | memoryview
            if self._ahead:
                chunk = self._ahead.pop()
                if len(chunk) > size:
                    self._ahead.append(chunk[size:])
                    chunk = chunk[:size]
            else:
                chunk = self._file.read(min(size, _CHUNK))
            if not chunk:
                break
            chunks.append(chunk)
            size -= len(chunk)
            self._position += len(chunk)
        return b"".join(chunks)
