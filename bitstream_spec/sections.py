"""Each section of a stream, between bytes and values: one build and one parse function per section."""

from __future__ import annotations

from dataclasses import asdict
from enum import IntEnum
from fractions import Fraction
from typing import Any, TypeVar

from bitstream_spec import schema
from bitstream_spec.checks import MAX_SCALE_LOG2, check_range
from bitstream_spec.errors import CorruptStream, UnsupportedStream
from bitstream_spec.header import AudioTrack, Colour, ColourRange, Layer, PixelFormat, StreamHeader
from bitstream_spec.packets import (
    AudioPacket,
    FramePacket,
    FrameType,
    GopHeader,
    SeekPoint,
    Substream,
    Trailer,
)

E = TypeVar("E", bound=IntEnum)

_STILL = 0x0001
_STREAM_RESERVED = 0x00FE
_KEYFRAME = 0x01
_AUDIO_RESERVED = 0x0E
_ORIGIN = SeekPoint(0, 0, 0)


def build_stream_header(header: StreamHeader) -> bytes:
    """Build all bytes before the first unit."""
    matrix = header.display_matrix
    fields = {
        "flags": _STILL if header.is_still else 0,
        "model_id": header.model_id,
        "model_name": header.model_name,
        "width": header.width,
        "height": header.height,
        "pixel_format": header.pixel_format,
        "colour": asdict(header.colour),
        "sample_aspect_ratio": _rational(header.sample_aspect_ratio),
        "time_base": _rational(header.time_base),
        "frame_rate": _rational(header.frame_rate),
        "has_display_matrix": int(matrix is not None),
        "display_matrix": matrix,
        "layers": [asdict(layer) for layer in header.layers],
        "audio_tracks": [
            asdict(track) | {"time_base": _rational(track.time_base)} for track in header.audio_tracks
        ],
        "metadata": [{"key": key, "value": value} for key, value in header.metadata],
    }
    body = schema.build(schema.STREAM_HEADER, fields)
    preamble = {
        "magic": schema.MAGIC,
        "format_version": schema.FORMAT_VERSION,
        "header_length": len(body) + schema.CRC_LENGTH,
    }
    return schema.seal(schema.build(schema.PREAMBLE, preamble) + body)


def parse_preamble(data: bytes) -> int:
    """Check magic and version; return how many bytes of header follow the preamble, unbounded as yet."""

    def convert(fields: Any) -> int:
        if fields.magic != schema.MAGIC:
            raise CorruptStream("not an nvc stream: the file does not begin with its signature")
        if fields.format_version > schema.FORMAT_VERSION:
            raise UnsupportedStream(
                f"stream has format version {fields.format_version}, "
                f"this nvc reads up to {schema.FORMAT_VERSION}; upgrade nvc"
            )
        if fields.format_version == 0:
            raise CorruptStream("stream header: format version 0 was never in use")
        if fields.format_version < schema.FIRST_FORMAT_VERSION:
            raise UnsupportedStream(
                f"stream has format version {fields.format_version}, which no released nvc wrote; "
                "this one cannot read it, encode the video again"
            )
        return int(fields.header_length)

    return schema.parse(schema.PREAMBLE, data, "stream header", convert)


def parse_stream_header(data: bytes) -> StreamHeader:
    """Parse all bytes before the first unit, preamble and CRC-32 included."""
    body = schema.unseal(data, "stream header")[schema.PREAMBLE_LENGTH :]
    return schema.parse(schema.STREAM_HEADER, body, "stream header", _stream_header)


