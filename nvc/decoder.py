"""Packets to frames, each checked against the encoder's checksum."""

from __future__ import annotations

from bitstream_spec import CorruptStream, FramePacket, FrameType, StreamError, StreamHeader
from nvc.devices import use_threads
from nvc.errors import DecodeError
from nvc.frame_coder import FrameCoder
from nvc.frames import Frame
from nvc.model_store import load_model


class Decoder:
    """Decodes the packets of one stream, in coding order.

    Raises ModelError if the weights that the stream names are not installed.
    """

    def __init__(
        self, header: StreamHeader, *, device: str = "cpu", threads: int = 0, verify: bool = True
    ) -> None:
        """With `verify` every frame's checksum is compared; without, a difference goes unnoticed."""
        use_threads(device, threads)
        model = load_model(header.model_id_hex, device)
        self._coder = FrameCoder(model, header.width, header.height, device)
        self._verify = verify
        self._index = -1

    def decode(self, packet: FramePacket, index: int | None = None) -> Frame:
        """Decode the next packet; a P packet needs the frame decoded just before it.

        `index` is the frame's number in the whole stream, for messages; by default one more than the last.
        Raises CorruptStream where payloads do not fit the frame, DecodeError where the decoded planes differ
        from the encoder's. After that only a keyframe can be decoded.
        """
        self._index = self._index + 1 if index is None else index
        try:
            return self._decode(packet)
        except (StreamError, DecodeError):
            self._coder.state = None
            raise

    def _decode(self, packet: FramePacket) -> Frame:
        where = f"frame {self._index} (pts {packet.pts})"
        if packet.frame_type is FrameType.P and self._coder.state is None:
            raise CorruptStream(f"{where}: a P frame without a keyframe or a whole frame before it")
        try:
            frame = self._coder.decode(packet)
        except StreamError as error:
            raise type(error)(f"{where}: {error}") from error
        if self._verify and frame.checksum() != packet.checksums[0]:
            raise DecodeError(
                f"{where} differs from the encoder's: checksum "
                f"{frame.checksum():04x}, expected {packet.checksums[0]:04x}"
            )
        return frame
