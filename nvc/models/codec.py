"""The whole codec as networks: intra pictures, motion, temporal contexts, inter pictures.

A frame's road: `code_intra`, or `code_motion`, `predict` (warping, contexts) and then the inter coder; for
each layer above the base the same again, with the base's vectors. With a picture given it is the encoder's
road, without one the decoder's; both run the very same code.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from nvc.models.adaptive_filter import N_SETS, N_TAPS, AdaptiveFilter
from nvc.models.config import CodecConfig
from nvc.models.golden import Choice, Choose, Golden, GoldenUse, code_use, goldens_after
from nvc.models.layers import Pointwise, blocks, downsample, upsample_to
from nvc.models.motion_coder import Decision, MotionCoder
from nvc.models.picture_coder import (
    N_DEPTH,
    LowerLayer,
    Move,
    Picture,
    PictureCoder,
    Prediction,
    Reference,
    finished,
    from_depth,
    to_depth,
)
from nvc.models.quantiser import Port
from nvc.models.warp import (
    feature_vectors,
    pool_vectors,
    warp_features,
    warp_picture,
)

CodeTaps = Callable[[Picture, Tensor], Tensor]
"""Codes what is added to the adaptive filter's taps, see `code_offsets`; from the picture that is to be
filtered and what was added before."""


class FoundVectors(Decision, Protocol):
    """What an encoder has found for a P frame: vectors as for `code_vectors`, its last word on them when it
    is known what they cost, and a Choose."""

    vectors: Tensor

    def choose(self, goldens: Sequence[Golden], vectors: Tensor) -> tuple[Choice, ...]: ...


class TemporalContexts(nn.Module):
    """Contexts at 1/8, 1/16 and 1/32 from the warped picture, features and long-term state.

    The coarsest is folded back into the middle one, which is where it is used. (Sheng et al., "Temporal
    context mining", 2022.) The finest also refines the warped picture: what piles up below the rounding
    threshold over a chain is noise that only a network can tell from detail, and it must go before the
    difference is taken.
    """

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        w8, w16 = config.width_8, config.width_16
        self.enter = Pointwise(N_DEPTH + w8, w8)
        self.blocks_8 = blocks(w8, config.depth_8)
        self.down_16 = Pointwise(4 * w8, w16)
        self.state_enter = Pointwise(w16, w16)
        self.blocks_16 = blocks(w16, config.depth_16)
        self.down_32 = Pointwise(4 * w16, w16)
        self.blocks_32 = blocks(w16, 1)
        self.up_16 = Pointwise(w16, 4 * w16, silent=True)
        self.refine = Pointwise(w8, N_DEPTH, silent=True)

    def forward(self, picture: Picture, features: Tensor, state: Tensor) -> Prediction:
        c8 = self.blocks_8(self.enter(torch.cat([to_depth(picture), features], dim=-1)))
        c16 = self.blocks_16(self.down_16(downsample(c8)) + self.state_enter(state))
        c32 = self.blocks_32(self.down_32(downsample(c16)))
        c16 = c16 + upsample_to(self.up_16(c32), c16)
        change = from_depth(self.refine(c8))
        refined = (picture[0] + change[0], picture[1] + change[1], picture[2] + change[2])
        return Prediction(refined, c8, c16, state)


class Codec(nn.Module):
    """All networks of one model."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.intra = PictureCoder(config, predicts=False)
        self.motion = MotionCoder(config)
        self.contexts = TemporalContexts(config)
        self.inter = PictureCoder(config, predicts=True)
        self.adaptive_filter = AdaptiveFilter()

    def code_intra(
        self,
        x: Picture | None,
        size: tuple[int, int, int],
        qp: Tensor,
        port: Port,
        lower: LowerLayer | None = None,
        code_taps: CodeTaps | None = None,
        move: Move | None = None,
    ) -> Reference:
        """Code a picture by itself; x is None in a decoder. size: batch, height, width, multiples of 16.
        code_taps: None where nothing is added to taps, as in training. move: of an encoder."""
        picture, features, state, modes, u_hat = self.intra(x, None, size, qp, port, lower, move)
        b, h, w = size
        vectors = torch.zeros(b, h // 8, w // 8, 2, device=qp.device)
        filtered, _ = self._filter(finished(picture), qp, None, code_taps, predicts=False)
        return Reference(filtered, features, state, vectors, modes, u_hat, is_kept=True)

    def code_vectors(
        self,
        vectors: Tensor | None,
        reference: Reference,
        qp: Tensor,
        port: Port,
        decide: Decision | None = None,
    ) -> Tensor:
        """Code the vectors of a picture, or decode them when they are None; returns them.

        vectors: [b, h/8, w/8, 2] float32, whole quarters of a luma pixel. qp: of the picture, [b, 1, 1].
        decide: see MotionCoder.forward.
        """
        return self.motion(vectors, reference.vectors, qp, port, decide)

    def code_motion(
        self, found: FoundVectors | None, reference: Reference, qp: Tensor, port: Port, *, keep: bool = False
    ) -> tuple[Tensor, GoldenUse]:
        """Code vectors and what is chosen of golden pictures, or decode both when found is None."""
        own = None if found is None else found.vectors.to(qp.device)
        vectors = self.code_vectors(own, reference, qp, port, found)
        choose = None if found is None else found.choose
        return vectors, self.code_golden_use(choose, reference, vectors, port, keep=keep)

    def code_golden_use(
        self,
        choose: Choose | None,
        reference: Reference,
        vectors: Tensor,
        port: Port,
        *,
        keep: bool = False,
    ) -> GoldenUse:
        """Code which superblocks use golden pictures, or decode it; vectors: coded, of the same picture.

        choose: makes an encoder's choice. keep: whether it wants this picture to become a golden one.
        """
        goldens = reference.goldens
        use = None if choose is None else GoldenUse(choose(goldens, vectors), keep)
        return code_use(use, goldens, vectors, port)

    def code_inter(
        self,
        x: Picture | None,
        vectors: Tensor,
        reference: Reference,
        qp: Tensor,
        port: Port,
        lower: LowerLayer | None = None,
        use: GoldenUse | None = None,
        code_taps: CodeTaps | None = None,
    ) -> Reference:
        """Code a picture given the frame before it and decoded vectors; x is None in a decoder.

        use: decoded, too; it and code_taps are None where nobody chooses.
        """
        prediction = self.predict(reference, vectors, use)
        before = reference.tap_offsets
        coded = self.code_predicted(x, prediction, vectors, qp, port, lower, code_taps, before)
        return coded if use is None else with_goldens(coded, reference, use)

    def code_predicted(
        self,
        x: Picture | None,
        prediction: Prediction,
        vectors: Tensor,
        qp: Tensor,
        port: Port,
        lower: LowerLayer | None = None,
        code_taps: CodeTaps | None = None,
        taps_before: Tensor | None = None,
    ) -> Reference:
        """What follows motion compensation in `code_inter`; golden pictures are left to `with_goldens`."""
        b, h, w = prediction.picture[0].shape
        picture, features, state, modes, u_hat = self.inter(x, prediction, (b, h, w), qp, port, lower)
        decoded = finished(picture)
        filtered, offsets = self._filter(decoded, qp, taps_before, code_taps, predicts=True)
        left = Reference(decoded, features, state, vectors, modes, u_hat)
        return replace(left, tap_offsets=offsets, filtered=filtered)

    def predict(self, reference: Reference, vectors: Tensor, use: GoldenUse | None = None) -> Prediction:
        """Bring what the last frame left, and what is chosen of golden pictures, to where things are."""
        goldens = [
            (golden.picture, choice.of_blocks(*vectors.shape[1:3]))
            for golden, choice in zip(reference.goldens, use.choices if use else (), strict=use is not None)
            if choice.kinds.any()
        ]
        picture = warp_picture(reference.picture, vectors, goldens)
        features = warp_features(reference.features, feature_vectors(vectors))
        state = warp_features(reference.state, pool_vectors(vectors))
        return self.contexts(picture, features, state)

    def _filter(
        self, picture: Picture, qp: Tensor, before: Tensor | None, code: CodeTaps | None, *, predicts: bool
    ) -> tuple[Picture, Tensor | None]:
        """The picture filtered, and what is added to taps."""
        offsets = None
        if code is not None:
            nothing = picture[0].new_zeros(N_SETS, N_TAPS)
            offsets = code(picture, nothing if before is None else before)
        return self.adaptive_filter(picture, qp, offsets, predicts=predicts), offsets


def with_goldens(coded: Reference, before: Reference, use: GoldenUse) -> Reference:
    """A coded P frame with the golden pictures of the next; before: what it was predicted from."""
    kept = before.picture if before.is_kept else None
    goldens = goldens_after(before.goldens, use.choices, coded.vectors, kept)
    return replace(coded, goldens=goldens, is_kept=use.keep)
