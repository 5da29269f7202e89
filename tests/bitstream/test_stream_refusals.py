"""Each thing a reader or a writer refuses, with the words it uses."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
from stream_samples import HEADER, ITEMS, Item, build, frame, read

from bitstream_spec import (
    AudioPacket,
    AudioTrack,
    Colour,
    CorruptStream,
    FramePacket,
    FrameType,
    GopHeader,
    Layer,
    LimitExceeded,
    Limits,
    SeekPoint,
    StreamError,
    StreamHeader,
    StreamReader,
    StreamWriter,
    Substream,
    Trailer,
    TruncatedStream,
    UnsupportedStream,
    schema,
)
from bitstream_spec.sections import (
    build_audio,
    build_frame,
    build_gop,
    build_stream_header,
    build_trailer,
    build_unit,
)

HEADER_BYTES = build_stream_header(HEADER)
I_FRAME = frame(FrameType.I, -512)
P_FRAME = frame(FrameType.P, 0)
GOP = build_unit(schema.GOP_UNIT, build_gop(GopHeader(0, 0, -512, 512)))


def frame_unit(packet: FramePacket, expected_pts: int = -512) -> bytes:
    return b"".join(build_frame(packet, 2, expected_pts, 512))


def patched_header(offset: int, new: bytes, header: StreamHeader | None = None) -> bytes:
    """A stream header with some bytes of its body replaced and a right checksum."""
    data = bytearray(build_stream_header(header or dataclasses.replace(HEADER, model_name="tiny"))[:-4])
    start = schema.PREAMBLE_LENGTH + offset
    data[start : start + len(new)] = new
    return schema.seal(bytes(data))


def refused(kind: type[StreamError], message: str, data: bytes, limits: Limits | None = None) -> None:
    with pytest.raises(kind, match=message) as caught:
        list(StreamReader(io.BytesIO(data), limits or Limits()))
    assert "\n" not in str(caught.value)


# Offsets into the body of HEADER: flags 0, model name 10, width 15, pixel format 19, colour 20, rationals 25.
@pytest.mark.parametrize(
    ("kind", "message", "data"),
    [
        (TruncatedStream, "within its header, after 0 bytes", b""),
        (CorruptStream, "not an nvc stream", b"\x00\x00\x00\x18ftypisom"),
        (CorruptStream, "not an nvc stream", b"x"),
        (
            UnsupportedStream,
            "format version 8, this nvc reads up to 7; upgrade",
            schema.MAGIC + b"\x08\0" + bytes(4),
        ),
        (UnsupportedStream, "version 1, which no released nvc wrote", schema.MAGIC + b"\1\0" + bytes(4)),
        (UnsupportedStream, "version 6, which no released nvc wrote", schema.MAGIC + b"\6\0" + bytes(4)),
        (CorruptStream, "version 0", schema.MAGIC + bytes(6)),
        (CorruptStream, "no room for a checksum|checksum differs", schema.MAGIC + b"\7\0" + bytes(4)),
        (UnsupportedStream, "reserved flags 0x02", patched_header(0, b"\x02\x00")),
        (CorruptStream, "model_name", patched_header(11, b"../x")),
        (CorruptStream, "invalid width 0", patched_header(15, b"\0\0")),
        (CorruptStream, "invalid height 0", patched_header(17, b"\0\0")),
        (UnsupportedStream, "unknown pixel format 9", patched_header(19, b"\x09")),
        (UnsupportedStream, "unknown colour range 3", patched_header(23, b"\x03")),
        (CorruptStream, "sample aspect ratio 2/4 is not in lowest", patched_header(25, b"\2\4")),
        (CorruptStream, "time base 1/0 is not", patched_header(27, b"\1\x80\0")),
        (CorruptStream, "invalid time_base 0", patched_header(27, b"\x80\0\1")),
        (CorruptStream, "has_display_matrix", patched_header(32, b"\2")),
        (CorruptStream, "n_layers", patched_header(69, b"\0")),
        (CorruptStream, "n_layers", patched_header(69, b"\5")),
        (UnsupportedStream, "layer with scale_log2 2", patched_header(70, b"\2")),
        (CorruptStream, "layer scales", patched_header(70, b"\0\0\1")),
        (CorruptStream, "invalid qp_offset 64", patched_header(71, b"\x40")),
        (CorruptStream, "n_audio_tracks", patched_header(74, b"\x11")),
    ],
)
def test_stream_header(kind: type[StreamError], message: str, data: bytes) -> None:
    refused(kind, message, data)


def test_unused_flags_are_ignored() -> None:
    assert StreamReader(io.BytesIO(patched_header(0, b"\x00\xff"))).header == HEADER


def test_bytes_left_in_the_header() -> None:
    body = HEADER_BYTES[schema.PREAMBLE_LENGTH : -4] + b"more"
    start = schema.MAGIC + b"\7\0" + (len(body) + 4).to_bytes(4, "little")
    refused(CorruptStream, "stream header", schema.seal(start + body))


def sealed_unit(kind: int, body: bytes) -> bytes:
    return build_unit(kind, schema.seal(body))


def patched_frame(offset: int, new: int) -> bytes:
    """An I frame of an empty layer whose header has one byte replaced and a right checksum."""
    bare = dataclasses.replace(I_FRAME, layers=(Substream(b""),), quality_map=Substream(b""))
    unit_header, body = build_frame(bare, 2, -512, 512)
    data = bytearray(body[:-2])
    data[offset] = new
    return GOP + schema.seal_short(unit_header + bytes(data))


def three_layers() -> bytes:
    """An I frame with one layer more than the stream has."""
    kind = schema.FRAME_UNIT | schema.HAS_EXTRAS
    return schema.seal_short(bytes((kind, 9)) + b"\x22\0\0") + schema.seal_short(b"") * 2


def damaged_header() -> bytes:
    """An I frame whose header's checksum is not right."""
    unit_header, body = build_frame(I_FRAME, 2, -512, 512)
    size = 1 + 2  # extras, two lengths
    return GOP + unit_header + body[:size] + bytes((body[size] ^ 1,)) + body[size + 1 :]


