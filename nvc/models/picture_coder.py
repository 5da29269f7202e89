"""The one conditional coder: codes a picture given a prediction of it, or given nothing (intra).

y is the lapped transform of the picture minus that of the prediction, plus what a network adds; the
decoder adds the prediction back and two networks improve the result, one on coefficients at 1/16 and one
on pixels at 1/8. All three networks start silent, so an untrained coder is a plain transform codec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from nvc import kernels
from nvc.models.block_modes import BlockModes, Modes
from nvc.models.config import CodecConfig
from nvc.models.golden import Golden
from nvc.models.latent_coder import Bounds, LatentCoder, Modulation, uniform_steps, with_magnitude
from nvc.models.layers import (
    Pointwise,
    blocks,
    depth_to_space,
    downsample,
    hard_sigmoid,
    space_to_depth,
    upsample_to,
)
from nvc.models.quantiser import BITS_PER_SQUARED_STEP, Port, latent_bank
from nvc.models.transform import LUMA_BLOCK, PictureTransform, coefficient_frequencies
from nvc.models.warp import round_through

Picture = tuple[Tensor, Tensor, Tensor]
"""Y [b, h, w] and U, V [b, h/2, w/2], float32, centred on 0 (sample value minus 128)."""

N_DEPTH = 96  # 8x8 luma and two 4x4 chroma samples
DEPTH_FACTORS = (8, 4, 4)
PIXEL_SCALE = 64.0
FINEST_STEP = 6.0
QP_PER_DOUBLING = 12.0
# Finer for chroma, and more so at high qp: a decibel there costs few bits (as other codecs' chroma qp).
QP_PER_CHROMA_DOUBLING = 14.75

# Of a lower layer: how far from its coefficients they may be, in its steps, and the table row that goes with
# it, where it sent a symbol and where it did not.
SENT_REACH, SILENT_REACH = 0.1, 0.9
SENT_ROW, SILENT_ROW = 9.0, 13.0
ROWS_PER_QP, ROWS_PER_QP_CHROMA = 132 / 256, 107 / 256  # ln 2 / doubling / LOG_SCALE_STEP


@dataclass(frozen=True)
class Prediction:
    """What is known of a picture before it is coded.

    picture: the motion-compensated previous picture, refined. features_8, features_16: temporal contexts
    [b, h/8, w/8, width_8] and [b, h/16, w/16, width_16]. state: the long-term state, [.., width_16].
    """

    picture: Picture
    features_8: Tensor
    features_16: Tensor
    state: Tensor


@dataclass(frozen=True)
class Reference:
    """What a decoded frame leaves for the next: its picture, features at 1/8, long-term state at 1/16 and
    the vectors [b, h/8, w/8, 2] it was predicted with, in quarters of a luma pixel. For the layer above, the
    modes of its blocks and its latent u_hat [b, h/16, w/16, n_latent] in quantiser steps. goldens: the older
    pictures that the next frame may use. is_kept: whether this becomes one of them. tap_offsets: what is
    added to the adaptive filter's taps in P frames, [N_SETS, N_TAPS]. filtered: what is shown in place of
    the picture of a P frame."""

    picture: Picture
    features: Tensor
    state: Tensor
    vectors: Tensor
    modes: Modes
    u_hat: Tensor
    goldens: tuple[Golden, ...] = ()
    is_kept: bool = False
    tap_offsets: Tensor | None = None
    filtered: Picture | None = None

    @property
    def shown(self) -> Picture:
        """The picture as a viewer gets it."""
        return self.picture if self.filtered is None else self.filtered


@dataclass(frozen=True)
class LowerLayer:
    """What a layer knows of a frame from the one below it. qp: as of PictureCoder.forward."""

    reference: Reference
    qp: Tensor


Move = Callable[[Picture, Modes, Tensor, Tensor], Tensor]
"""An encoder's second thought on the latent of a picture, which has these modes, at this qp: what to code
instead, in quantiser steps."""

Qp = TypeVar("Qp", float, Tensor)


def bits_per_squared_error(qp: Qp, doubling: float = QP_PER_DOUBLING) -> Qp:
    """What a squared error of a sample is worth at this qp; doubling: of steps, in qp."""
    step = FINEST_STEP * 2 ** (qp / doubling)
    return BITS_PER_SQUARED_STEP / (step * step)


def to_depth(picture: Picture) -> Tensor:
    """A picture as one tensor [b, h/8, w/8, 96], in units of PIXEL_SCALE."""
    if len(picture[0]) == 1 and kernels.usable(*picture):
        from nvc.kernels.networks import to_depth as gather

        planes = [(p[0].numpy(), factor) for p, factor in zip(picture, DEPTH_FACTORS, strict=True)]
        return torch.from_numpy(gather(planes, 1 / PIXEL_SCALE))[None]
    y, u, v = (plane[..., None] for plane in picture)
    depth = torch.cat([space_to_depth(y, 8), space_to_depth(u, 4), space_to_depth(v, 4)], dim=-1)
    return depth * (1 / PIXEL_SCALE)


def from_depth(depth: Tensor) -> Picture:
    if len(depth) == 1 and kernels.usable(depth):
        from nvc.kernels.networks import from_depth as scatter

        planes = scatter(depth[0].numpy(), DEPTH_FACTORS, PIXEL_SCALE)
        y, u, v = (torch.from_numpy(p)[None] for p in planes)
        return y, u, v
    y, u, v = (depth * PIXEL_SCALE).split([64, 16, 16], dim=-1)
    return depth_to_space(y, 8)[..., 0], depth_to_space(u, 4)[..., 0], depth_to_space(v, 4)[..., 0]


def finished(picture: Picture) -> Picture:
    """Clip to 8 bits and round; in training the rounding lets gradients pass."""
    y, u, v = (round_through(plane.clamp(-128.0, 127.0)) for plane in picture)
    return y, u, v


def scale_down(qp: Tensor, factor: int) -> Tensor:
    """A qp map of the 1/16 grid on a grid `factor` times finer; uniform qp stays [b, 1, 1]."""
    if qp.shape[1:] == (1, 1):
        return qp
    return qp.repeat_interleave(factor, 1).repeat_interleave(factor, 2)


class PictureCoder(nn.Module):
    """Codes pictures with a prediction (inter) or without one (intra): one class, two sets of weights."""

    def __init__(self, config: CodecConfig, *, predicts: bool) -> None:
        super().__init__()
        state_width = config.width_16
        config = config if predicts else config.of_intra()
        w8, w16 = config.width_8, config.width_16
        self.predicts = predicts
        n = config.n_latent
        self.transform = PictureTransform(n)
        frequency = coefficient_frequencies()[self.transform.kept]
        is_chroma = self.transform.kept >= LUMA_BLOCK**2
        spread = (10.0 if predicts else 40.0) / (0.05 + frequency) * torch.where(is_chroma, 0.3, 1.0) * 0.1
        doubling = torch.where(is_chroma, QP_PER_CHROMA_DOUBLING, QP_PER_DOUBLING)
        self.register_buffer(
            "rows_per_qp", torch.where(is_chroma, ROWS_PER_QP_CHROMA, ROWS_PER_QP), persistent=False
        )
        self.rows_per_qp: Tensor
        steps = uniform_steps(FINEST_STEP, doubling)
        bank = latent_bank(predicts=predicts)
        self.latent_coder = LatentCoder(steps, spread, config.n_hyper, w16, config.depth_prior, bank)

        self.modes = BlockModes(self.transform.kept, frequency, w16, predicts=predicts)

        n_enter = 2 * N_DEPTH + w8 if predicts else N_DEPTH
        self.analysis_enter = Pointwise(n_enter, w8)
        self.analysis_8 = blocks(w8, config.depth_8)
        self.analysis_down = Pointwise(4 * w8, w16)
        self.analysis_modulation = Modulation(w16)
        self.analysis_16 = blocks(w16, config.depth_16)
        self.analysis_leave = Pointwise(w16, n, silent=True)

        if predicts:
            self.conditioning = Pointwise(2 * n, w16)
        self.synthesis_enter = Pointwise(n, w16)
        self.synthesis_modulation = Modulation(w16)
        self.synthesis_16 = blocks(w16, config.depth_16)
        self.synthesis_leave = Pointwise(w16, n, silent=True)
        self.state_update = Pointwise(w16, 2 * state_width)

        self.filter_enter = Pointwise(N_DEPTH, w8)
        self.filter_up = Pointwise(w16, 4 * w8)
        self.filter_modulation = Modulation(w8)
        self.filter = blocks(w8, config.depth_filter)
        self.filter_leave = Pointwise(w8, N_DEPTH, silent=True)

    def forward(
        self,
        x: Picture | None,
        prediction: Prediction | None,
        size: tuple[int, int, int],
        qp: Tensor,
        port: Port,
        lower: LowerLayer | None = None,
        move: Move | None = None,
    ) -> tuple[Picture, Tensor, Tensor, Modes, Tensor]:
        """Code picture x, or decode it when it is None.

        size: batch, height and width (multiples of 16). qp: int64 [b, 1, 1] or [b, h/16, w/16]. lower: what
        is decoded of it already; a latent with such bounds is not moved. Returns the decoded picture, not yet
        clipped or rounded, its features, the new long-term state, the modes of its blocks, and the latent in
        quantiser steps.
        """
        whole = None if prediction is None else self.transform(prediction.picture)
        wanted = None
        if x is not None:
            wanted = modes, u = self.prepare(x, prediction, whole, qp, lower)
            if move is not None and lower is None:
                wanted = modes, move(x, modes, u, qp)
            del u
        modes, predicted, u_hat = self.code_latent(wanted, prediction, whole, size, qp, port, lower)
        del whole, wanted  # where coefficients of a large picture are let go, the next ones find room
        step = self.latent_coder.step(qp)
        y_hat = self.modes.block_split.inverse(u_hat * step, modes.split)
        return *self.synthesise(predicted + y_hat, y_hat / step, prediction, qp), modes, u_hat

    def code_latent(
        self,
        wanted: tuple[Modes, Tensor] | None,
        prediction: Prediction | None,
        whole: Tensor | None,
        size: tuple[int, int, int],
        qp: Tensor,
        port: Port,
        lower: LowerLayer | None = None,
    ) -> tuple[Modes, Tensor | float, Tensor]:
        """Code modes and latent, those of `prepare`, or decode them when None; whole: the prediction's
        coefficients. Returns the modes, the coefficients of what they leave of the prediction, and the
        decoded latent in quantiser steps."""
        chosen, u = wanted or (None, None)
        conditioning = self._condition(prediction, whole, size, qp)
        features = self.latent_coder.code_hyper(u, conditioning, qp, port)
        modes = self.modes.code(chosen, features, port) if lower is None else lower.reference.modes
        predicted = self._blurred(whole, modes)
        features = features + self.modes.describe(modes)
        bounds = None if lower is None else self._bounds(lower, predicted, qp)
        return modes, predicted, self.latent_coder.code_parts(u, features, qp, port, bounds)

    def _condition(
        self, prediction: Prediction | None, whole: Tensor | None, size: tuple[int, int, int], qp: Tensor
    ) -> Tensor:
        """What the entropy model is told of the prediction, [b, h/16, w/16, width]; 0 without one."""
        if prediction is None or whole is None:
            b, height, width = size
            n = self.synthesis_enter.bias.shape[0]
            return torch.zeros(b, height // 16, width // 16, n, device=qp.device)
        energy = with_magnitude((whole / self.latent_coder.step(qp)).clamp(-16.0, 16.0))
        return prediction.features_16 + self.conditioning(energy)

    def prepare(
        self,
        x: Picture,
        prediction: Prediction | None,
        whole: Tensor | None,
        qp: Tensor,
        lower: LowerLayer | None,
    ) -> tuple[Modes, Tensor]:
        """Modes and latent, in quantiser steps, of a picture to be coded (encoder only).

        whole: the prediction's coefficients.
        """
        step = self.latent_coder.step(qp)
        own = self.transform(x) + self.analyse(x, prediction, qp)
        modes = self.modes.choose(own, whole, step) if lower is None else lower.reference.modes
        return modes, self._split(own - self._blurred(whole, modes), modes) / step

    def _blurred(self, predicted: Tensor | None, modes: Modes) -> Tensor | float:
        return 0.0 if predicted is None else self.modes.blurred(predicted, modes)

    def _split(self, coefficients: Tensor, modes: Modes) -> Tensor:
        return self.modes.block_split(coefficients, modes.split)

    def _bounds(self, lower: LowerLayer, predicted: Tensor | float, qp: Tensor) -> Bounds:
        """Where the layer below has the coefficients of the latent, seen from this layer's prediction.

        A coefficient is not far from what the lower layer decoded, closer where it sent a symbol than where
        it had nothing to say; within that, this layer's own prediction is the better guess. (Rose and
        Regunathan, "Toward optimality in scalable predictive coding", IEEE Trans. Image Processing 10(7),
        2001.)
        """
        step, lower_step = self.latent_coder.step(qp), self.latent_coder.step(lower.qp)
        is_sent = lower.reference.u_hat.abs() > 0.5
        reach = torch.where(is_sent, SENT_REACH, SILENT_REACH) * (lower_step / step)
        difference = self.transform(lower.reference.picture) - predicted
        centre = self._split(difference, lower.reference.modes) / step
        finer = (lower.qp - qp)[..., None] * self.rows_per_qp
        row = (torch.where(is_sent, SENT_ROW, SILENT_ROW) + finer).floor()
        return Bounds(centre - reach, centre + reach, row)

    def analyse(self, x: Picture, prediction: Prediction | None, qp: Tensor) -> Tensor:
        """What the analysis network adds to the transformed residual (encoder only)."""
        parts = [to_depth(x)]
        if prediction is not None:
            parts += [to_depth(prediction.picture), prediction.features_8]
        h8 = self.analysis_8(self.analysis_enter(torch.cat(parts, dim=-1)))
        h16 = self.analysis_down(downsample(h8))
        if prediction is not None:
            h16 = h16 + prediction.features_16
        h16 = self.analysis_16(self.analysis_modulation(h16, qp))
        return self.analysis_leave(h16) * self.latent_coder.step(qp)

    def synthesise(
        self, coefficients: Tensor, u_hat: Tensor, prediction: Prediction | None, qp: Tensor
    ) -> tuple[Picture, Tensor, Tensor]:
        """The picture of coefficients, improved; u_hat: what was sent of them, in quantiser steps. No block
        is split here."""
        h16 = self.synthesis_enter(u_hat.clamp(-16.0, 16.0))
        if prediction is not None:
            h16 = h16 + prediction.features_16
        h16 = self.synthesis_16(self.synthesis_modulation(h16, qp))
        gate, candidate = self.state_update(h16).chunk(2, dim=-1)
        candidate = candidate.clamp(-4.0, 4.0)
        if prediction is None:
            state = hard_sigmoid(gate) * candidate
        else:
            state = prediction.state + hard_sigmoid(gate) * (candidate - prediction.state)

        correction = self.synthesis_leave(h16) * self.latent_coder.step(qp)
        plain = self.transform.inverse(coefficients + correction)
        h8 = self.filter_enter(to_depth(plain))
        if prediction is not None:
            h8 = h8 + prediction.features_8
        h8 = h8 + upsample_to(self.filter_up(h16), h8)
        features = self.filter(self.filter_modulation(h8, scale_down(qp, 2)))
        change = from_depth(self.filter_leave(features))
        picture = (plain[0] + change[0], plain[1] + change[1], plain[2] + change[2])
        return picture, features, state