def _stream_header(fields: Any) -> StreamHeader:
    _refuse_reserved(fields.flags, _STREAM_RESERVED, "stream header")
    colour = Colour(
        primaries=fields.colour.primaries,
        transfer=fields.colour.transfer,
        matrix=fields.colour.matrix,
        range=_known(ColourRange, fields.colour.range, "colour range"),
        chroma_location=fields.colour.chroma_location,
    )
    return StreamHeader(
        model_id=fields.model_id,
        model_name=fields.model_name,
        width=fields.width,
        height=fields.height,
        time_base=_fraction("time base", fields.time_base),
        frame_rate=_fraction("frame rate", fields.frame_rate),
        sample_aspect_ratio=_fraction("sample aspect ratio", fields.sample_aspect_ratio),
        pixel_format=_known(PixelFormat, fields.pixel_format, "pixel format"),
        colour=colour,
        display_matrix=None if fields.display_matrix is None else tuple(fields.display_matrix),
        is_still=bool(fields.flags & _STILL),
        layers=tuple(_layer(layer) for layer in fields.layers),
        audio_tracks=tuple(_audio_track(track) for track in fields.audio_tracks),
        metadata=tuple((entry.key, entry.value) for entry in fields.metadata),
    )


def _layer(fields: Any) -> Layer:
    if fields.scale_log2 > MAX_SCALE_LOG2:
        raise UnsupportedStream(f"layer with scale_log2 {fields.scale_log2}, known are 0 to {MAX_SCALE_LOG2}")
    return Layer(fields.scale_log2, fields.qp_offset)


def _audio_track(fields: Any) -> AudioTrack:
    return AudioTrack(
        codec=fields.codec,
        sample_rate=fields.sample_rate,
        channel_layout=fields.channel_layout,
        time_base=_fraction("audio time base", fields.time_base),
        sample_format=fields.sample_format,
        bit_rate=fields.bit_rate,
        frame_size=fields.frame_size,
        initial_padding=fields.initial_padding,
        language=fields.language,
        extradata=fields.extradata,
        codec_tag=fields.codec_tag,
    )


def build_unit(kind: int, body: bytes) -> bytes:
    """Put the unit header before a body."""
    return build_unit_header(kind, len(body)) + body


def build_unit_header(kind: int, length: int) -> bytes:
    """Build the header of a unit with a body of `length` bytes."""
    if length > schema.MAX_UNIT_LENGTH:
        raise ValueError(f"invalid unit length {length} (expected up to {schema.MAX_UNIT_LENGTH})")
    header = schema.build(schema.UNIT_HEADER, {"kind": kind, "length": length})
    return schema.seal_header(header) if schema.has_check(kind, length) else header


def parse_unit_header(data: bytes, where: str) -> tuple[int, int]:
    """Return kind and body length of a unit header without its check, unbounded as yet."""

    def convert(fields: Any) -> tuple[int, int]:
        return int(fields.kind), int(fields.length)

    return schema.parse(schema.UNIT_HEADER, data, where, convert)


def build_gop(gop: GopHeader) -> bytes:
    """Build the body of a GOP unit."""
    return schema.seal(schema.build(schema.GOP, {**asdict(gop), "closed": 1}))


def parse_gop(body: bytes, where: str) -> GopHeader:
    """Parse the body of a GOP unit."""

    def convert(fields: Any) -> GopHeader:
        if fields.closed != 1:
            raise UnsupportedStream(f"{where}: GOP that is not closed (value {fields.closed})")
        return GopHeader(fields.index, fields.first_frame_index, fields.first_pts, fields.frame_duration)

    return schema.parse(schema.GOP, schema.unseal(body, where), where, convert)


