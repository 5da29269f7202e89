"""The encoders inside PyAV's FFmpeg, one thread each, with their protocols written out.

The settings are those of benchmarks/anchors/README.md, so the rows agree with the reference rows there.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from bitstream_spec import Colour
from nvc.bench.clip import Clip
from nvc.bench.codec import DEFAULT, LOW_DELAY, BenchCodec, Coded
from nvc.bench.stopwatch import Stopwatch
from nvc.errors import MediaError
from nvc.frames import Frame, edged
from nvc.media.pixels import PlaneReader, to_picture

_CRF_H26X = (20, 24, 28, 32, 36, 40)
_CRF_AV1 = (20, 28, 36, 44, 52, 60)
_QSCALES = (2, 4, 6, 9, 13, 20)
_MAX_MPEG2_GOP = 600  # FFmpeg allows no more
_START_CODE = b"\x00\x00\x00\x01"
_H264_SEI = 6
_M_PERTURB, _ZERO = -6, 0xFF  # malloc.h: new memory is filled with the complement

Options = tuple[tuple[str, str], ...]


@contextlib.contextmanager
def own_priority() -> Iterator[None]:
    """Give this thread its scheduling back.

    Where root runs it, SVT-AV1 makes the thread that opens it a real-time one: all programs started later
    inherit that, and two of them that wait for each other on one core stand still for good.
    """
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        if os.sched_getscheduler(0) != policy:
            os.sched_setscheduler(0, policy, parameters)


@dataclass(frozen=True)
class FfmpegCodec(BenchCodec):
    """One of FFmpeg's encoders. In the options' values {qp} and {keyint} are replaced."""

    name: str
    protocol: str
    encoder: str
    decoder: str
    options: Options
    qps: tuple[int, ...]
    endless: str = "-1"
    """The encoder's word for a keyint without end."""
    even_sizes: bool = False
    """Whether it takes even sizes only: others are padded with the last column and row, and cut again."""

    @property
    def version(self) -> str:
        major, minor, patch = av.library_versions["libavcodec"]
        return f"{self.encoder} (PyAV {av.__version__}, libavcodec {major}.{minor}.{patch})"

    def settings(self, qp: int, keyint: int) -> str:
        options = self._options(qp, keyint)
        return " ".join([self.encoder, *(f"-{name} {value}" for name, value in options.items())])

    def code(self, clip: Clip, qp: int, keyint: int, folder: Path) -> Coded:
        encode, decode = Stopwatch(), Stopwatch()
        with zeroed_memory(), encode:
            packets = self._encode(clip, self._options(qp, keyint))
        if self.encoder == "libx264":
            packets = [(pts, without_sei(data)) for pts, data in packets]
        sizes = [len(data) for _, data in sorted(packets, key=lambda packet: packet[0])]
        return Coded(sum(sizes), sizes, self._decode(clip, packets, decode), encode, decode)

    def _options(self, qp: int, keyint: int) -> dict[str, str]:
        word = self.endless if keyint < 0 else str(keyint)
        return {name: value.format(qp=qp, keyint=word) for name, value in self.options}

    @own_priority()
    def _encode(self, clip: Clip, options: dict[str, str]) -> list[tuple[int, bytes]]:
        os.environ.setdefault("SVT_LOG", "1")  # SVT-AV1 would write its settings to stderr
        codec = av.CodecContext.create(self.encoder, "w")
        assert isinstance(codec, VideoCodecContext)
        pad_x, pad_y = (clip.width % 2, clip.height % 2) if self.even_sizes else (0, 0)
        codec.width, codec.height = clip.width + pad_x, clip.height + pad_y
        codec.pix_fmt = "yuv420p"
        codec.time_base, codec.framerate = 1 / clip.frame_rate, clip.frame_rate
        codec.thread_count = 1
        codec.options = options
        packets: list[Packet[av.VideoStream]] = []
        for frame in clip:
            picture = to_picture(replace(frame, y=edged(frame.y, 0, (pad_y, pad_x))))
            picture.pts, picture.time_base = frame.pts, codec.time_base
            packets += codec.encode(picture)
        packets += codec.encode(None)
        return [(packet.pts or 0, bytes(packet)) for packet in packets]

    def _decode(self, clip: Clip, packets: list[tuple[int, bytes]], watch: Stopwatch) -> Iterator[Frame]:
        with watch:
            codec = av.CodecContext.create(self.decoder, "r")
            assert isinstance(codec, VideoCodecContext)
            codec.thread_count = 1
        count = 0
        for data in [*(data for _, data in packets), None]:
            with watch:
                pictures = codec.decode(Packet(data) if data is not None else None)
            for picture in pictures:
                yield _to_frame(picture, count, clip.width, clip.height)
                count += 1


