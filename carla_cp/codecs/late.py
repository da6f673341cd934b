"""Late fusion: the sender's own boxes, quantised to centimetres, best scores first."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from carla_cp.codecs.base import Codec, ViewLike
from carla_cp.codecs.bitstream import Header, PayloadError
from carla_cp.types import Detections, IntArray, ObjectClass, Shared, Stage

MAX_BOXES = 1024
_ROW = np.dtype(
    [
        ("centre", "<i2", 3),  # [cm]
        ("length", "<u2"),  # [cm]
        ("side", "u1", 2),  # width and height [2 cm]
        ("yaw", "<i2"),  # [2 pi / 65536]
        ("score", "u1"),  # [1 / 255]
        ("label", "u1"),  # ObjectClass
    ]
)
_ANGLE_STEP = 2 * math.pi / 65536


class LateCodec(Codec[npt.NDArray[np.void]]):
    """Sends boxes, 14 bytes each."""

    name = "late"
    number = 2
    tap = Stage.BOXES

    def body(self, view: ViewLike, room: int | None) -> bytes:
        """As many boxes as fit, by falling score; no boxes, no message."""
        found = view.boxes
        order = np.argsort(-found.scores, kind="stable")[: MAX_BOXES if room is None else room // _ROW.itemsize]
        return quantise(found, order[:MAX_BOXES]).tobytes()

    def read(self, body: bytes) -> npt.NDArray[np.void]:
        """The quantised rows. Raises PayloadError."""
        if not body or len(body) % _ROW.itemsize or len(body) > MAX_BOXES * _ROW.itemsize:
            raise PayloadError(f"{len(body)} bytes are no list of boxes")
        rows = np.frombuffer(body, _ROW)
        if rows["label"].max() >= len(ObjectClass):
            raise PayloadError(f"there is no class {rows['label'].max()}")
        if rows["length"].min() == 0 or rows["side"].min() == 0:
            raise PayloadError("a box has no extent")
        return rows

    def reconstruct(self, header: Header, symbols: npt.NDArray[np.void]) -> Shared:
        """The boxes in the sender's agent frame, by falling score."""
        boxes = np.column_stack(
            [
                symbols["centre"] / 100.0,
                symbols["length"] / 100.0,
                symbols["side"] / 50.0,
                symbols["yaw"] * _ANGLE_STEP,
            ]
        )
        order = np.argsort(-symbols["score"].astype(np.int64), kind="stable")
        labels = symbols["label"].astype(np.int64)
        return Shared(
            sender=header.sender,
            time_us=header.time_us,
            world_from_agent=header.world_from_agent,
            stage=self.tap,
            detections=Detections(boxes[order], symbols["score"][order] / 255.0, labels[order]),
        )


def quantise(found: Detections, order: IntArray | npt.NDArray[np.intp]) -> npt.NDArray[np.void]:
    """The chosen boxes as rows of the message; values out of a field's range are clipped to it."""
    rows = np.zeros(len(order), _ROW)
    boxes = found.boxes[order]
    rows["centre"] = np.clip(np.rint(boxes[:, :3] * 100), -32768, 32767)
    rows["length"] = np.clip(np.rint(boxes[:, 3] * 100), 1, 65535)
    rows["side"] = np.clip(np.rint(boxes[:, 4:6] * 50), 1, 255)
    rows["yaw"] = (np.rint(boxes[:, 6] / _ANGLE_STEP).astype(np.int64) + 32768) % 65536 - 32768
    rows["score"] = np.clip(np.rint(found.scores[order] * 255), 0, 255)
    rows["label"] = found.labels[order]
    return rows