def build_frame(
    packet: FramePacket, n_layers: int, expected_pts: int, expected_duration: int
) -> tuple[bytes, bytes]:
    """Build unit header and body of a frame unit; `n_layers` is the stream's.

    A frame that is when and as long as expected does not say so, nor one that has all layers.
    """
    delay = packet.pts - expected_pts
    extras = {
        "reserved": 0,
        "is_keyframe": int(packet.frame_type is FrameType.I),
        "has_quality_map": int(packet.quality_map is not None),
        "has_duration": int(packet.duration != expected_duration),
        "has_delay": int(delay != 0),
        "n_upper_layers": len(packet.layers) - 1,
    }
    has_extras = int(extras != schema.no_extras(n_layers))
    kind = schema.FRAME_UNIT | packet.qp | (schema.HAS_EXTRAS if has_extras else 0)
    fields = {
        "extras": extras,
        "delay": delay,
        "duration": packet.duration,
        "lengths": [len(part.payload) for part in packet.substreams[:-1]],
    }
    header = schema.build(schema.FRAME_HEADER, fields, n_layers=n_layers, has_extras=has_extras)
    quality_map = packet.quality_map.payload if packet.quality_map else b""
    base, *upper = (part.payload for part in packet.layers)
    payloads = quality_map + base + b"".join(map(schema.seal_short, upper))
    if has_extras:
        unit_header = build_unit_header(kind, len(header) + schema.SHORT_CRC_LENGTH + len(payloads))
        return unit_header, schema.seal_short(unit_header + header)[len(unit_header) :] + payloads
    body = header + payloads
    if body == _repetition(n_layers):
        body = b""
    return build_unit_header(kind, len(body)), body


def _repetition(n_layers: int) -> bytes:
    """The body of a frame without extras whose payloads are all empty, if it were not left out."""
    return bytes(n_layers - 1) + schema.seal_short(b"") * (n_layers - 1)


def frame_unit_bytes(packet: FramePacket) -> int:
    """How many bytes a frame that comes on time takes in a stream, with the GOP unit that it may begin."""
    n_bytes = sum(map(len, build_frame(packet, len(packet.layers), packet.pts, packet.duration)))
    if packet.frame_type is FrameType.I:
        n_bytes += len(build_unit(schema.GOP_UNIT, build_gop(GopHeader(0, 0, packet.pts, packet.duration))))
    return n_bytes


def parse_frame(
    unit_header: bytes, body: bytes, where: str, n_layers: int, expected_pts: int, expected_duration: int
) -> FramePacket:
    """Parse unit header and body of a frame unit; `n_layers` is the stream's.

    Layers above the base whose payload is damaged are returned as not intact. Damage to the base layer or the
    quality map, to the qp or, without extras, to any length may go unnoticed until the frame is decoded.
    """
    kind = unit_header[0]
    has_extras = int(kind & schema.HAS_EXTRAS != 0)
    if not body and not has_extras:
        body = _repetition(n_layers)

    def convert(fields: Any) -> FramePacket:
        extras, start = fields.extras, fields.size
        if has_extras:
            start += schema.SHORT_CRC_LENGTH
            if not schema.is_sealed_short(unit_header + body[:start]):
                raise CorruptStream(f"{where}: checksum of its header differs, the bytes were damaged")
        if extras.reserved:
            raise UnsupportedStream(f"{where}: a reserved bit is set; a newer nvc may read this stream")
        rest = len(body) - start - sum(fields.lengths) - schema.SHORT_CRC_LENGTH * extras.n_upper_layers
        if rest < 0:
            raise CorruptStream(
                f"{where}: header and substreams are longer than the unit of {len(body)} bytes"
            )
        substreams = []
        n_unsealed = 1 + extras.has_quality_map
        for place, length in enumerate((*fields.lengths, rest)):
            end = start + length + (schema.SHORT_CRC_LENGTH if place >= n_unsealed else 0)
            is_intact = place < n_unsealed or schema.is_sealed_short(body[start:end])
            substreams.append(Substream(body[start : start + length], is_intact))
            start = end
        quality_map = substreams.pop(0) if extras.has_quality_map else None
        check_range("number of layers in the frame", len(substreams), 1, n_layers)
        return FramePacket(
            frame_type=FrameType.I if extras.is_keyframe else FrameType.P,
            pts=expected_pts + (fields.delay if extras.has_delay else 0),
            duration=fields.duration if extras.has_duration else expected_duration,
            qp=kind & schema.QP_MASK,
            layers=tuple(substreams),
            quality_map=quality_map,
        )

    head = body[: schema.MAX_FRAME_HEADER_LENGTH]
    return schema.parse(schema.FRAME_HEADER, head, where, convert, n_layers=n_layers, has_extras=has_extras)


