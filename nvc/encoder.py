"""Frames to packets: GOP decisions, motion search, and the frame coder."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

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


@dataclass(frozen=True)
class FramePlan:
    """What is decided on a frame before it is coded; found: by `FlowEstimator.search`, for a P frame."""

    frame: Frame
    frame_type: FrameType
    qp: int
    found: npt.NDArray[np.float32] | None


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
        return self.encode_planned(self.plan(frame))

    def plan(self, frame: Frame) -> FramePlan:
        """Decide on the next frame what needs source frames alone; the plans may run ahead of the coding."""
        current = self._coder.pad_luma(frame.y)
        cut = self._before is not None and is_scene_cut(self._before, current)
        is_keyframe, qp = self._schedule.next_frame(cut)
        frame_type = FrameType.I if is_keyframe else FrameType.P
        found = None
        if not is_keyframe:
            assert self._before is not None
            found = self._flow.search(self._before, current)
        self._before = current
        return FramePlan(frame, frame_type, qp, found)

    def encode_planned(self, plan: FramePlan) -> EncodedFrame:
        """Encode frames as planned, in the same order."""
        frame, qp, is_keyframe = plan.frame, plan.qp, plan.frame_type is FrameType.I
        vectors = None
        if plan.found is not None:
            current = self._coder.pad_luma(frame.y)
            vectors = self._flow.refine(self._coder.decoded_luma(), current, plan.found, qp)
        thrift = (LATENT_THRIFT, MOTION_THRIFT)
        substreams, reconstruction = self._coder.encode(frame, plan.frame_type, qp, vectors, thrift)
        packet = FramePacket(
            frame_type=plan.frame_type,
            pts=frame.pts,
            duration=frame.duration,
            qp=qp,
            reset_reference=is_keyframe,
            checksums=(reconstruction.checksum(),),
            substreams=substreams,
        )
        return EncodedFrame(packet, reconstruction, is_keyframe, psnr_db(frame, reconstruction))
