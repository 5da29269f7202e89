"""Audio tracks are copied: packets and parameters leave an input file and enter an output file untouched."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from fractions import Fraction

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from bitstream_spec import AudioPacket, AudioTrack

MAX_AUDIO_TRACKS = 16
"""As many as the .nvc format holds."""

# A Matroska codec id per FFmpeg codec; the others are reached through QuickTime's four-letter codes.
_MATROSKA_IDS = {
    "aac": "A_AAC", "ac3": "A_AC3", "alac": "A_ALAC", "dts": "A_DTS", "eac3": "A_EAC3", "flac": "A_FLAC",
    "mlp": "A_MLP", "mp1": "A_MPEG/L1", "mp2": "A_MPEG/L2", "mp3": "A_MPEG/L3", "opus": "A_OPUS",
    "truehd": "A_TRUEHD", "tta": "A_TTA1", "vorbis": "A_VORBIS", "wavpack": "A_WAVPACK4",
}  # fmt: skip
_QUICKTIME_TAGS = {
    "adpcm_ima_qt": b"ima4", "amr_nb": b"samr", "amr_wb": b"sawb", "qdm2": b"QDM2",
}  # fmt: skip
_DEFAULT_LAYOUTS = {
    "1 channels": "mono", "2 channels": "stereo", "3 channels": "2.1", "4 channels": "4.0",
    "5 channels": "5.0", "6 channels": "5.1", "7 channels": "6.1", "8 channels": "7.1",
}  # fmt: skip
"""What FFmpeg takes unordered channels for; MP4 asks for an order."""
_NOT_IN_QUICKTIME = {"flac", "opus", "truehd"}
"""FFmpeg writes these into MP4 but not into QuickTime files, which it says only when it is too late."""


class AudioInput:
    """The audio streams of an input file, numbered as tracks."""

    def __init__(self, container: InputContainer) -> None:
        self.notices: list[str] = []
        self.streams: list[AudioStream] = []
        tracks: list[AudioTrack] = []
        for stream in container.streams.audio:
            if stream.codec_context is None or not stream.codec_context.sample_rate:
                self.notices.append(f"left out audio stream {stream.index}: its codec is unknown")
            elif len(tracks) == MAX_AUDIO_TRACKS:
                self.notices.append(f"left out audio stream {stream.index}: over {MAX_AUDIO_TRACKS} tracks")
            else:
                self.streams.append(stream)
                tracks.append(_track_of(stream))
        self.tracks = tuple(tracks)
        self._numbers = {stream.index: number for number, stream in enumerate(self.streams)}

    def copy_packet(self, packet: Packet[Stream]) -> AudioPacket:
        """Copy one demuxed packet; the samples it says to skip at the start become its track's padding."""
        number = self._numbers[packet.stream_index]
        if packet.has_sidedata("skip_samples") and not self.tracks[number].initial_padding:
            (padding,) = struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))
            track = replace(self.tracks[number], initial_padding=padding)
            self.tracks = (*self.tracks[:number], track, *self.tracks[number + 1 :])
        return AudioPacket(
            track=number,
            pts=packet.pts,
            dts=packet.dts,
            duration=max(0, packet.duration or 0),
            payload=bytes(packet),
            is_keyframe=packet.is_keyframe,
        )


class AudioOutput:
    """One track of an output file, which takes the packets as they are."""

    def __init__(self, container: OutputContainer, track: AudioTrack) -> None:
        """Add the track. Raises ValueError or FFmpegError if the container cannot hold its codec."""
        self._track = track
        self._stream = _add_stream(container, track)
        self._last: AudioPacket | None = None
        self._step = 0

    def packet(self, packet: AudioPacket) -> Packet[Stream]:
        """Return what the container writes for the packet."""
        if self._last and packet.pts is not None and self._last.pts is not None:
            self._step = max(0, packet.pts - self._last.pts)
        self._last = packet
        # Not Packet(payload): before PyAV 17.1 that only borrows the bytes, which the muxer reads later.
        copy: Packet[Stream] = Packet(len(packet.payload))
        copy.update(packet.payload)
        copy.stream = self._stream
        copy.time_base = self._track.time_base
        copy.pts = packet.pts
        copy.dts = packet.dts if packet.dts is not None else packet.pts
        # MP4 hides a last packet that takes no time.
        copy.duration = packet.duration or self._step
        copy.is_keyframe = packet.is_keyframe
        return copy


