"""A checkpoint with seeded random codec weights, so that no test needs a trained one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.codecs.fake import random_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("checkpoint"))
