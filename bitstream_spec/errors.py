"""What a stream can do wrong.

StreamError
    TruncatedStream     the bytes end before the stream does
    CorruptStream       the bytes are not what an encoder wrote: checksum, order or value
    UnsupportedStream   well-formed as far as can be told, but of a kind this reader does not know
    LimitExceeded       well-formed, but larger than the caller's Limits
"""

from __future__ import annotations


class StreamError(Exception):
    """Base of everything this package raises about a stream; the message is one line for the user."""


class TruncatedStream(StreamError):
    """The bytes end before the stream does."""


class CorruptStream(StreamError):
    """A checksum, the order of units or a value is not what an encoder wrote."""


class UnsupportedStream(StreamError):
    """The stream uses a version, a unit or a value that this reader does not know."""


class LimitExceeded(StreamError):
    """A size is legal in the format but over the caller's Limits."""
