"""What nvc raises.

NvcError
    MediaError          a video, picture or sound file cannot be read or written
    ConfigError         a setting is outside its range
    ModelError          the weights a stream or command names are missing or damaged
    DecodeError         a frame is damaged, or decodes to something else than the encoder had
    WorkerError         a worker process died
bitstream_spec.StreamError is the other family: the .nvc file itself is at fault.
"""

from __future__ import annotations


class NvcError(Exception):
    """Base of all errors raised by nvc itself; the message is one line for the user."""


class MediaError(NvcError):
    """A video, picture or sound file cannot be read or written."""


class ConfigError(NvcError):
    """A setting is outside its range."""


class ModelError(NvcError):
    """The weights that a stream or a command names are missing, damaged or of another kind."""


class DecodeError(NvcError):
    """A decoded frame differs from the encoder's reconstruction: it was damaged, or arithmetic differs."""


class WorkerError(NvcError):
    """A worker process of a run with several jobs died, or failed in a way that it could not tell."""
