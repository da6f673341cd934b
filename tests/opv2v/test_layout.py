"""The error of all readers."""

from __future__ import annotations

import pickle

import pytest

from carla_cp.opv2v import DatasetError, Opv2vError, PcdError


@pytest.mark.parametrize("kind", [DatasetError, Opv2vError, PcdError])
def test_an_error_travels_between_processes_with_its_text_and_reason(kind: type[DatasetError]) -> None:
    back = pickle.loads(pickle.dumps(kind("a.pcd: cut short", "broken cloud")))
    assert (type(back), str(back), back.reason) == (kind, "a.pcd: cut short", "broken cloud")


def test_every_reader_error_is_caught_as_one() -> None:
    assert issubclass(PcdError, DatasetError) and issubclass(Opv2vError, DatasetError)
    assert PcdError("a").reason == "broken cloud"
