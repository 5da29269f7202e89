"""Settings of an encoder, checked once when they are made."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bitstream_spec.checks import MAX_LAYERS
from nvc.errors import ConfigError

QP_MAX = 63
DEFAULT_QP = 32
MAX_PASSES = 3
LAYER_QP_STEP = 20  # layers closer to each other cost more together (README)
MAX_AQ = 8
PRESETS = ("fast", "medium", "slow")
IMPORTANCE_METRICS = ("ms-ssim",)
FLOWS = ("dis", "pyramid")
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class EncoderConfig:
    """How to encode. Raises ConfigError, with the value and what is allowed, for a setting out of range."""

    model: str = "s"
    """A model's name (its newest installed weights), a weights id of 16 hex digits, or a weights file."""
    qp: int | None = None
    """Quantisation parameter 0..63, lower is better; frames differ from it by a fixed cascade. None: 32, or
    what a target asks for. At most one of qp, bitrate_kbps, size_bytes and psnr_db is set."""
    layers: int = 1
    """Layers of quality in the stream, 1..4; all together have the quality of qp or of the target, and each
    one less is LAYER_QP_STEP coarser."""
    layer_qp: tuple[int, ...] | None = None
    """The qp of each layer, from the base up, in place of `layers` and `qp`."""
    keyint: int = 250
    """Frames from one keyframe to the next at most; -1 puts one at the start only."""
    scene_cut: bool = True
    """Whether a scene cut begins a new GOP."""
    preset: str = "medium"
    """How long the encoder searches for motion, and for what to send of keyframes: fast, medium or slow."""
    flow: str = "dis"
    """The optical flow that a motion search begins with: dis, dense inverse search, or pyramid, a network."""
    device: str = "cpu"
    """Where the networks run: cpu or cuda. The stream does not depend on it."""
    threads: int = 0
    """Threads for the networks on a CPU; 0 leaves it to torch."""
    bitrate_kbps: float | None = None
    """Target: kilobits per second of the whole stream less its sound."""
    size_bytes: int | None = None
    """Target: bytes of the whole stream, sound included; takes two passes or more."""
    psnr_db: float | None = None
    """Target: mean over frames of (6 Y + U + V) / 8 PSNR."""
    passes: int | None = None
    """How often the video is coded, steered by the pass before, 1..3; None: 2 for a size, else 1."""
    maxrate_kbps: float | None = None
    """The rate at which a decoder's buffer of bufsize_kbits is filled; frames are made to fit in it."""
    bufsize_kbits: float | None = None
    """None: one second of maxrate."""
    roi: tuple[str, ...] = ()
    """Regions of interest: boxes "x,y,w,h" or "x,y,w,h,offset" in luma samples, and files of masks, picture
    or video, whose white is better and whose black is worse."""
    roi_strength: int = 12
    """qp that white and boxes are better, and black is worse."""
    aq: float = 0.0
    """Adaptive quantisation: qp added to blocks of twice the variance; 0 is off."""
    importance: str | None = None
    """Give blocks bits as the learned importance map for this metric has it: ms-ssim, or None."""

    def __post_init__(self) -> None:
        self._check_target()
        self._check_layers()
        if self.keyint != -1 and self.keyint < 1:
            raise ConfigError(f"keyint {self.keyint} is neither positive nor -1")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset {self.preset!r} is not one of {', '.join(PRESETS)}")
        if self.flow not in FLOWS:
            raise ConfigError(f"flow {self.flow!r} is not one of {', '.join(FLOWS)}")
        if self.device not in DEVICES:
            raise ConfigError(f"device {self.device!r} is not one of {', '.join(DEVICES)}")
        if self.threads < 0:
            raise ConfigError(f"threads {self.threads} is negative")

    @property
    def base_qp(self) -> int:
        if self.layer_qp is not None:
            return self.layer_qp[-1]
        return DEFAULT_QP if self.qp is None else self.qp

    @property
    def gop_frames(self) -> int | None:
        """The most frames a GOP has; None: as many as come."""
        return self.keyint if self.keyint > 0 else None

    @property
    def layer_qp_offsets(self) -> tuple[int, ...]:
        """What each layer from the base up adds to a frame's qp; 0 for the last."""
        if self.layer_qp is not None:
            return tuple(qp - self.layer_qp[-1] for qp in self.layer_qp)
        return tuple(LAYER_QP_STEP * above for above in reversed(range(self.layers)))

    @property
    def n_passes(self) -> int:
        return self.passes or (1 if self.size_bytes is None else 2)

    @property
    def has_target(self) -> bool:
        """Whether qp follows a bitrate, a size or a PSNR."""
        return any(target is not None for target in (self.bitrate_kbps, self.size_bytes, self.psnr_db))

    @property
    def is_steered(self) -> bool:
        """Whether a frame's qp depends on what the frames before it took."""
        return self.has_target or self.maxrate_kbps is not None

    @property
    def has_quality_maps(self) -> bool:
        """Whether parts of a picture get more of the bits than others."""
        return bool(self.roi or self.aq or self.importance)

    def _check_layers(self) -> None:
        if not 1 <= self.layers <= MAX_LAYERS:
            raise ConfigError(f"layers {self.layers} is outside 1..{MAX_LAYERS}")
        if self.layer_qp is None:
            return
        given = ", ".join(map(str, self.layer_qp))
        if not 1 <= len(self.layer_qp) <= MAX_LAYERS or self.layers not in (1, len(self.layer_qp)):
            raise ConfigError(f"layer_qp {given} has not one qp for each of the layers")
        if not all(0 <= qp <= QP_MAX for qp in self.layer_qp):
            raise ConfigError(f"layer_qp {given} is not within 0..{QP_MAX}")
        if list(self.layer_qp) != sorted(set(self.layer_qp), reverse=True):
            raise ConfigError(f"layer_qp {given} does not become finer from each layer to the next")

    def _check_target(self) -> None:
        if not 0 <= self.base_qp <= QP_MAX:
            raise ConfigError(f"qp {self.qp} is outside 0..{QP_MAX}")
        targets = {
            "qp": self.qp,
            "layer_qp": self.layer_qp,
            "bitrate": self.bitrate_kbps,
            "size": self.size_bytes,
            "psnr": self.psnr_db,
        }
        named = [name for name, value in targets.items() if value is not None]
        if len(named) > 1:
            raise ConfigError(f"{' and '.join(named)} are targets of one encode: give one of them")
        for name in ("bitrate_kbps", "size_bytes", "psnr_db", "maxrate_kbps", "bufsize_kbits"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ConfigError(f"{name} {value} is not positive")
        if self.bufsize_kbits is not None and self.maxrate_kbps is None:
            raise ConfigError("bufsize needs maxrate beside it")
        if not 0 <= self.roi_strength <= QP_MAX:
            raise ConfigError(f"roi_strength {self.roi_strength} is outside 0..{QP_MAX}")
        if not 0 <= self.aq <= MAX_AQ:
            raise ConfigError(f"aq {self.aq} is outside 0..{MAX_AQ}")
        if self.importance not in (None, *IMPORTANCE_METRICS):
            raise ConfigError(f"importance {self.importance!r} is not one of {', '.join(IMPORTANCE_METRICS)}")
        if self.passes is not None and not 1 <= self.passes <= MAX_PASSES:
            raise ConfigError(f"passes {self.passes} is outside 1..{MAX_PASSES}")
        if self.n_passes > 1 and not self.has_target:
            raise ConfigError("several passes need a bitrate, a size or a PSNR to steer to")
        if self.n_passes == 1 and self.size_bytes is not None:
            raise ConfigError("a size needs 2 passes or 3")
