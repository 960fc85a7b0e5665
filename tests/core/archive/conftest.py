"""An archive in each kind of place that the tests of archives use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from archive_samples import forget

from ldp_core.archive import Archive


@pytest.fixture(params=["local", "memory"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    if request.param == "local":
        yield Archive(str(tmp_path / "archive"))
        return
    url = f"memory://archive-{uuid4().hex}"
    yield Archive(url)
    forget(url)
