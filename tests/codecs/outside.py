"""A worked example: the codec of another package, which sends where cars are and takes their size for granted.

Its package registers it so:

    [project.entry-points."carla_cp.codecs"]
    centres = "their_codecs:CentresCodec"
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.base import Bodies, Codec, Room, ViewLike
from carla_cp.codecs.bitstream import HEADER_BYTES, Header, PayloadError
from carla_cp.types import Detections, Shared, Stage

POINT_BYTES = 4  # x, y [half metres], score [1 / 255], yaw [2 pi / 256]


class CentresCodec(Codec[npt.NDArray[np.int8]]):
    """Sends a centre, a heading and a score per box, four bytes each."""

    name = "centres"
    number = 200
    tap = Stage.BOXES

    def bodies(self, view: ViewLike, request: bytes | None) -> Bodies:
        """As many boxes as fit, by falling score, in one packet, however long."""
        found = view.boxes
        order = np.argsort(-found.scores, kind="stable")
        rows = np.column_stack(
            [found.boxes[order, :2] * 2, found.scores[order] * 255 - 128, found.boxes[order, 6] / np.pi * 128]
        )
        said = np.clip(np.rint(rows), -128, 127).astype(np.int8).tobytes()

        def bodies(room: Room) -> list[bytes]:
            return [said if room.total is None else said[: (room.total - HEADER_BYTES) // POINT_BYTES * POINT_BYTES]]

        return bodies

    def read(self, body: bytes) -> npt.NDArray[np.int8]:
        """(boxes, 4). Raises PayloadError."""
        if not body or len(body) % POINT_BYTES:
            raise PayloadError(f"{len(body)} bytes are no list of centres")
        return np.frombuffer(body, np.int8).reshape(-1, POINT_BYTES)

    def reconstruct(self, header: Header, symbols: npt.NDArray[np.int8]) -> Shared:
        """Boxes of a usual car's size."""
        values, count = symbols.astype(np.float64), len(symbols)
        size = np.broadcast_to((4.5, 1.9, 1.6), (count, 3))
        boxes = np.column_stack([values[:, :2] / 2, np.full(count, 0.8), size, values[:, 3] / 128 * np.pi])
        scores = (values[:, 2] + 128) / 255
        order = np.argsort(-scores, kind="stable")
        found = Detections(boxes[order], scores[order], np.zeros(count, np.int64))
        return Shared(header.sender, header.time_us, header.world_from_agent, self.tap, detections=found)
