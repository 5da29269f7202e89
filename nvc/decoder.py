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
        self,
        header: StreamHeader,
        *,
        device: str = "cpu",
        threads: int = 0,
        verify: bool = True,
        n_layers: int | None = None,
    ) -> None:
        """With `verify` every frame's checksums are compared; without, damage to a base layer goes unnoticed.

        n_layers: decode no more than so many, from the base up.
        """
        use_threads(device, threads)
        model = load_model(header.model_id_hex, device)
        self._coder = FrameCoder(model, header.width, header.height, device, header.layers)
        self._verify = verify
        self._n_layers = n_layers or len(header.layers)
        self._index = -1

    def decode(self, packet: FramePacket, index: int | None = None) -> Frame:
        """Decode the next packet by as many layers as are whole; see decode_layers."""
        return self.decode_layers(packet, index)[-1]

    def decode_layers(self, packet: FramePacket, index: int | None = None) -> tuple[Frame, ...]:
        """Decode the next packet; a P packet needs the frame decoded just before it.

        Returns the frame by each layer from the base up. Layers that are missing or not intact, and in P
        frames those that the frame before lacked, are left out.
        `index` is the frame's number in the whole stream, for messages; by default one more than the last.
        Raises CorruptStream where payloads do not fit the frame, DecodeError where the decoded planes differ
        from the encoder's; damage shows as either. After that only a keyframe can be decoded.
        """
        self._index = self._index + 1 if index is None else index
        try:
            return self._decode(packet)
        except (StreamError, DecodeError):
            self._coder.state = None
            raise

    def _decode(self, packet: FramePacket) -> tuple[Frame, ...]:
        where = f"frame {self._index} (pts {packet.pts})"
        if packet.frame_type is FrameType.P and self._coder.state is None:
            raise CorruptStream(f"{where}: a P frame without a keyframe or a whole frame before it")
        try:
            whole = packet.with_layers(min(packet.n_whole_layers, self._n_layers))
            return self._coder.decode(whole, verify=self._verify)
        except StreamError as error:
            raise type(error)(f"{where}: {error}") from error
        except DecodeError as error:
            raise DecodeError(f"{where}{error}") from error
