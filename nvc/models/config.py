"""Sizes of a codec: the same code from a test model to a billion parameters, by configuration."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

N_QP = 64  # qp 0..63, lower is better


@dataclass(frozen=True)
class CodecConfig:
    """Widths are channels, depths are numbers of blocks.

    `width_8` and `width_16` are the networks' widths at 1/8 and 1/16 of the picture's resolution.
    """

    name: str
    n_latent: int  # how many of a block's 384 coefficients are coded, lowest frequencies first
    width_8: int
    width_16: int
    depth_8: int
    depth_16: int
    depth_prior: int
    depth_filter: int
    n_hyper: int
    motion_width: int
    intra_width_16: int = 0  # `width_16` of the intra coder; 0 = the same

    def of_intra(self) -> CodecConfig:
        """Sizes of the intra coder's own networks."""
        return replace(self, width_16=self.intra_width_16 or self.width_16)

    def to_dict(self) -> dict[str, int | str]:
        return asdict(self)


CONFIGS = {
    config.name: config
    for config in (
        CodecConfig("tiny", 64, 8, 8, 1, 1, 1, 1, 4, 8),
        CodecConfig("s", 384, 80, 128, 2, 2, 1, 3, 24, 64, 256),
        CodecConfig("m", 384, 160, 256, 3, 4, 3, 5, 48, 96),
        CodecConfig("l", 384, 320, 512, 6, 8, 6, 8, 64, 128),
        CodecConfig("xl", 384, 1280, 2560, 12, 20, 12, 12, 128, 256),
    )
}