# Offsets: extras 0, length of the quality map 1.
@pytest.mark.parametrize(
    ("kind", "message", "units"),
    [
        (UnsupportedStream, "unknown kind 5; a newer nvc", sealed_unit(5, b"")),
        (UnsupportedStream, "unknown kind 0;", sealed_unit(0, b"")),
        (CorruptStream, "no room for a checksum", build_unit(0x85, b"abc")),
        (CorruptStream, "checksum differs", build_unit(0x85, b"abcdefgh")),
        (UnsupportedStream, "not closed", sealed_unit(1, bytes(5))),
        (CorruptStream, "GOP of frame 1, expected frame 0", build_unit(1, build_gop(GopHeader(0, 1, 0)))),
        (CorruptStream, "GOP 1, expected GOP 0", build_unit(1, build_gop(GopHeader(1, 0, 0)))),
        (CorruptStream, "GOP 0 before it has no frame", GOP + build_unit(1, build_gop(GopHeader(1, 0, 0)))),
        (CorruptStream, "GOP 0 before it has no frame", GOP + build_unit(4, build_trailer(Trailer(0, 0)))),
        (CorruptStream, "frame 0: no whole GOP header", frame_unit(I_FRAME)),
        (CorruptStream, "frame 0: no whole GOP header and I frame", frame_unit(P_FRAME)),
        (CorruptStream, "frame 0: P frame, but a GOP is", GOP + frame_unit(P_FRAME)),
        (CorruptStream, "frame 1: I frame, but a GOP is", GOP + frame_unit(I_FRAME) + frame_unit(I_FRAME)),
        (CorruptStream, "pts -511, its GOP header says -512", GOP + frame_unit(frame(FrameType.I, -511))),
        (
            CorruptStream,
            "pts -512 after",
            GOP + frame_unit(I_FRAME) + frame_unit(frame(FrameType.P, -512), 0),
        ),
        (UnsupportedStream, "frame 0: a reserved bit", patched_frame(0, 0x70)),
        (CorruptStream, "longer than the unit of 4 bytes", patched_frame(0, 0x31)),
        (CorruptStream, "number of layers in the frame 3", GOP + three_layers()),
        (CorruptStream, "longer than the unit of 4 bytes", patched_frame(1, 1)),
        (CorruptStream, "frame 0: checksum of its header differs", damaged_header()),
        (
            CorruptStream,
            "checksum of its header differs",
            GOP + build_unit(schema.FRAME_UNIT, b"")[:2] + b"?",
        ),
        (
            CorruptStream,
            "frame 0: damaged, a GOP begins within",
            build_unit(schema.FRAME_UNIT, b"ab" + GOP + b"c"),
        ),
        (CorruptStream, "track 1, which", build_unit(3, build_audio(AudioPacket(1, 0, 0, 0, b"")))),
        (UnsupportedStream, "reserved flags 0x02", sealed_unit(3, b"\0\2" + bytes(24))),
        (
            CorruptStream,
            "trailer says 1 frames, the stream has 0",
            build_unit(4, build_trailer(Trailer(1, 0))),
        ),
        (CorruptStream, "tail says 0 bytes", sealed_unit(4, bytes(7) + schema.TAIL_MAGIC)),
        (CorruptStream, "tail_magic", sealed_unit(4, bytes(11))),
        (CorruptStream, "n_seek_points", sealed_unit(4, bytes(2) + b"\x81\x80\x04" + bytes(8))),
    ],
)
def test_unit(kind: type[StreamError], message: str, units: bytes) -> None:
    refused(kind, message, HEADER_BYTES + units)


