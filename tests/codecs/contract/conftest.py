"""What the tests of the contract are run with: each codec, the example of another package among them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from carla_cp.codecs import CODECS, Codec
from tests.codecs.contract.cases import KINDS, OUTSIDE, SENDING, VARIANTS, load


@pytest.fixture(scope="module", autouse=True)
def outside() -> Iterator[None]:
    """The example is in the table, as if its package were installed."""
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in OUTSIDE.items():
            patch.setitem(CODECS, name, kind)
        yield


@pytest.fixture(params=list(KINDS))
def codec(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load(request.param, checkpoint)


@pytest.fixture(params=SENDING)
def sender(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load(request.param, checkpoint)


@pytest.fixture(params=[*SENDING, *VARIANTS])
def any_sender(request: pytest.FixtureRequest, checkpoint: Path) -> Codec[Any]:
    return load(request.param, checkpoint)
