"""Which teacher trains which codec."""

from __future__ import annotations

from typing import Any

import torch
from codec_lessons import JointTeacher, Teacher
from lessons_codefilling import CodefillingTeacher
from lessons_dense_sparse import DenseSparseTeacher
from lessons_ermvp import ErmvpTeacher
from lessons_infocom import InfocomTeacher
from lessons_revqom import RevqomTeacher
from lessons_where2comm import Where2commTeacher

from carla_cp.codecs.base import Codec
from carla_cp.perception.detector import Detector

TEACHERS: dict[str, Any] = {
    "where2comm": Where2commTeacher,
    "revqom": RevqomTeacher,
    "infocom": InfocomTeacher,
    "dense_sparse": DenseSparseTeacher,
    "ermvp": ErmvpTeacher,
    "codefilling": CodefillingTeacher,
}
JOINT = ("where2comm", "revqom", "infocom")  # codecs whose papers train them together with the detector


def make_teacher(name: str, detector: Detector, seed: int) -> Teacher:
    """A teacher with an untrained codec of the detector's sizes."""
    from carla_cp.codecs import CODECS

    torch.manual_seed(seed)
    codec = CODECS[name].for_detector(0, detector.config).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    teacher: Teacher = TEACHERS[name](codec, detector, seed)
    return teacher


def joint_teacher(name: str, codec: Codec[Any], detector: Detector, seed: int) -> JointTeacher:
    """A teacher of a trained codec and the detector that it learns with; the name is one of JOINT."""
    teacher: JointTeacher = TEACHERS[name](codec, detector, seed)
    teacher.resume()
    return teacher