@contextlib.contextmanager
def zeroed_memory() -> Iterator[None]:
    """Have glibc hand out zeroed memory only; elsewhere, do nothing.

    x264's look-ahead reads memory that it never wrote: in a process that has worked before, the same frames
    and settings give up to 1 % more or less bytes from run to run. Fresh memory is zero, so this is what
    x264 gives in a process of its own.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        yield
        return
    mallopt(_M_PERTURB, _ZERO)
    try:
        yield
    finally:
        mallopt(_M_PERTURB, 0)


def _to_frame(picture: VideoFrame, index: int, width: int, height: int) -> Frame:
    if picture.format.name not in ("yuv420p", "yuvj420p"):
        raise MediaError(f"decoded pictures are {picture.format.name}, expected 8-bit 4:2:0")
    y, u, v = PlaneReader(picture, Colour()).read(picture)
    return Frame(y[:height, :width], u, v, pts=index, duration=1)


def without_sei(data: bytes) -> bytes:
    """Leave supplementary information out of an H.264 packet (x264 writes its name and settings there).

    All start codes become four bytes long, as in the reference rows.
    """
    units = data.replace(_START_CODE, _START_CODE[1:]).split(_START_CODE[1:])[1:]
    return b"".join(_START_CODE + unit for unit in units if unit and unit[0] & 31 != _H264_SEI)


def ffmpeg_codecs() -> dict[str, list[FfmpegCodec]]:
    """Return the known encoders by family; the first names of each are what the family's name stands for."""
    return {
        "x264": [codec for preset in ("medium", "veryslow") for codec in _x264(preset)],
        "x265": [codec for preset in ("medium", "veryslow") for codec in _x265(preset)],
        "svtav1": [codec for preset in (8, 4) for codec in _svtav1(preset)],
        "vp9": [_vp9()],
        "mpeg2": [_mpeg2()],
    }


def _pair(name: str, low_delay: Options, default: Options, **rest: object) -> list[FfmpegCodec]:
    return [
        FfmpegCodec(name=f"{name}_ld", protocol=LOW_DELAY, options=low_delay, **rest),  # type: ignore[arg-type]
        FfmpegCodec(name=name, protocol=DEFAULT, options=default, **rest),  # type: ignore[arg-type]
    ]


def _x264(preset: str) -> list[FfmpegCodec]:
    def options(tune: str) -> Options:
        params = "keyint={keyint}:threads=1"
        return (("preset", preset), ("tune", tune), ("crf", "{qp}"), ("x264-params", params))

    return _pair(
        f"x264_{preset}",
        options("psnr,zerolatency"),
        options("psnr"),
        encoder="libx264",
        decoder="h264",
        qps=_CRF_H26X,
        endless="infinite",
        even_sizes=True,
    )


def _x265(preset: str) -> list[FfmpegCodec]:
    def options(extra: str = "") -> Options:
        params = "keyint={keyint}:info=0:pools=none:frame-threads=1:log-level=none" + extra
        return (("preset", preset), ("tune", "psnr"), ("crf", "{qp}"), ("x265-params", params))

    return _pair(
        f"x265_{preset}",
        options(":bframes=0:b-adapt=0:rc-lookahead=0:scenecut=0:cutree=0"),  # what tune zerolatency sets
        options(),
        encoder="libx265",
        decoder="hevc",
        qps=_CRF_H26X,
        even_sizes=True,
    )


def _svtav1(preset: int) -> list[FfmpegCodec]:
    def options(structure: int) -> Options:
        params = f"tune=1:lp=1:pred-struct={structure}"
        return (("preset", str(preset)), ("crf", "{qp}"), ("g", "{keyint}"), ("svtav1-params", params))

    return _pair(
        f"svtav1_p{preset}",
        options(1),
        options(2),
        encoder="libsvtav1",
        decoder="libdav1d",
        qps=_CRF_AV1,
    )


def _vp9() -> FfmpegCodec:
    """One pass, in which libvpx does not look ahead: its two protocols would give the same bytes."""
    options = (
        ("deadline", "good"),
        ("cpu-used", "2"),
        ("tune", "psnr"),
        ("crf", "{qp}"),
        ("b", "0"),
        ("g", "{keyint}"),
        ("lag-in-frames", "0"),
        ("auto-alt-ref", "0"),
    )
    return FfmpegCodec("vp9_c2_ld", LOW_DELAY, "libvpx-vp9", "vp9", options, _CRF_AV1, endless="9999")


def _mpeg2() -> FfmpegCodec:
    """MPEG-2 without B frames has neither look-ahead nor delay: its two protocols are one."""
    options = (
        ("qmin", "{qp}"),  # as -qscale, which needs a quality on each picture that PyAV cannot set
        ("qmax", "{qp}"),
        ("bf", "0"),
        ("g", "{keyint}"),
        ("sc_threshold", "1000000000"),  # no keyframe at a scene cut
    )
    return FfmpegCodec(
        "mpeg2_ld", LOW_DELAY, "mpeg2video", "mpeg2video", options, _QSCALES, endless=str(_MAX_MPEG2_GOP)
    )
