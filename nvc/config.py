"""Settings of an encoder, checked once when they are made."""

from __future__ import annotations

from dataclasses import dataclass

from nvc.errors import ConfigError

QP_MAX = 63
PRESETS = ("fast", "medium", "slow")
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class EncoderConfig:
    """How to encode. Raises ConfigError, with the value and what is allowed, for a setting out of range."""

    model: str = "s"
    """A model's name (its newest installed weights), a weights id of 16 hex digits, or a weights file."""
    qp: int = 32
    """Quantisation parameter 0..63, lower is better; frames differ from it by a fixed cascade."""
    keyint: int = 250
    """Frames from one keyframe to the next at most; -1 puts one at the start only."""
    scene_cut: bool = True
    """Whether a scene cut begins a new GOP."""
    preset: str = "medium"
    """How long the encoder searches for motion: fast, medium or slow."""
    device: str = "cpu"
    """Where the networks run: cpu or cuda. The stream does not depend on it."""
    threads: int = 0
    """Threads for the networks on a CPU; 0 leaves it to torch."""

    def __post_init__(self) -> None:
        if not 0 <= self.qp <= QP_MAX:
            raise ConfigError(f"qp {self.qp} is outside 0..{QP_MAX}")
        if self.keyint != -1 and self.keyint < 1:
            raise ConfigError(f"keyint {self.keyint} is neither positive nor -1")
        if self.preset not in PRESETS:
            raise ConfigError(f"preset {self.preset!r} is not one of {', '.join(PRESETS)}")
        if self.device not in DEVICES:
            raise ConfigError(f"device {self.device!r} is not one of {', '.join(DEVICES)}")
        if self.threads < 0:
            raise ConfigError(f"threads {self.threads} is negative")
