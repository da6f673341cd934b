"""tools/check_opencood.py: what it calls a difference, and what it says where OpenCOOD is missing."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import check_opencood
import numpy as np
import pytest

from carla_cp.geometry import inverse, matrix_from_pose, transform_boxes
from carla_cp.perception.pillars import on_own_body
from carla_cp.perception.vfe import PillarVfe
from carla_cp.types import Frame, ObjectClass
from tests.perception.synthetic import make_frame, write


def as_opencood_reads(frame: Frame) -> dict[str, Any]:
    """The same frame as OpenCOOD's dataset gives it."""
    columns = check_opencood.CONFIG.grid.pillar_columns
    clouds, objects = [], {}
    from_world = matrix_from_pose(inverse(frame.agents[0].sweep.world_from_lidar))
    for agent in frame.agents:
        points = agent.sweep.points[~on_own_body(agent.sweep.points, check_opencood.CONFIG)]
        cells = PillarVfe.grouped(points, check_opencood.CONFIG).cells
        clouds.append(np.stack([cells * 0, cells // columns, cells % columns], axis=1)[::-1])
        for number, label, box in zip(agent.ids, agent.labels, transform_boxes(from_world, agent.boxes), strict=True):
            if label != ObjectClass.PEDESTRIAN:
                objects[int(number)] = box[[0, 1, 2, 5, 4, 3, 6]]
    centres, mask = np.zeros((100, 7)), np.zeros(100)
    centres[: len(objects)], mask[: len(objects)] = list(objects.values()), 1
    return {
        "processed_lidar": {"voxel_coords": clouds},
        "object_bbx_center": centres,
        "object_bbx_mask": mask,
        "object_ids": list(objects),
    }


def test_frames_that_are_read_alike_have_no_difference() -> None:
    frame = make_frame(3)
    assert len(frame.agents) > 1
    theirs = as_opencood_reads(frame)
    assert theirs["object_bbx_mask"].sum() > 2
    assert list(check_opencood.differences(frame, theirs)) == []


def test_every_kind_of_difference_is_a_line() -> None:
    frame = make_frame(3)
    theirs = as_opencood_reads(frame)
    moved = theirs["object_ids"][0]
    theirs["object_bbx_center"][0, 0] += 0.5
    theirs["object_ids"][1] = 999
    theirs["processed_lidar"]["voxel_coords"][0] = theirs["processed_lidar"]["voxel_coords"][0][1:]
    said = "\n".join(check_opencood.differences(frame, theirs))
    assert f"object {moved} lies 0.500 m" in said
    assert "object 999 is read by OpenCOOD alone" in said
    assert "1 of" in said and "pillars are filled by one reader alone" in said
    del theirs["processed_lidar"]["voxel_coords"][1]
    (line,) = check_opencood.differences(frame, theirs)
    assert line == f"{len(frame.agents) - 1} agents, not {len(frame.agents)}"


def test_a_frame_that_we_cannot_read_is_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "scene", 1, 3)
    broken = next((tmp_path / "scene").rglob("*.pcd"))
    broken.write_bytes(b"")
    monkeypatch.setattr(check_opencood, "their_dataset", lambda folder: [{"ego": {}}])
    assert check_opencood.main([str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert f"frame 0: {broken}" in said and "1 frames compared, 1 differences" in said


def test_without_opencood_the_exit_status_is_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "opencood", None)
    monkeypatch.setattr(check_opencood, "open_dataset", lambda folder: [])
    assert check_opencood.main([str(tmp_path)]) == 2
    line = capsys.readouterr().err
    assert line.startswith("check_opencood: OpenCOOD cannot be imported") and line.count("\n") == 1
