"""Frames to packets: GOP decisions, motion search, and the frame coder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bitstream_spec import FramePacket, FrameType, Layer
from bitstream_spec.sections import frame_unit_bytes
from nvc.config import EncoderConfig
from nvc.devices import use_threads
from nvc.errors import ConfigError
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame, Plane
from nvc.gop import GopSchedule, is_kept
from nvc.latent_search import STEPS, LatentSearch
from nvc.metrics import psnr_db, psnr_yuv_db
from nvc.model_store import load_model
from nvc.motion_search import Floats, FoundMotion, MotionSearch
from nvc.quality_map import Offsets
from nvc.rate.control import ConstantQp, RateControl
from nvc.rate.planned import FrameResult
from nvc.rate.thrift import GopThrift
from nvc.repetition import CodedFrame


@dataclass(frozen=True)
class EncodedFrame:
    """A coded frame. `reconstructions`, by each layer from the base up, are bit for bit what a decoder will
    have; layer_psnr_db, of Y, U and V, of each of them."""

    packet: FramePacket
    reconstructions: tuple[Frame, ...]
    result: FrameResult
    layer_psnr_db: tuple[tuple[float, float, float], ...]

    @property
    def reconstruction(self) -> Frame:
        """By all layers."""
        return self.reconstructions[-1]

    @property
    def psnr_db(self) -> tuple[float, float, float]:
        """Of Y, U and V by all layers."""
        return self.layer_psnr_db[-1]

    @property
    def is_keyframe(self) -> bool:
        return self.result.place == 0


@dataclass(frozen=True)
class FramePlan:
    """What is decided on a frame before it is coded.

    luma: its luma at the coded size. place: in its GOP, 0 for the keyframe. For a P frame, proposed: by
    `MotionSearch.propose`; from the second on, proposed_golden: by the same from the keyframe.
    """

    frame: Frame
    luma: Plane
    place: int
    proposed: Floats | None
    proposed_golden: Floats | None = None


class Encoder:
    """Encodes the frames of one video, in display order.

    Raises ModelError if the model's weights are not installed, ConfigError if the device is not there or a
    target has no control: without one every frame gets the configured qp.
    """

    def __init__(
        self, config: EncoderConfig, width: int, height: int, control: RateControl | None = None
    ) -> None:
        """control: which qp each frame gets; nvc.rate.target makes those of the configured targets."""
        use_threads(config.device, config.threads)
        if control is None and config.is_steered:
            raise ConfigError("a target needs a rate control; nvc.rate.target.first_control makes one")
        self.config = config
        model = load_model(config.model, config.device)
        self.model_id = bytes.fromhex(model.entry.model_id)
        self.model_name = model.entry.name
        self._control = control or ConstantQp(config.base_qp, config.gop_frames)
        self.layers = tuple(Layer(qp_offset=offset) for offset in config.layer_qp_offsets)
        latent_search = LatentSearch(model.codec, STEPS[config.preset])
        self._coder = FrameCoder(model, width, height, config.device, self.layers, latent_search)
        self._schedule = GopSchedule(config)
        self._motion = MotionSearch(config.preset, config.flow)
        self._thrift = GopThrift()
        self._before: Plane | None = None
        self._golden: Plane | None = None
        self._place = 0
        self._last: CodedFrame | None = None

    def encode(self, frame: Frame, offsets: Offsets | None = None) -> EncodedFrame:
        """Encode the next frame, of the encoder's size.

        offsets: its quality map, as nvc.roi.QualityMapper makes it from the settings; None: even quality.
        """
        return self.encode_planned(self.plan(frame), offsets)

    def plan(self, frame: Frame, *, begins_gop: bool | None = None) -> FramePlan:
        """Decide on the next frame what needs source frames alone; the plans may run ahead of the coding.

        `begins_gop` says whether it is a keyframe, as the first frame has to be; by default keyint and scene
        cuts decide. Without a target nothing before a keyframe has any effect on what follows, so that GOPs
        may go to several encoders.
        """
        current = self._coder.pad_luma(frame.y)
        if begins_gop is None:
            begins_gop = self._schedule.begins_gop(frame.y)
        self._place = place = 0 if begins_gop else self._place + 1
        proposed = proposed_golden = None
        if not place:
            self._golden = current
        else:
            assert self._before is not None
            assert self._golden is not None
            proposed = self._motion.propose(self._before, current)
            if place > 1:
                proposed_golden = self._motion.propose(self._golden, current)
        self._before = current
        return FramePlan(frame, current, place, proposed, proposed_golden)

    def encode_planned(self, plan: FramePlan, offsets: Offsets | None = None) -> EncodedFrame:
        """Encode frames as planned, in the same order; with another qp again where the control asks."""
        state, last = self._coder.state if plan.place else None, self._last
        while True:
            qp = self._control.next_qp(plan.place, plan.frame.duration)
            coded = self._encode_at(plan, qp, offsets)
            if self._control.accept(qp, coded.result.size_bytes, coded.result.psnr_db):
                self._thrift.note(plan.place, sum(len(layer.payload) for layer in coded.packet.layers))
                return coded
            self._coder.state, self._last = state, last

    def _encode_at(self, plan: FramePlan, qp: int, offsets: Offsets | None) -> EncodedFrame:
        frame, frame_type = plan.frame, FrameType.P if plan.place else FrameType.I
        if plan.place and self._last is not None and self._last.serves_as(frame, qp, offsets):
            packet, reconstructions = self._coder.repeat(frame, qp)
        else:
            packet, reconstructions = self._code(plan, frame_type, qp, offsets)
            self._last = CodedFrame(frame, reconstructions[-1], qp, offsets)
        psnrs = tuple(psnr_db(frame, reconstruction) for reconstruction in reconstructions)
        result = FrameResult(plan.place, qp, frame_unit_bytes(packet), psnr_yuv_db(psnrs[-1]))
        return EncodedFrame(packet, reconstructions, result, psnrs)

    def _code(
        self, plan: FramePlan, frame_type: FrameType, qp: int, offsets: Offsets | None
    ) -> tuple[FramePacket, tuple[Frame, ...]]:
        search = None if plan.proposed is None else partial(self._search, plan, plan.proposed, qp)
        thrift, keep = self._thrift.of_next_frame(), is_kept(plan.place)
        return self._coder.encode(plan.frame, frame_type, qp, search, offsets, thrift, keep=keep)

    def _search(self, plan: FramePlan, proposed: Floats, qp: int) -> FoundMotion:
        proposed_goldens = plan.proposed_golden, None  # a kept picture is near: vectors lead there well
        goldens = list(zip(self._coder.golden_lumas(), proposed_goldens, strict=False))
        reference, previous = self._coder.decoded_luma(), self._coder.last_vectors()
        return self._motion.search(reference, plan.luma, proposed, previous, qp, goldens)
