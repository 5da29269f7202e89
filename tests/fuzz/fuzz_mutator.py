"""Mutates a stream inside its checksums, so that what lies behind them is reached.

A stream is taken apart without believing it, one part is changed, and all lengths and checksums are made
anew around the change.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from random import Random

from construct import ConstructError

from bitstream_spec import StreamError, schema, sections

MutateBytes = Callable[[bytes], bytes]
Unit = tuple[int, bytes]
"""Kind and body; the body of all but frames without its CRC-32."""


def take_apart(data: bytes) -> tuple[bytes, list[Unit]]:
    """Body of the stream header and the units; stops quietly where there is no sense."""
    start = schema.PREAMBLE_LENGTH
    position = start + int.from_bytes(data[start - 4 : start], "little")
    header, units = data[start : max(start, position - schema.CRC_LENGTH)], []
    while position + schema.MIN_UNIT_LENGTH <= len(data):
        kind, length, shift = data[position], 0, 0
        position += 1
        while position < len(data):
            byte = data[position]
            position += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                break
        position += schema.has_check(kind, length)
        body = data[position : position + length]
        units.append((kind, body if kind & schema.FRAME_UNIT else body[: -schema.CRC_LENGTH]))
        position += length
    return header, units


def put_together(header: bytes, units: list[Unit]) -> bytes:
    """A stream of these parts with right lengths and checksums."""
    length = len(header) + schema.CRC_LENGTH
    start = schema.MAGIC + schema.FORMAT_VERSION.to_bytes(2, "little") + length.to_bytes(4, "little")
    return schema.seal(start + header) + b"".join(_unit(kind, body) for kind, body in units)


@lru_cache(maxsize=1 << 12)
def _unit(kind: int, body: bytes) -> bytes:
    if kind & schema.FRAME_UNIT:
        return sealed_frame(kind, body)
    tail = schema.TAIL_LENGTH - schema.CRC_LENGTH
    if kind == schema.TRAILER_UNIT and len(body) >= tail:
        length = len(body) + schema.CRC_LENGTH
        length += len(sections.build_unit_header(kind, length))
        body = body[:-tail] + length.to_bytes(4, "little") + schema.TAIL_MAGIC
    return sections.build_unit(kind, schema.seal(body))


def mutate_stream(data: bytes, random: Random, mutate_bytes: MutateBytes) -> bytes:
    """Change one part of a stream; the header's, a unit's or a payload's bytes by `mutate_bytes`."""
    header, units = take_apart(data)
    for _ in range(random.choice((1, 1, 2, 4))):
        action = random.randrange(12)
        if action == 0:
            header = mutate_bytes(header)
        elif not units:
            break
        elif action == 1:
            units.insert(random.randrange(len(units) + 1), random.choice(units))
        elif action == 2:
            del units[random.randrange(len(units))]
        else:
            place = random.randrange(len(units))
            kind, body = units[place]
            if kind & schema.FRAME_UNIT:
                kind, body = mutate_frame(kind, body, _n_layers(header), random, mutate_bytes)
            elif action < 5:
                body = mutate_bytes(body)
            units[place] = kind, body
    return put_together(header, units)


def sealed_frame(kind: int, body: bytes) -> bytes:
    """A frame unit whose header_crc16, if it is to have one and its header can be read, is right."""
    unit_header = sections.build_unit_header(kind, len(body))
    if kind & schema.HAS_EXTRAS:
        try:
            size = schema.FRAME_HEADER.parse(body[: schema.MAX_FRAME_HEADER_LENGTH], has_extras=1).size
        except ConstructError:
            return unit_header + body
        if len(body) >= size + schema.SHORT_CRC_LENGTH:
            header = schema.seal_short(unit_header + body[:size])
            return header + body[size + schema.SHORT_CRC_LENGTH :]
    return unit_header + body


def mutate_frame(
    kind: int, body: bytes, n_layers: int, random: Random, mutate_bytes: MutateBytes
) -> tuple[int, bytes]:
    """Change the kind, the header, or a payload of a frame; the checksums of payloads fit again."""
    try:
        head = body[: schema.MAX_FRAME_HEADER_LENGTH]
        has_extras = int(kind & schema.HAS_EXTRAS != 0)
        fields = schema.FRAME_HEADER.parse(head, n_layers=n_layers, has_extras=has_extras)
    except ConstructError:
        return kind, mutate_bytes(body)
    extras, qp = fields.extras, kind & schema.QP_MASK
    position, payloads = fields.size + schema.SHORT_CRC_LENGTH * has_extras, []
    n_crc_bytes = schema.SHORT_CRC_LENGTH * extras.n_upper_layers
    rest = len(body) - position - sum(fields.lengths) - n_crc_bytes
    for length in (*fields.lengths, max(0, rest)):
        payloads.append(body[position : position + length])
        # the quality map and the base layer have no checksum
        has_crc = len(payloads) > 1 + extras.has_quality_map
        position += length + schema.SHORT_CRC_LENGTH * has_crc
    action = random.randrange(8)
    if action == 0:
        qp = random.randrange(64)
    elif action == 1:
        extras.is_keyframe = random.randrange(2)
        extras.n_upper_layers = random.choice((0, 0, 1))
    elif action == 2:
        extras.has_quality_map ^= 1
    elif action == 3:
        extras.has_delay = extras.has_duration = 1
        fields.duration, fields.delay = random.choice((0, 1, 2**32)), random.choice((-1, 0, 1, 2, 2**62))
    else:
        place = random.randrange(len(payloads))
        payloads[place] = mutate_bytes(payloads[place])
    has_extras = int(extras != schema.no_extras(n_layers))
    kind = schema.FRAME_UNIT | qp | (schema.HAS_EXTRAS if has_extras else 0)
    n_payloads = 1 + extras.has_quality_map + extras.n_upper_layers
    payloads = [*payloads, b"", b""][:n_payloads]
    fields.lengths = [len(payload) for payload in payloads[:-1]]
    header = schema.build(schema.FRAME_HEADER, fields, n_layers=n_layers, has_extras=has_extras)
    n_first = 1 + extras.has_quality_map
    header += bytes(schema.SHORT_CRC_LENGTH * has_extras)  # for sealed_frame to fill
    return kind, header + b"".join(payloads[:n_first] + list(map(schema.seal_short, payloads[n_first:])))


@lru_cache(maxsize=64)
def _n_layers(header: bytes) -> int:
    try:
        return len(schema.parse(schema.STREAM_HEADER, header, "stream header", lambda fields: fields.layers))
    except StreamError:
        return 1
