"""Takes layers out of a .nvc file without decoding it."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from bitstream_spec import DEFAULT_LIMITS, CorruptStream, FramePacket, Limits, StreamWriter
from nvc.files.decoding import check_layers
from nvc.files.pending import check_target, pending_file
from nvc.files.source import open_stream


@dataclass(frozen=True)
class ExtractSummary:
    """What an extraction made; n_layers: of the input."""

    input: str
    output: str
    layers: int
    n_layers: int
    n_frames: int
    input_bytes: int
    size_bytes: int


def extract(
    input: str | Path,
    output: str | Path,
    *,
    layers: int,
    limits: Limits = DEFAULT_LIMITS,
    overwrite: bool = False,
) -> ExtractSummary:
    """Copy the stream `input`, "-" is standard input, to `output` without the layers above so many.

    The result decodes to what `decode` with the same `layers` makes of the input; sound and all else are
    kept. Raises StreamError, and leaves no output, where what is kept is damaged, but for damage to base
    layers: that shows in decoding alone and is passed on. Raises ConfigError if the input has fewer layers,
    MediaError if a file cannot be read or written.
    """
    check_target(output, input, overwrite=overwrite)
    with contextlib.ExitStack() as stack:
        source = stack.enter_context(open_stream(input))
        reader = source.reader(limits)
        check_layers(layers, reader.header)
        file = stack.enter_context(pending_file(output))
        writer = stack.enter_context(StreamWriter(file, reader.header, limits))
        for item in reader:
            if isinstance(item, FramePacket):
                item = item.with_layers(min(layers, len(item.layers)))
                if item.n_whole_layers < len(item.layers):
                    raise CorruptStream(f"frame {writer.n_frames}: layer {item.n_whole_layers} is damaged")
            writer.write(item)
        writer.close()
    return ExtractSummary(
        input=str(input),
        output=str(output),
        layers=layers,
        n_layers=len(reader.header.layers),
        n_frames=writer.n_frames,
        input_bytes=source.n_read,
        size_bytes=writer.size_bytes,
    )