def test_ignorable_unit_is_skipped() -> None:
    data = build()
    for insert in (len(HEADER_BYTES), len(HEADER_BYTES) + len(GOP)):
        assert tuple(read(data[:insert] + sealed_unit(0xBF, b"news") + data[insert:])) == ITEMS


def test_bytes_after_the_trailer() -> None:
    refused(CorruptStream, "bytes follow the end", build() + b"\0")


def test_second_frame_of_a_still() -> None:
    header = build_stream_header(dataclasses.replace(HEADER, is_still=True))
    refused(
        CorruptStream, "second frame in a still", header + GOP + frame_unit(I_FRAME) + frame_unit(P_FRAME)
    )


@pytest.mark.parametrize(
    "name",
    [
        "max_pixels",
        "max_header_bytes",
        "max_unit_bytes",
        "max_audio_packet_bytes",
        "max_layers",
        "max_extradata_bytes",
        "max_metadata_bytes",
        "max_seek_points",
        "max_frames",
    ],
)
def test_each_limit(name: str) -> None:
    refused(LimitExceeded, f"over the limit of 1; raise {name} if", build(), Limits(**{name: 1}))


def test_limits_on_lists() -> None:
    tracks = dataclasses.replace(HEADER, audio_tracks=HEADER.audio_tracks * 2)
    refused(LimitExceeded, "audio tracks is 2", build(tracks), Limits(max_audio_tracks=1))
    metadata = dataclasses.replace(HEADER, metadata=HEADER.metadata * 2)
    refused(LimitExceeded, "metadata entries is 2", build(metadata), Limits(max_metadata_entries=1))


def test_absurd_picture() -> None:
    data = build_stream_header(dataclasses.replace(HEADER, width=65535, height=65535))
    refused(LimitExceeded, "65535x65535 pixels is 4294836225, over the limit of 33554432", data)


def test_limit_on_frames_ends_the_reading() -> None:
    reader = StreamReader(io.BytesIO(build()), Limits(max_frames=3))
    assert [next(reader) for _ in ITEMS[:-1]] == list(ITEMS[:-1])
    with pytest.raises(LimitExceeded, match="number of frames is 4, over the limit of 3"):
        next(reader)
    assert list(reader) == []


