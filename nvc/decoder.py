"""Packets to frames, each checked against the encoder's checksum."""

from __future__ import annotations

from bitstream_spec import CorruptStream, FramePacket, FrameType, StreamHeader
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
        self.n_decoded = 0

    def decode(self, packet: FramePacket) -> Frame:
        """Decode the next packet; a P packet needs the frame decoded just before it.

        Raises CorruptStream where payloads do not fit the frame, DecodeError where the decoded planes
        differ from the encoder's.
        """
        if packet.frame_type is FrameType.P and self._coder.state is None:
            raise CorruptStream("a P frame without a keyframe before it")
        if any(not part.intact for part in packet.substreams):
            raise CorruptStream(f"frame {self.n_decoded} is damaged")
        frame = self._coder.decode(
            packet.substreams, packet.frame_type, packet.qp, packet.pts, packet.duration
        )
        if self._verify and frame.checksum() != packet.checksums[0]:
            raise DecodeError(
                f"frame {self.n_decoded} (pts {packet.pts}) differs from the encoder's: checksum "
                f"{frame.checksum():08x}, expected {packet.checksums[0]:08x}"
            )
        self.n_decoded += 1
        return frame
