"""Frames to packets: GOP decisions, motion search, and the frame coder."""

from __future__ import annotations

from dataclasses import dataclass

from bitstream_spec import FramePacket, FrameType
from nvc.config import EncoderConfig
from nvc.devices import use_threads
from nvc.flow import FlowEstimator
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame, Plane
from nvc.gop import GopSchedule, is_scene_cut
from nvc.metrics import psnr_db
from nvc.model_store import load_model
from nvc.models.quantiser import LATENT_THRIFT, MOTION_THRIFT


@dataclass(frozen=True)
class EncodedFrame:
    """A coded frame. `reconstruction` is bit for bit what a decoder will have; psnr_db of Y, U, V."""

    packet: FramePacket
    reconstruction: Frame
    is_keyframe: bool
    psnr_db: tuple[float, float, float]


class Encoder:
    """Encodes the frames of one video, in display order.

    Raises ModelError if the model's weights are not installed, ConfigError if the device is not there.
    """

    def __init__(self, config: EncoderConfig, width: int, height: int) -> None:
        use_threads(config.device, config.threads)
        self.config = config
        model = load_model(config.model, config.device)
        self.model_id = bytes.fromhex(model.entry.model_id)
        self.model_name = model.entry.name
        self._coder = FrameCoder(model, width, height, config.device)
        self._schedule = GopSchedule(config)
        self._flow = FlowEstimator(config.preset)
        self._before: Plane | None = None

    def encode(self, frame: Frame) -> EncodedFrame:
        """Encode the next frame, of the encoder's size."""
        current = self._coder.pad_luma(frame.y)
        cut = self._before is not None and is_scene_cut(self._before, current)
        is_keyframe, qp = self._schedule.next_frame(cut)
        frame_type = FrameType.I if is_keyframe else FrameType.P
        vectors = None
        if not is_keyframe:
            assert self._before is not None
            found = self._flow.search(self._before, current)
            vectors = self._flow.refine(self._coder.decoded_luma(), current, found, qp)
        thrift = (LATENT_THRIFT, MOTION_THRIFT)
        substreams, reconstruction = self._coder.encode(frame, frame_type, qp, vectors, thrift)
        self._before = current
        packet = FramePacket(
            frame_type=frame_type,
            pts=frame.pts,
            duration=frame.duration,
            qp=qp,
            reset_reference=is_keyframe,
            checksums=(reconstruction.checksum(),),
            substreams=substreams,
        )
        return EncodedFrame(packet, reconstruction, is_keyframe, psnr_db(frame, reconstruction))
