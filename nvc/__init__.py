"""A neural video codec: real video in, a real entropy-coded file, real video out.

Names are imported when they are first used, so that `import nvc` does not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bitstream_spec import (
        CorruptStream,
        LimitExceeded,
        Limits,
        StreamError,
        TruncatedStream,
        UnsupportedStream,
    )
    from nvc.config import EncoderConfig
    from nvc.decoder import Decoder
    from nvc.encoder import EncodedFrame, Encoder
    from nvc.errors import ConfigError, DecodeError, MediaError, ModelError, NvcError, WorkerError
    from nvc.files.decode import decode
    from nvc.files.encode import encode
    from nvc.files.extract import extract
    from nvc.files.info import read_info
    from nvc.files.verify import verify
    from nvc.frames import Frame

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "CorruptStream",
    "DecodeError",
    "Decoder",
    "EncodedFrame",
    "Encoder",
    "EncoderConfig",
    "Frame",
    "LimitExceeded",
    "Limits",
    "MediaError",
    "ModelError",
    "NvcError",
    "StreamError",
    "TruncatedStream",
    "UnsupportedStream",
    "WorkerError",
    "__version__",
    "decode",
    "encode",
    "extract",
    "read_info",
    "verify",
]

_HOMES = {
    "bitstream_spec": (
        "CorruptStream",
        "LimitExceeded",
        "Limits",
        "StreamError",
        "TruncatedStream",
        "UnsupportedStream",
    ),
    "nvc.config": ("EncoderConfig",),
    "nvc.decoder": ("Decoder",),
    "nvc.encoder": ("EncodedFrame", "Encoder"),
    "nvc.errors": ("ConfigError", "DecodeError", "MediaError", "ModelError", "NvcError", "WorkerError"),
    "nvc.files.decode": ("decode",),
    "nvc.files.encode": ("encode",),
    "nvc.files.extract": ("extract",),
    "nvc.files.info": ("read_info",),
    "nvc.files.verify": ("verify",),
    "nvc.frames": ("Frame",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'nvc' has no attribute {name!r}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
