"""Hypothesis strategies for headers, packets and whole streams."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import strategies as st

from bitstream_spec import (
    AudioPacket,
    AudioTrack,
    Colour,
    ColourRange,
    FramePacket,
    FrameType,
    GopHeader,
    Layer,
    StreamHeader,
    Substream,
)

u8 = st.integers(0, 255)
u32 = st.integers(0, 2**32 - 1)
times = st.integers(-(2**61), 2**61)
positive = st.builds(Fraction, st.integers(1, 2**32 - 1), st.integers(1, 2**32 - 1))
rationals = st.just(Fraction(0)) | positive
ascii_texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=32)
colours = st.builds(Colour, u8, u8, u8, st.sampled_from(ColourRange), u8)
layer_tables = st.lists(
    st.builds(Layer, st.integers(0, 1), st.integers(-63, 63)), min_size=1, max_size=4
).map(lambda layers: tuple(sorted(layers, key=lambda layer: -layer.scale_log2)))
audio_tracks = st.builds(
    AudioTrack,
    codec=ascii_texts.filter(bool),
    sample_rate=st.integers(1, 2**32 - 1),
    channel_layout=ascii_texts,
    time_base=positive,
    sample_format=ascii_texts,
    bit_rate=st.integers(0, 2**64 - 1),
    frame_size=u32,
    initial_padding=u32,
    language=ascii_texts,
    extradata=st.binary(max_size=40),
    codec_tag=u32,
)
headers = st.builds(
    StreamHeader,
    model_id=st.binary(min_size=8, max_size=8),
    model_name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}", fullmatch=True),
    width=st.integers(1, 8192),
    height=st.integers(1, 4096),
    time_base=positive,
    frame_rate=rationals,
    sample_aspect_ratio=rationals,
    colour=colours,
    display_matrix=st.none() | st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 9),
    is_still=st.booleans(),
    layers=layer_tables,
    audio_tracks=st.lists(audio_tracks, max_size=3).map(tuple),
    metadata=st.lists(st.tuples(st.text(min_size=1, max_size=9), st.text(max_size=20)), max_size=4).map(
        tuple
    ),
)


@st.composite
def frame_packets(draw: st.DrawFn, frame_type: FrameType, pts: int, n_layers: int) -> FramePacket:
    """A frame of a stream with `n_layers` layers, of which it may hold fewer."""
    kept = draw(st.integers(1, n_layers))
    substreams = st.builds(Substream, st.binary(max_size=30))
    return FramePacket(
        frame_type,
        pts,
        draw(u32),
        draw(st.integers(0, 63)),
        tuple(draw(substreams) for _ in range(kept)),
        draw(st.none() | substreams),
    )


@st.composite
def streams(draw: st.DrawFn) -> tuple[StreamHeader, tuple[GopHeader | FramePacket | AudioPacket, ...]]:
    """A header and what a reader must yield for it, in order."""
    header = draw(headers.filter(lambda header: not header.is_still))
    items: list[GopHeader | FramePacket | AudioPacket] = []
    pts = draw(times) // 2
    n_frames = 0
    for index in range(draw(st.integers(0, 3))):
        items.append(GopHeader(index, n_frames, pts, draw(u32)))
        for position in range(draw(st.integers(1, 3))):
            frame_type = FrameType.P if position else FrameType.I
            items.append(draw(frame_packets(frame_type, pts, len(header.layers))))
            pts += draw(st.integers(1, 2**40))
            n_frames += 1
            if header.audio_tracks and draw(st.booleans()):
                track = draw(st.integers(0, len(header.audio_tracks) - 1))
                time = st.none() | times
                items.append(
                    AudioPacket(
                        track,
                        draw(time),
                        draw(time),
                        draw(st.integers(0, 2**61)),
                        draw(st.binary(max_size=30)),
                        draw(st.booleans()),
                    )
                )
    return header, tuple(items)
