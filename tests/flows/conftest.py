"""One Prefect server for all flow tests, a small simulated dataset, a browser and reports to open in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.testing.utilities import prefect_test_harness
from report_samples import write_grouped_report, write_long_report, write_sample_report

from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair

PAIRS = 3
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def _simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    for seed in range(PAIRS):
        pair = simulate_pair(seed, SimulationSettings(height=96, width=128))
        for view, pixels in pair.views.items():
            (folder / view).mkdir(exist_ok=True)
            (folder / view / f"Scene {seed}.png").write_bytes(encode_image(pixels, format="png"))
    return folder


@pytest.fixture
def dataset(_simulated: Path, tmp_path: Path) -> Path:
    """A fresh copy of three simulated pairs in the `folders` layout."""
    return Path(shutil.copytree(_simulated, tmp_path / "dataset"))


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="playwright is not installed (the test extra)"
    )
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of five items, as a file:// address."""
    return f"file://{write_sample_report(str(tmp_path_factory.mktemp('report')))}"


@pytest.fixture(scope="session")
def long_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of a thousand items, as a file:// address."""
    return f"file://{write_long_report(str(tmp_path_factory.mktemp('long')), 1000)}"


@pytest.fixture(scope="session")
def grouped_report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A report of fifteen items in groups, as a file:// address."""
    return f"file://{write_grouped_report(str(tmp_path_factory.mktemp('grouped')))}"


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Opens addresses in the browser; the test fails if it complained of anything."""
    complaints: list[str] = []
    pages: list[Any] = []

    def open_address(address: str, **options: Any) -> Any:
        page = browser.new_page(**({"viewport": {"width": 1280, "height": 800}} | options))
        pages.append(page)
        page.set_default_timeout(120_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.extend(_failure(request)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(address)
        return page

    yield open_address
    for page in pages:
        page.close()
    assert complaints == []


@pytest.fixture
def page(open_page: Callable[..., Any], report: str) -> Any:
    """The report of five items, open."""
    return open_page(report)


def _failure(request: Any) -> list[str]:
    """The address, unless the load was only given up because the page was left."""
    return [] if request.failure == "net::ERR_ABORTED" else [request.url]