def build_audio(packet: AudioPacket) -> bytes:
    """Build the body of an audio unit."""
    fields = {
        "track": packet.track,
        "flags": _KEYFRAME if packet.is_keyframe else 0,
        "pts": schema.NO_TIME if packet.pts is None else packet.pts,
        "dts": schema.NO_TIME if packet.dts is None else packet.dts,
        "duration": packet.duration,
        "payload": packet.payload,
    }
    return schema.seal(schema.build(schema.AUDIO, fields))


def parse_audio(body: bytes, where: str) -> AudioPacket:
    """Parse the body of an audio unit."""

    def convert(fields: Any) -> AudioPacket:
        _refuse_reserved(fields.flags, _AUDIO_RESERVED, where)
        return AudioPacket(
            track=fields.track,
            pts=None if fields.pts == schema.NO_TIME else fields.pts,
            dts=None if fields.dts == schema.NO_TIME else fields.dts,
            duration=fields.duration,
            payload=fields.payload,
            is_keyframe=bool(fields.flags & _KEYFRAME),
        )

    return schema.parse(schema.AUDIO, schema.unseal(body, where), where, convert)


def build_trailer(trailer: Trailer) -> bytes:
    """Build the body of the trailer unit, with the tail by which it is found from the end of the file."""
    steps = [
        {
            "frames": point.first_frame_index - before.first_frame_index,
            "ticks": point.pts - before.pts,
            "bytes": point.byte_offset - before.byte_offset,
        }
        for before, point in zip((_ORIGIN, *trailer.seek_index), trailer.seek_index, strict=False)
    ]
    fields = {
        "n_frames": trailer.n_frames,
        "duration": trailer.duration,
        "seek_index": steps,
        "unit_length": 0,
    }
    length = len(schema.build(schema.TRAILER, fields)) + schema.CRC_LENGTH
    fields["unit_length"] = len(build_unit_header(schema.TRAILER_UNIT, length)) + length
    return schema.seal(schema.build(schema.TRAILER, fields))


def parse_trailer(body: bytes, where: str) -> Trailer:
    """Parse the body of the trailer unit."""

    def convert(fields: Any) -> Trailer:
        expected = len(build_unit_header(schema.TRAILER_UNIT, len(body))) + len(body)
        if fields.unit_length != expected:
            raise CorruptStream(f"{where}: tail says {fields.unit_length} bytes, the unit has {expected}")
        points = [_ORIGIN]
        for step in fields.seek_index:
            before = points[-1]
            points.append(
                SeekPoint(
                    before.first_frame_index + step.frames,
                    before.pts + step.ticks,
                    before.byte_offset + step.bytes,
                )
            )
        return Trailer(fields.n_frames, fields.duration, tuple(points[1:]))

    return schema.parse(schema.TRAILER, schema.unseal(body, where), where, convert)


def _known(kind: type[E], value: int, what: str) -> E:
    try:
        return kind(value)
    except ValueError:
        raise UnsupportedStream(f"unknown {what} {value}; a newer nvc may read this stream") from None


def _refuse_reserved(flags: int, reserved: int, where: str) -> None:
    if flags & reserved:
        raise UnsupportedStream(
            f"{where}: reserved flags 0x{flags & reserved:02x} are set; a newer nvc may read this stream"
        )


def _rational(value: Fraction) -> dict[str, int]:
    return {"numerator": value.numerator, "denominator": value.denominator}


def _fraction(what: str, fields: Any) -> Fraction:
    numerator, denominator = int(fields.numerator), int(fields.denominator)
    if denominator == 0 or Fraction(numerator, denominator).denominator != denominator:
        raise ValueError(f"{what} {numerator}/{denominator} is not in lowest terms")
    return Fraction(numerator, denominator)
