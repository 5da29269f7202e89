"""Encodes a video or picture file into a .nvc file."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from bitstream_spec import (
    DEFAULT_LIMITS,
    AudioPacket,
    FramePacket,
    FrameType,
    Layer,
    Limits,
    StreamHeader,
    StreamWriter,
)
from bitstream_spec.sections import build_stream_header
from nvc.config import EncoderConfig
from nvc.errors import ConfigError, MediaError
from nvc.files.ahead import ahead
from nvc.files.jobs import Extent, choose_jobs
from nvc.files.pending import STANDARD_STREAM, check_target, pending_file, pending_path
from nvc.files.summary import EncodeSummary, FrameReport, FrameTally, LayerSummary
from nvc.files.workers import Coder, Crew, frames_in_flight, in_order
from nvc.frames import Frame
from nvc.gop import GopSchedule
from nvc.media import VideoReader, VideoWriter, open_output, open_video
from nvc.metrics import psnr_yuv_db
from nvc.rate.planned import FrameResult
from nvc.rate.target import PassResult, VideoFacts, first_control, next_control

if TYPE_CHECKING:
    from nvc.encoder import FramePlan
    from nvc.quality_map import Offsets

DEFAULT_CONFIG: Final = EncoderConfig()
_MAX_KEY_BYTES = 255
_MAX_VALUE_BYTES = 65535
_TRAILER_BYTES = 52  # with one seek point


def encode(
    input: str | Path,
    output: str | Path,
    config: EncoderConfig = DEFAULT_CONFIG,
    *,
    skip: int = 0,
    n_frames: int | None = None,
    reconstruction: str | Path | None = None,
    limits: Limits = DEFAULT_LIMITS,
    overwrite: bool = False,
    jobs: int = 1,
    on_frame: Callable[[FrameReport], None] | None = None,
) -> EncodeSummary:
    """Encode the video or picture `input` into the stream `output`, its sound copied.

    Where `config` asks for several passes, `input` is read and `on_frame` called for each anew.
    "-" is y4m on standard input and a stream on standard output. The first `skip` frames are left out and at
    most `n_frames` are encoded. `reconstruction` names a file, lossless, for the frames a decoder will give.
    More than one of `jobs` code GOPs side by side, in processes of one thread each unless `config` says
    otherwise; 0 is as many as are worth it. The stream is the same.
    Raises MediaError if a file cannot be read or written, ModelError if the weights are not there,
    LimitExceeded if a reader with the same `limits` would refuse the stream, ConfigError for several jobs
    with a target, WorkerError if one of several processes dies.
    """
    began = time.monotonic()
    check_target(output, input, overwrite=overwrite)
    if reconstruction is not None:
        if str(reconstruction) == STANDARD_STREAM == str(output):
            raise MediaError("standard output can take the stream or the reconstruction, not both")
        check_target(reconstruction, input, output, overwrite=overwrite)
    if config.n_passes > 1 and str(input) == STANDARD_STREAM:
        raise ConfigError("several passes read the input several times: give a file, not standard input")
    if jobs > 1 and config.is_steered:
        raise ConfigError("a target steers each frame by those before it: it needs one job")
    before: PassResult | None = None
    for number in range(1, config.n_passes + 1):
        is_last = number == config.n_passes
        with contextlib.ExitStack() as stack:
            video = stack.enter_context(open_video(_source(input), skip=skip, n_frames=n_frames))
            wants_recon = is_last and reconstruction is not None
            n_jobs, threads = choose_jobs(jobs, config.threads, config.device, _extent(video, config, output))
            coding = replace(config, threads=threads)
            open_encoder = partial(_Coder, coding, _facts(video), before, wants_recon)
            crew = stack.enter_context(Crew(open_encoder, n_jobs))
            header = stream_header(video, *crew.facts)
            recon = None
            if is_last and reconstruction is not None:
                recon = stack.enter_context(_open_reconstruction(reconstruction, video))
            file = stack.enter_context(pending_file(output if is_last else os.devnull))
            writer = stack.enter_context(StreamWriter(file, header, limits))
            planned = stack.enter_context(ahead(_planned(video, config, crew), video.stop))
            coded = in_order(_submitted(planned, crew), frames_in_flight(header.width, header.height, n_jobs))
            figures = _write_all(coded, video, writer, recon, on_frame)
            before = figures.as_pass()
    return figures.summarise(str(input), str(output), time.monotonic() - began, tuple(video.notices))


def _facts(video: VideoReader) -> VideoFacts:
    info = video.info
    header_bytes = len(build_stream_header(stream_header(video, bytes(8), "model")))
    return VideoFacts(
        width=info.width,
        height=info.height,
        time_base=info.time_base,
        frame_rate=info.frame_rate,
        n_frames=info.n_frames,
        overhead_bytes=header_bytes + _TRAILER_BYTES,
        audio_kbps=sum(track.bit_rate for track in video.audio_tracks) / 1000,
    )


def _extent(video: VideoReader, config: EncoderConfig, output: str | Path) -> Extent | None:
    """Return what may be coded side by side; None: frame by frame, or nobody should wait for a whole GOP."""
    info = video.info
    if info.n_frames is None or config.is_steered or str(output) == STANDARD_STREAM:
        return None
    return Extent.of_video(info.width, info.height, info.n_frames, config.keyint)


@dataclass(frozen=True)
class _Task:
    """A frame to code; offsets: its quality map."""

    frame: Frame
    begins_gop: bool
    offsets: Offsets | None


@dataclass(frozen=True)
class _Planned:
    """A task whose motion search is done."""

    plan: FramePlan
    offsets: Offsets | None


@dataclass(frozen=True)
class _Coded:
    """What comes back from a worker; the reconstruction only if it is wanted."""

    packet: FramePacket
    result: FrameResult
    layer_psnr_db: tuple[tuple[float, float, float], ...]
    reconstruction: Frame | None


_Facts = tuple[bytes, str, tuple[Layer, ...]]
"""Of an encoder: the id and the name of its model, and the layers."""


class _Coder(Coder[_Task, _Planned, _Coded, _Facts]):
    """The encoder as a worker has it."""

    def __init__(
        self, config: EncoderConfig, facts: VideoFacts, before: PassResult | None, wants_reconstruction: bool
    ) -> None:
        from nvc.encoder import Encoder  # takes seconds: a wrong file name need not wait for it

        control = first_control(config, facts) if before is None else next_control(config, facts, before)
        self._encoder = Encoder(config, facts.width, facts.height, control)
        self._wants_reconstruction = wants_reconstruction
        self.facts = self._encoder.model_id, self._encoder.model_name, self._encoder.layers

    def prepare(self, task: _Task) -> _Planned:
        return _Planned(self._encoder.plan(task.frame, begins_gop=task.begins_gop), task.offsets)

    def code(self, task: _Planned) -> _Coded:
        coded = self._encoder.encode_planned(task.plan, task.offsets)
        reconstruction = coded.reconstruction if self._wants_reconstruction else None
        return _Coded(coded.packet, coded.result, coded.layer_psnr_db, reconstruction)


_Crew = Crew[_Task, _Planned, _Coded, _Facts]


def _planned(
    video: VideoReader, config: EncoderConfig, crew: _Crew
) -> Iterator[AudioPacket | tuple[bool, _Task | _Planned]]:
    """Read, and decide what needs source frames alone: where GOPs begin, quality maps, in one job motion."""
    schedule, mapper = GopSchedule(config), None
    if config.has_quality_maps:
        from nvc.roi import QualityMapper  # loads torch, which whoever only feeds other processes can spare

        mapper = QualityMapper(config)
    for item in video:
        if isinstance(item, AudioPacket):
            yield item
        else:
            begins_gop = schedule.begins_gop(item.y)
            offsets = None if mapper is None else mapper.next_map(item, begins_gop=begins_gop)
            yield begins_gop, crew.prepare(_Task(item, begins_gop, offsets))


def _submitted(
    planned: Iterator[AudioPacket | tuple[bool, _Task | _Planned]], crew: _Crew
) -> Iterator[tuple[AudioPacket | None, Future[_Coded] | None]]:
    for item in planned:
        if isinstance(item, AudioPacket):
            yield item, None
        else:
            begins_gop, task = item
            yield None, crew.submit(task, begins_gop=begins_gop)


class _Figures:
    """Gathers what the summary says."""

    def __init__(self, writer: StreamWriter) -> None:
        self._writer = writer
        n_layers = len(writer.header.layers)
        self._psnr_sums = np.zeros((n_layers, 3))
        self._layer_bytes = [0] * n_layers
        self.tally = FrameTally(writer.header)
        self.audio_bytes = 0
        self.results: list[FrameResult] = []

    @property
    def video_bytes(self) -> int:
        return self._writer.size_bytes - self.audio_bytes

    def add(self, coded: _Coded, size_bytes: int) -> None:
        """Take note of a frame whose unit, GOP header included, has so many bytes."""
        self.tally.add(coded.packet, size_bytes)
        self.results.append(coded.result)
        self._psnr_sums += np.array(coded.layer_psnr_db)
        for index, layer in enumerate(coded.packet.layers):
            self._layer_bytes[index] += len(layer.payload)

    def as_pass(self) -> PassResult:
        """What the next pass wants to know."""
        other_bytes = self.video_bytes - sum(result.size_bytes for result in self.results)
        return PassResult(self.results, self.tally.duration_s, other_bytes, self.audio_bytes)

    def summarise(self, input: str, output: str, seconds: float, notices: tuple[str, ...]) -> EncodeSummary:
        header, tally = self._writer.header, self.tally
        means = [(float(y), float(u), float(v)) for y, u, v in self._psnr_sums / tally.n_frames]
        y, u, v = means[-1]
        layers = tuple(
            LayerSummary(layer.qp_offset, size_bytes, psnr_yuv_db(mean))
            for layer, size_bytes, mean in zip(header.layers, self._layer_bytes, means, strict=True)
        )
        return EncodeSummary(
            input=input,
            output=output,
            model_name=header.model_name,
            model_id=header.model_id_hex,
            width=header.width,
            height=header.height,
            n_frames=tally.n_frames,
            frame_types=tally.frame_types,
            duration_s=tally.duration_s,
            size_bytes=self._writer.size_bytes,
            audio_bytes=self.audio_bytes,
            bpp=tally.bpp(self.video_bytes),
            bitrate_kbps=tally.bitrate_kbps(self.video_bytes),
            psnr_y_db=y,
            psnr_u_db=u,
            psnr_v_db=v,
            psnr_yuv_db=psnr_yuv_db((y, u, v)),
            layers=layers,
            seconds=seconds,
            encode_fps=tally.n_frames / seconds,
            notices=notices,
        )


def _write_all(
    items: Iterator[tuple[AudioPacket | None, Future[_Coded] | None]],
    video: VideoReader,
    writer: StreamWriter,
    recon: VideoWriter | None,
    on_frame: Callable[[FrameReport], None] | None,
) -> _Figures:
    figures = _Figures(writer)
    for audio, future in items:
        before = writer.size_bytes
        if audio is not None:
            writer.write_audio(audio)
            figures.audio_bytes += writer.size_bytes - before
        if future is None:
            continue
        coded = future.result()
        if coded.packet.frame_type is FrameType.I:
            writer.write_gop(coded.packet.pts, coded.packet.duration)
        writer.write_frame(coded.packet)
        if recon is not None and coded.reconstruction is not None:
            recon.write(coded.reconstruction)
        figures.add(coded, writer.size_bytes - before)
        if on_frame is not None:
            on_frame(
                FrameReport(
                    n_done=writer.n_frames,
                    n_expected=video.info.n_frames,
                    fraction_done=None,
                    frame_type=coded.packet.frame_type.name,
                    qp=coded.packet.qp,
                    total_bytes=figures.video_bytes,
                    time_s=figures.tally.time_s(coded.packet.pts),
                    psnr_db=coded.layer_psnr_db[-1],
                )
            )
    if not writer.n_frames:
        raise MediaError(f"cannot encode {video.name}: no frames are left of it")
    writer.close()
    return figures


def stream_header(
    video: VideoReader, model_id: bytes, model_name: str, layers: tuple[Layer, ...] = (Layer(),)
) -> StreamHeader:
    """Make the header of the stream that holds this video. Raises MediaError if a fact does not fit in it."""
    info = video.info
    try:
        return StreamHeader(
            model_id=model_id,
            model_name=model_name,
            width=info.width,
            height=info.height,
            time_base=info.time_base,
            frame_rate=info.frame_rate or Fraction(0),
            sample_aspect_ratio=info.sample_aspect_ratio or Fraction(0),
            colour=info.colour,
            display_matrix=info.display_matrix,
            is_still=info.is_still,
            layers=layers,
            audio_tracks=video.audio_tracks,
            metadata=_fitting(info.metadata),
        )
    except ValueError as error:
        raise MediaError(f"cannot encode {video.name}: {error}") from error


def _fitting(metadata: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Cut texts to what the format holds, and leave out those that every reader would refuse."""
    limits = DEFAULT_LIMITS
    pairs: list[tuple[str, str]] = []
    n_bytes = 0
    for key, value in metadata:
        pair = _cut(key, _MAX_KEY_BYTES), _cut(value, _MAX_VALUE_BYTES)
        n_bytes += sum(len(text.encode()) for text in pair)
        if n_bytes > limits.max_metadata_bytes or len(pairs) == limits.max_metadata_entries:
            break
        if key:
            pairs.append(pair)
    return tuple(pairs)


def _cut(text: str, n_bytes: int) -> str:
    return text.encode(errors="replace")[:n_bytes].decode(errors="ignore")


@contextlib.contextmanager
def _open_reconstruction(target: str | Path, video: VideoReader) -> Iterator[VideoWriter]:
    if str(target) == STANDARD_STREAM:
        with open_output(STANDARD_STREAM, video.info) as writer:
            yield writer
        return
    with pending_path(target) as path, open_output(path, video.info, lossless=True) as writer:
        yield writer


def _source(input: str | Path) -> str | Path:
    return STANDARD_STREAM if str(input) == STANDARD_STREAM else Path(input)
