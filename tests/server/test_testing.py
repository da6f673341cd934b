"""The fixture that other projects' tests use, as the README shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from carla_cp.server.testing import running
from tests.server.conftest import CROSSING, PATIENCE_S

README = Path(__file__).parents[2] / "README.md"
OWN_CONFTEST = """
import pytest
from carla_cp.server.testing import carla_server

@pytest.fixture(scope="session")
def carla_server_options():
    return ["--map", {path!r}]
"""
OWN_TEST = """
def test_the_map_is_the_projects_own(carla_server):
    assert carla_server.client().get_world().get_map().name == "Carla/Maps/crossing"
"""


def outcome(folder: Path) -> str:
    """What pytest says of the tests in a folder, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    return done.stdout + done.stderr


def readme_blocks(language: str) -> list[str]:
    """The blocks of code of this language in the README's section on tests."""
    section = README.read_text(encoding="utf-8").partition("### CARLA client tests")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


def test_the_test_in_the_readme_passes(tmp_path: Path) -> None:
    imports, _, body = readme_blocks("python")[0].partition("\n")
    (tmp_path / "conftest.py").write_text(imports, encoding="utf-8")
    (tmp_path / "test_readme.py").write_text(body, encoding="utf-8")
    assert "1 passed" in outcome(tmp_path)


def test_a_project_gives_the_server_options_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(OWN_CONFTEST.format(path=str(CROSSING)), encoding="utf-8")
    (tmp_path / "test_own.py").write_text(OWN_TEST, encoding="utf-8")
    assert "1 passed" in outcome(tmp_path)


def test_the_workflow_in_the_readme_is_fifteen_lines_and_a_workflow() -> None:
    (text,) = readme_blocks("yaml")
    assert len(text.splitlines()) <= 15
    steps = yaml.safe_load(text)["jobs"]["tests"]["steps"]
    assert [step.get("run") for step in steps][-1] == "pytest"


def test_a_server_that_does_not_start_is_an_error_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="did not start: status 2"), running(["--map", str(tmp_path / "none.xodr")]):
        pass
