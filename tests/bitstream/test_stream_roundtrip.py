"""What is written is read back, byte for byte and value for value."""

from __future__ import annotations

import io
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import headers, streams
from stream_samples import HEADER, ITEMS, build, read

from bitstream_spec import FramePacket, StreamHeader, StreamReader, StreamWriter, Substream
from bitstream_spec.sections import build_stream_header, parse_stream_header

quick = settings(deadline=None, max_examples=60)


def test_sample_stream() -> None:
    data = build()
    reader = StreamReader(io.BytesIO(data))
    assert reader.header == HEADER
    assert not reader.finished
    assert tuple(reader) == ITEMS
    assert reader.finished
    assert reader.trailer is not None
    assert (reader.n_frames, reader.trailer.n_frames, reader.trailer.duration) == (4, 4, 2124)
    assert build(reader.header, ITEMS) == data


@quick
@given(headers)
def test_any_header(header: StreamHeader) -> None:
    data = build_stream_header(header)
    assert parse_stream_header(data) == header
    assert build_stream_header(parse_stream_header(data)) == data


@quick
@given(streams())
def test_any_stream(stream: tuple[StreamHeader, Any]) -> None:
    header, items = stream
    data = build(header, items)
    reader = StreamReader(io.BytesIO(data))
    assert (reader.header, tuple(reader)) == (header, items)
    assert build(reader.header, items) == data


@quick
@given(streams(), st.data())
def test_any_stream_with_layers_dropped(stream: tuple[StreamHeader, Any], data: st.DataObject) -> None:
    header, items = stream
    smaller = tuple(
        item.with_layers(data.draw(st.integers(1, len(item.layers))))
        if isinstance(item, FramePacket)
        else item
        for item in items
    )
    assert tuple(read(build(header, smaller))) == smaller


def test_empty_stream() -> None:
    assert read(build(items=())) == []


class Trickle(io.RawIOBase):
    """A pipe that gives and takes at most three bytes at a time and cannot seek."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = bytearray(data)

    def read(self, size: int = -1) -> bytes:
        part = bytes(self.data[: min(size, 3)])
        del self.data[: len(part)]
        return part

    def write(self, data: Any) -> int:
        self.data += data[:3]
        return min(len(data), 3)


def test_pipes_with_short_reads_and_writes() -> None:
    pipe: Any = Trickle()
    with StreamWriter(pipe, HEADER) as writer:
        writer.write(ITEMS[0])
        writer.write_frame(ITEMS[1])  # type: ignore[arg-type]
    assert writer.n_frames == 1
    assert tuple(StreamReader(pipe)) == ITEMS[:2]


def test_long_index_is_thinned() -> None:
    file = io.BytesIO()
    header = StreamHeader(HEADER.model_id, "tiny", 1, 1, HEADER.time_base)
    writer = StreamWriter(file, header)
    writer._seek_step = 2
    for pts in range(5):
        writer.write_gop(pts)
        writer.write_frame(FramePacket(ITEMS[1].frame_type, pts, 1, 0, (Substream(b""),)))  # type: ignore[union-attr]
    writer.close()
    points = StreamReader(io.BytesIO(file.getvalue())).read_seek_index()
    assert [point.first_frame_index for point in points] == [0, 2, 4]
