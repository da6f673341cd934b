"""Which files something rests on: imports are followed, wherever they stand, and through packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from carla_cp import sources


def house(folder: Path, files: dict[str, str]) -> Path:
    """A package of such files, each with its text."""
    for name, text in {"__init__.py": "", **files}.items():
        path = folder / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "house"


def names(package: Path, *modules: str, walls: tuple[str, ...] = ()) -> list[str]:
    return [str(path.relative_to(package)) for path in sources.reachable(modules, walls)]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One that imports in every way that Python has, in place of ours."""
    files = {
        "top.py": "import os\nfrom house.part import one\ndef later():\n    import house.late\n",
        "part/__init__.py": "from house import below\n",
        "part/one.py": "",
        "part/two.py": "",
        "late.py": "from house.top import later\n",
        "below.py": "name = 1\n",
        "aside.py": "",
    }
    place = house(tmp_path, files)
    monkeypatch.setattr(sources, "PACKAGE", place)
    return place


def test_imports_are_followed_wherever_they_stand_and_bring_their_packages(package: Path) -> None:
    assert names(package, "house.top") == [
        *("__init__.py", "below.py", "late.py", "part/__init__.py", "part/one.py", "top.py")
    ]
    assert names(package, "house.part.two") == ["__init__.py", "below.py", "part/__init__.py", "part/two.py"]


def test_a_wall_and_what_lies_behind_it_alone_do_not_count(package: Path) -> None:
    found = names(package, "house.top", walls=("house.part",))
    assert found == ["__init__.py", "late.py", "part/one.py", "top.py"]


def test_a_module_that_is_not_there_is_named(package: Path) -> None:
    with pytest.raises(ValueError, match=r"house\.tap: no such module"):
        names(package, "house.tap")