def _add_stream(container: OutputContainer, track: AudioTrack) -> AudioStream:
    if container.format.name == "mov" and track.codec in _NOT_IN_QUICKTIME:
        raise ValueError("QuickTime files cannot hold this codec")
    if track.codec.startswith("pcm_"):
        stream = container.add_stream(track.codec, rate=track.sample_rate)
        assert isinstance(stream, AudioStream)
    else:
        # PyAV takes stream parameters only from another stream, and an encoder's would differ from the
        # track's: so a Matroska header that names the codec serves as that other stream.
        with av.open(io.BytesIO(_matroska_header(track))) as template:
            stream = container.add_stream_from_template(template.streams.audio[0], opaque=True)
    codec = stream.codec_context
    codec.sample_rate = track.sample_rate
    if track.channel_layout:
        codec.layout = _DEFAULT_LAYOUTS.get(track.channel_layout, track.channel_layout)
    if track.sample_format:
        codec.format = track.sample_format
    if track.bit_rate:
        codec.bit_rate = track.bit_rate
    if track.extradata:
        codec.extradata = track.extradata
    stream.time_base = track.time_base
    if track.language:
        stream.metadata["language"] = track.language
    return stream


def _track_of(stream: AudioStream) -> AudioTrack:
    codec = stream.codec_context
    tag = codec.codec_tag.encode("latin-1", "ignore")
    return AudioTrack(
        codec=codec.codec.canonical_name,
        sample_rate=codec.sample_rate,
        channel_layout=codec.layout.name,
        time_base=stream.time_base or Fraction(1, codec.sample_rate),
        sample_format=codec.format.name if codec.format else "",
        bit_rate=codec.bit_rate or 0,
        frame_size=codec.frame_size,
        language=_printable(stream.language or ""),
        extradata=codec.extradata or b"",
        codec_tag=int.from_bytes(tag, "little") if len(tag) == 4 and tag.isalnum() else 0,
    )


def _printable(text: str) -> str:
    return "".join(letter for letter in text if letter.isascii() and letter.isprintable())[:32]


def _matroska_header(track: AudioTrack) -> bytes:
    """Build a Matroska file of one audio track and no packets (RFC 9559)."""
    codec_id = _MATROSKA_IDS.get(track.codec)
    private = b""
    if track.codec in _QUICKTIME_TAGS:
        codec_id = "A_QUICKTIME"
        private = struct.pack(">I4s28x", 36, _QUICKTIME_TAGS[track.codec])
    if codec_id is None:
        raise ValueError("no way is known to copy this codec")
    delay = track.initial_padding * 10**9 // track.sample_rate
    audio = _element(0xB5, struct.pack(">d", track.sample_rate)) + _element(0x9F, _number(2))
    entry = _element(0xD7, _number(1)) + _element(0x73C5, _number(1)) + _element(0x83, _number(2))
    entry += _element(0x86, codec_id.encode())
    entry += _element(0x63A2, private) if private else b""
    entry += _element(0x56AA, _number(delay)) if delay else b""
    entry += _element(0xE1, audio)
    tracks = _element(0x1654AE6B, _element(0xAE, entry))
    info = _element(0x1549A966, _element(0x2AD7B1, _number(10**6)))
    cluster = _element(0x1F43B675, _element(0xE7, _number(0)))
    return _element(0x1A45DFA3, _element(0x4282, b"matroska")) + _element(0x18538067, info + tracks + cluster)


def _element(element_id: int, payload: bytes) -> bytes:
    id_bytes = element_id.to_bytes((element_id.bit_length() + 7) // 8, "big")
    return id_bytes + (1 << 56 | len(payload)).to_bytes(8, "big") + payload


def _number(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