def test_nonsense_limit() -> None:
    with pytest.raises(ValueError, match="invalid max_pixels 0"):
        Limits(max_pixels=0)


def test_writer_keeps_to_the_limits() -> None:
    with pytest.raises(LimitExceeded, match="picture size"):
        StreamWriter(io.BytesIO(), dataclasses.replace(HEADER, width=65535, height=65535))


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("invalid width 0", lambda: dataclasses.replace(HEADER, width=0)),
        ("invalid model_id length 3", lambda: dataclasses.replace(HEADER, model_id=b"abc")),
        ("invalid model_name", lambda: dataclasses.replace(HEADER, model_name="../weights")),
        ("invalid time_base 0", lambda: dataclasses.replace(HEADER, time_base=Fraction(0))),
        ("invalid frame_rate", lambda: dataclasses.replace(HEADER, frame_rate=Fraction(-1))),
        ("invalid display_matrix length", lambda: dataclasses.replace(HEADER, display_matrix=(1,))),
        ("invalid display_matrix element", lambda: dataclasses.replace(HEADER, display_matrix=(2**31,) * 9)),
        ("invalid number of layers 5", lambda: dataclasses.replace(HEADER, layers=(Layer(),) * 5)),
        ("invalid layer scales", lambda: dataclasses.replace(HEADER, layers=(Layer(0), Layer(1)))),
        ("invalid metadata key length 0", lambda: dataclasses.replace(HEADER, metadata=(("", "x"),))),
        ("invalid primaries 256", lambda: Colour(256)),
        ("invalid codec", lambda: AudioTrack("", 1, "mono", Fraction(1))),
        ("invalid codec", lambda: AudioTrack("a\n", 1, "mono", Fraction(1))),
        ("invalid sample_rate 0", lambda: AudioTrack("aac", 0, "mono", Fraction(1))),
        ("invalid qp -1", lambda: dataclasses.replace(I_FRAME, qp=-1)),
        ("invalid number of layers to keep 3", lambda: I_FRAME.with_layers(3)),
        ("not in increasing order", lambda: Trailer(2, 0, (SeekPoint(1, 1, 1), SeekPoint(0, 2, 2)))),
    ],
)
def test_nonsense_value(message: str, make: Callable[[], Any]) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("message", "items"),
    [
        ("needs a GOP header", (I_FRAME,)),
        ("one I frame and then P", (ITEMS[0], P_FRAME)),
        ("one I frame and then P", (ITEMS[0], I_FRAME, frame(FrameType.I, 0))),
        ("the GOP before has no frame", (ITEMS[0], ITEMS[0])),
        ("the last GOP has no frame", (ITEMS[0],)),
        ("its first frame has 0", (ITEMS[0], frame(FrameType.I, 0))),
        ("pts -512 after pts -512", (ITEMS[0], I_FRAME, frame(FrameType.P, -512))),
        (
            "number of layers in the frame 3",
            (ITEMS[0], FramePacket(FrameType.I, -512, 0, 0, (Substream(b""),) * 3)),
        ),
        ("invalid track 1", (AudioPacket(1, 0, 0, 0, b""),)),
        (
            "damaged layer",
            (
                ITEMS[0],
                dataclasses.replace(I_FRAME, layers=(I_FRAME.layers[0], Substream(b"", intact=False))),
            ),
        ),
    ],
)
def test_writer_refuses(message: str, items: tuple[Item, ...]) -> None:
    with pytest.raises(ValueError, match=message):
        build(items=items)


def test_writer_refuses_a_second_frame_of_a_still() -> None:
    with pytest.raises(ValueError, match="a still picture has one frame"):
        build(dataclasses.replace(HEADER, is_still=True))


def test_writer_is_done_after_close() -> None:
    writer = StreamWriter(io.BytesIO(), HEADER)
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write_gop(0)


def test_failed_encoding_stays_unfinished() -> None:
    file = io.BytesIO()
    with pytest.raises(KeyError), StreamWriter(file, HEADER):
        raise KeyError
    refused(TruncatedStream, "after 0 whole frames", file.getvalue())
