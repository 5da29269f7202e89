"""What is fuzzed: functions of any bytes that must return, soon, whatever the bytes are.

Each returns whether the bytes were accepted. What a stream may do wrong leaves the project as StreamError
or NvcError and is caught here; any other exception is a finding.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from fuzz_reference import ReferenceRansDecoder

from bitstream_spec import (
    CorruptStream,
    FramePacket,
    GopHeader,
    Limits,
    StreamError,
    StreamHeader,
    StreamReader,
    StreamWriter,
)
from bitstream_spec.packets import Item
from nvc.decoder import Decoder
from nvc.entropy.rans import RansCoder, continued_payload
from nvc.entropy.tables import CdfTables
from nvc.errors import NvcError
from nvc.model_store import find_model, load_model

HERE = Path(__file__).resolve().parent
SYMBOLS_MAX = 600  # the reference decoder is slow
DECODER_LIMITS = Limits(max_pixels=1 << 12, max_frames=3)
"""Bounds the time of one input; networks do the same work at any size."""


def parse(data: bytes) -> bool:
    """Read a stream and on behind its faults; what is accepted must survive writing and reading it again."""
    try:
        reader = StreamReader(io.BytesIO(data), strict=False, allow_unfinished=True)
    except StreamError:
        return False
    items, n_faults = read_on(reader)
    frames = [item for item in items if isinstance(item, FramePacket)]
    if n_faults or not reader.finished or not all(part.intact for f in frames for part in f.substreams):
        return False
    file = io.BytesIO()
    with StreamWriter(file, reader.header) as writer:
        for item in items:
            writer.write(item)
    again = StreamReader(io.BytesIO(file.getvalue()))
    assert (again.header, list(again)) == (reader.header, items)
    return True


def seek(data: bytes) -> bool:
    """Read the seek index, from the end or by a scan, and go to every place that it names."""
    try:
        reader = StreamReader(io.BytesIO(data))
        index = reader.read_seek_index()
    except StreamError:
        return False
    n_found = 0
    for point in index:
        try:
            reader.seek(point)
        except StreamError:
            continue
        gop = next(reader)
        assert isinstance(gop, GopHeader)
        assert (gop.first_frame_index, gop.first_pts) == (point.first_frame_index, point.pts)
        n_found += 1
    return n_found > 0


def read_on(reader: StreamReader) -> tuple[list[Item], int]:
    """Read to the end, behind every fault that leaves a way on; the items and the number of faults."""
    items: list[Item] = []
    n_faults = 0
    while True:
        try:
            items.append(next(reader))
        except StopIteration:
            return items, n_faults
        except StreamError:
            n_faults += 1


@lru_cache(maxsize=2)
def tables(kind: int) -> CdfTables:
    """The tables of the weights `tiny`, or legal ones in which nearly everything escapes."""
    if not kind:
        model = load_model("tiny").coder
        cdfs = [np.array(cdf) for cdf in model.lists[0]]
        halves = [np.diff(cdf)[len(cdf) // 2 - 1 : -1] for cdf in cdfs]
        return CdfTables(
            np.concatenate(halves).astype(np.int32), np.array([len(h) for h in halves], np.int32)
        )
    rows = [[1], [1, 1], [60000], [1, 30000], [40000, 1, 12000]] * 13
    flat = np.array([f for row in rows for f in row], np.int32)
    return CdfTables(flat, np.array([len(row) for row in rows], np.int32))


@lru_cache(maxsize=2)
def coder(kind: int) -> RansCoder:
    return RansCoder(tables(kind))


def decode_symbols(data: bytes) -> bool:
    """Decode symbols from a payload; the first bytes say how many were promised, are asked for, and of what.

    Layout: u8 tables, u16 symbols promised, u16 symbols asked for, u8 pops, u8 first row, u8 step of rows.
    """
    if len(data) < 8:
        return False
    kind, n_pops, first, step = data[0] & 1, 1 + data[5] % 4, data[6], data[7]
    n_promised = int.from_bytes(data[1:3], "little") % SYMBOLS_MAX
    n_asked = int.from_bytes(data[3:5], "little") % SYMBOLS_MAX
    payload = data[8:]
    rows = (first + step * torch.arange(n_asked)).remainder(64).int()
    decoder = coder(kind).decoder(payload)
    decoder.expect(n_promised)
    symbols: list[int] = []
    try:
        readable = continued_payload(payload, n_promised)
        for part in rows.tensor_split(n_pops):
            symbols += decoder.pop(part).tolist()
    except CorruptStream:
        return False
    if symbols:
        reference = ReferenceRansDecoder(readable, tables(kind))
        for symbol, row in zip(symbols, rows.tolist(), strict=True):
            expected = reference.decode(row)
            assert expected is None or symbol == expected
    return True


@lru_cache(maxsize=1)
def tiny_id() -> bytes:
    return bytes.fromhex(find_model("tiny").model_id)


def with_tiny(header: StreamHeader) -> StreamHeader:
    """The header with the weights of today: committed inputs outlive those that they were made with."""
    return replace(header, model_id=tiny_id())


def decode_stream(data: bytes) -> bool:
    """Decode all frames that can be decoded; checksums of pictures are not compared, so none ends it."""
    try:
        reader = StreamReader(io.BytesIO(data), DECODER_LIMITS, strict=False, allow_unfinished=True)
        decoder = Decoder(with_tiny(reader.header), threads=1, verify=False)
    except (StreamError, NvcError):
        return False
    n_decoded = 0
    while True:
        try:
            item = next(reader)
            if isinstance(item, FramePacket):
                frame = decoder.decode(item)
                assert (frame.width, frame.height) == (reader.header.width, reader.header.height)
                n_decoded += 1
        except StopIteration:
            return n_decoded > 0
        except (StreamError, NvcError):
            continue


TARGETS: dict[str, Callable[[bytes], bool]] = {
    "parser": parse,
    "seek": seek,
    "entropy": decode_symbols,
    "decoder": decode_stream,
}


def seeds(target: str) -> list[Path]:
    """Committed inputs of a target: its corpus and what once failed."""
    if target == "decoder":
        own = [HERE.parent / "golden" / f"v7_{name}.nvc" for name in ("gops", "odd", "one_pixel", "layers")]
    else:
        own = sorted((HERE / "corpus" / ("entropy" if target == "entropy" else "streams")).iterdir())
    return [*own, *sorted((HERE / "regressions").glob(f"{target}-*"))]
