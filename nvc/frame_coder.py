"""One frame between planes and payloads: padding, networks, entropy coder, and the reference that is kept.

Encoder and decoder both stand on this: they walk the same networks with different ports, and both keep
the decoded frame as the reference, so it is bit for bit the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from bitstream_spec import CorruptStream, FramePacket, FrameType, Layer, Substream, UnsupportedStream
from nvc.errors import DecodeError
from nvc.filter_search import fitted_offsets
from nvc.frames import Frame, Plane, edged
from nvc.gop import clip_qp
from nvc.model_store import Model
from nvc.models.adaptive_filter import SYMBOLS_PER_FRAME, code_offsets
from nvc.models.exact import exact_arithmetic
from nvc.models.golden import SUPERBLOCK, SYMBOLS_PER_SUPERBLOCK, GoldenUse
from nvc.models.motion_coder import SYMBOLS_PER_VECTOR
from nvc.models.picture_coder import LowerLayer, Move, Picture, Reference
from nvc.models.quantiser import THRIFT, Bank, DecoderPort, EncoderPort, Port
from nvc.models.self_test import check_arithmetic
from nvc.models.transform import LUMA_BLOCK
from nvc.models.warp import GRID
from nvc.motion_search import FoundMotion, LastWord
from nvc.quality_map import Offsets, build_map, clip_qps, parse_map

Floats = npt.NDArray[np.float32]

CENTRE = 128.0
Search = Callable[[], FoundMotion]


@dataclass(frozen=True)
class State:
    """What a coded frame leaves for the next: what each layer predicts from, its 8-bit planes as they are
    shown, and the quality map in force."""

    references: tuple[Reference, ...]
    shown: tuple[tuple[Plane, ...], ...]
    offsets: Offsets


class FrameCoder:
    """Codes the frames of one stream in order; setting `state` back undoes what was coded since."""

    def __init__(
        self,
        model: Model,
        width: int,
        height: int,
        device: str = "cpu",
        layers: tuple[Layer, ...] = (Layer(),),
        move_keyframe: Move | None = None,
    ) -> None:
        """layers: those of the stream. move_keyframe: what an encoder does to latents of I frames. Raises
        UnsupportedStream for layers of smaller pictures."""
        if any(layer.scale_log2 for layer in layers):
            raise UnsupportedStream("a layer of smaller pictures; a newer nvc may read this stream")
        self.model = model
        self.width, self.height = width, height
        self.layers = layers
        self._move_keyframe = move_keyframe
        self.device = torch.device(device)
        check_arithmetic(self.device)
        self.padded_width = -(-width // LUMA_BLOCK) * LUMA_BLOCK
        self.padded_height = -(-height // LUMA_BLOCK) * LUMA_BLOCK
        self.state: State | None = None

    def encode(
        self,
        frame: Frame,
        frame_type: FrameType,
        qp: int,
        search: Search | None = None,
        offsets: Offsets | None = None,
        inter_thrift: float = THRIFT[Bank.INTER],
        *,
        keep: bool = False,
    ) -> tuple[FramePacket, tuple[Frame, ...]]:
        """Code a frame; returns its packet and its reconstruction by each layer.

        search: for motion from this frame to the last at the coded size, for a P frame. offsets: the quality
        map [padded height/16, padded width/16]; None: the frame's qp everywhere. inter_thrift: how a P frame
        is rounded, see `thrifty_round`. keep: whether a P frame is to become a golden picture.
        """
        ports = [EncoderPort(inter_thrift) for _ in self.layers]
        before = self._offsets_before(frame_type)
        if offsets is None:
            offsets = np.zeros_like(before)
        quality_map = None
        if (offsets != before).any():
            quality_map = Substream(build_map(offsets, before, self.model.coder))
        with exact_arithmetic():
            self._code(self._to_picture(frame), search, frame_type, qp, offsets, ports, keep=keep)
        reconstructions = self._to_frames(frame.pts, frame.duration)
        payloads = [
            self.model.coder.encode(port.groups, reconstruction.checksum())
            for port, reconstruction in zip(ports, reconstructions, strict=True)
        ]
        return self._packed(frame, frame_type, qp, payloads, quality_map), reconstructions

    def repeat(self, frame: Frame, qp: int) -> tuple[FramePacket, tuple[Frame, ...]]:
        """Code a P frame as the one before it once more, which takes no symbols and changes no state."""
        packet = self._packed(frame, FrameType.P, qp, [b""] * len(self.layers), None)
        return packet, self._to_frames(frame.pts, frame.duration)

    def _packed(
        self,
        frame: Frame,
        frame_type: FrameType,
        qp: int,
        payloads: list[bytes],
        quality_map: Substream | None,
    ) -> FramePacket:
        return FramePacket(
            frame_type=frame_type,
            pts=frame.pts,
            duration=frame.duration,
            qp=qp,
            layers=tuple(Substream(payload) for payload in payloads),
            quality_map=quality_map,
        )

    def decode(self, packet: FramePacket, *, verify: bool = True) -> tuple[Frame, ...]:
        """Decode a frame; returns it by each layer that the packet has, in a P frame if the last had it, too.

        Raises CorruptStream where a payload ends early and, with `verify`, DecodeError where a payload was
        made for other planes than these: only so does damage to a base layer show.
        """
        n_layers = len(packet.layers)
        if packet.frame_type is FrameType.P and self.state is not None:
            if not any(layer.payload for layer in packet.layers):
                return self._to_frames(packet.pts, packet.duration)
            n_layers = min(n_layers, len(self.state.references))
        ports = [self._decoder_port(packet, index) for index in range(n_layers)]
        offsets = self._offsets_before(packet.frame_type)
        if packet.quality_map is not None:
            offsets = parse_map(packet.quality_map.payload, offsets, self.model.coder)
        with exact_arithmetic():
            self._code(None, None, packet.frame_type, packet.qp, offsets, ports)
        frames = self._to_frames(packet.pts, packet.duration)
        for layer, (port, frame) in enumerate(zip(ports, frames, strict=True)):
            if verify and not port.source.fits(frame.checksum()):
                what = f", layer {layer}," if len(self.layers) > 1 else ""
                raise DecodeError(f"{what} is damaged, or decodes to something else than its encoder had")
        return frames

    def _decoder_port(self, packet: FramePacket, index: int) -> DecoderPort:
        config = self.model.codec.config
        symbols = self.model.coder.decoder(packet.layers[index].payload)
        n_symbols = self._n_symbols(config.n_latent + 2, config.n_hyper)  # and the modes
        n_symbols += SYMBOLS_PER_FRAME
        if packet.frame_type is FrameType.P and not index:
            rows, columns = self.padded_height // GRID, self.padded_width // GRID
            n_superblocks = -(-rows // SUPERBLOCK) * -(-columns // SUPERBLOCK)
            n_symbols += SYMBOLS_PER_VECTOR * rows * columns + SYMBOLS_PER_SUPERBLOCK * n_superblocks + 1
        symbols.expect(n_symbols)
        return DecoderPort(symbols)

    def _code(
        self,
        x: Picture | None,
        search: Search | None,
        frame_type: FrameType,
        qp: int,
        offsets: Offsets,
        ports: Sequence[Port],
        *,
        keep: bool = False,
    ) -> None:
        """Code as many layers as there are ports and, in a P frame, references."""
        codec = self.model.codec
        size = 1, self.padded_height, self.padded_width
        before: tuple[Reference | None, ...] = (None,) * len(ports)
        if frame_type is FrameType.I:
            self.state = None  # the GOP before makes room
        else:
            if self.state is None:
                raise CorruptStream("a P frame without a frame before it")
            before = self.state.references
            # As fine as the last layer wants them: all layers follow the same vectors.
            qps = self._qps(qp + self.layers[-1].qp_offset)
            vectors, use = self._code_motion(search, self.state.references[0], qps, ports[0], keep)
        references: list[Reference] = []
        lower = None
        for layer, port, own in zip(self.layers, ports, before, strict=False):
            qps = self._qps(qp + layer.qp_offset, offsets)
            code_taps = partial(self._code_taps, x, qp + layer.qp_offset, frame_type, port)
            if own is None:
                reference = codec.code_intra(x, size, qps, port, lower, code_taps, self._move_keyframe)
            else:
                reference = codec.code_inter(x, vectors, own, qps, port, lower, use, code_taps)
            lower = LowerLayer(reference, qps)
            references.append(reference)
        shown = tuple(tuple(map(_to_bytes, reference.shown)) for reference in references)
        # What is shown of a P frame is not what the next one is predicted from; latents are for upper layers.
        nothing = torch.zeros(0)
        kept = tuple(replace(r, filtered=None, u_hat=nothing) for r in references)
        self.state = State(kept, shown, offsets)

    def _code_motion(
        self, search: Search | None, last: Reference, qps: Tensor, port: Port, keep: bool
    ) -> tuple[Tensor, GoldenUse]:
        """Vectors and what is chosen of golden pictures; what was searched in is let go at once."""
        codec = self.model.codec
        if search is None:
            return codec.code_motion(None, last, qps, port)
        motion = search()
        found = LastWord([motion])
        if motion.reconsider:
            vectors, use = codec.code_motion(found, last, qps, EncoderPort())
            found = found.again(vectors, use.choices)
        return codec.code_motion(found, last, qps, port, keep=keep)

    def _code_taps(
        self, x: Picture | None, qp: int, frame_type: FrameType, port: Port, decoded: Picture, before: Tensor
    ) -> Tensor:
        own = None
        if x is not None:
            adaptive_filter, predicts = self.model.codec.adaptive_filter, frame_type is FrameType.P
            own = fitted_offsets(adaptive_filter, decoded, x, clip_qp(qp), before, predicts=predicts)
        return code_offsets(own, before, port)

    def _qps(self, qp: int, offsets: Offsets | None = None) -> Tensor:
        if offsets is None or not offsets.any():
            return torch.full((1, 1, 1), clip_qp(qp), device=self.device)
        return torch.from_numpy(clip_qps(clip_qp(qp), offsets))[None].to(self.device)

    def _offsets_before(self, frame_type: FrameType) -> Offsets:
        """The quality map that holds unless the frame brings one."""
        if frame_type is FrameType.P and self.state is not None:
            return self.state.offsets
        return np.zeros((self.padded_height // LUMA_BLOCK, self.padded_width // LUMA_BLOCK), np.int16)

    def decoded_luma(self) -> Plane:
        """The last frame's decoded luma at the coded size: what the next P frame's vectors move."""
        assert self.state is not None, "no frame has been coded yet"
        return _to_bytes(self.state.references[-1].picture[0])

    def golden_lumas(self) -> list[Plane]:
        """The golden pictures' decoded luma at the coded size, as the next P frame may choose of them."""
        assert self.state is not None, "no frame has been coded yet"
        return [_to_bytes(golden.picture[0]) for golden in self.state.references[-1].goldens]

    def last_vectors(self) -> Floats:
        """Those of the last frame, [padded height/8, padded width/8, 2]."""
        assert self.state is not None, "no frame has been coded yet"
        return self.state.references[0].vectors[0].cpu().numpy()

    def _n_symbols(self, n_latent: int, n_hyper: int) -> int:
        """Elements of the latent of a picture and of its hyper-latent."""
        h, w = self.padded_height // LUMA_BLOCK, self.padded_width // LUMA_BLOCK
        return h * w * n_latent + -(-h // 2) * -(-w // 2) * n_hyper

    def pad_luma(self, plane: Plane) -> Plane:
        """Repeat a luma plane's last row and column up to the coded size."""
        return edged(plane, 0, (self.padded_height - plane.shape[0], self.padded_width - plane.shape[1]))

    def _to_picture(self, frame: Frame) -> Picture:
        def centred(plane: Plane) -> Tensor:
            return torch.from_numpy(plane)[None].to(self.device).float() - CENTRE

        pad = self.padded_height // 2 - frame.u.shape[0], self.padded_width // 2 - frame.u.shape[1]
        u, v = (edged(plane, 0, pad) for plane in (frame.u, frame.v))
        return centred(self.pad_luma(frame.y)), centred(u), centred(v)

    def _to_frames(self, pts: int, duration: int) -> tuple[Frame, ...]:
        """The last coded frame by each layer."""
        assert self.state is not None
        h, w = (self.height + 1) // 2, (self.width + 1) // 2
        return tuple(
            Frame(y[: self.height, : self.width], u[:h, :w], v[:h, :w], pts, duration)
            for y, u, v in self.state.shown
        )


def _to_bytes(plane: Tensor) -> Plane:
    """A centred plane [1, h, w] as 8-bit samples."""
    return (plane[0] + CENTRE).to(torch.uint8).cpu().numpy()
