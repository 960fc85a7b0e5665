"""Headers are read of what a listing shows as new or changed; the catalogue is as if all had been read."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from run_samples import FIRST, make_dataset, run_planned

from ldp_core.catalogue import probing
from ldp_core.types import PixelOptions
from tasks.pipeline import make_config
from tasks.plan import Plan, make_plan


@pytest.fixture(scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("known")
    make_dataset(folder / "dataset")
    (folder / "dataset" / "right" / "2.png").unlink()  # a single view
    run_planned(folder / "archive", folder / "dataset", FIRST)
    return folder


@pytest.fixture
def folder(_made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_made / "archive", tmp_path / "archive", copy_function=shutil.copy2)).parent


@pytest.fixture
def source(_made: Path) -> Path:
    return _made / "dataset"


@pytest.fixture
def probed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the pictures whose headers are read."""
    asked: list[str] = []
    probe = probing.probe_picture

    def note(url: str, **facts: Any) -> Any:
        asked.append("/".join(url.split("/")[-2:]))
        return probe(url, **facts)

    monkeypatch.setattr(probing, "probe_picture", note)
    return asked


def plan_again(folder: Path, source: Path, *, pixels: PixelOptions = PixelOptions(), **options: Any) -> Plan:  # noqa: B008
    methods = {"estimator": ("disparity", {}), "deblurrer": ("wiener", {})}
    config = make_config(str(folder / "archive"), **methods, pixels=pixels)  # type: ignore[arg-type]
    return make_plan(config, str(source), layout="folders", dataset="set", **options)


def test_nothing_is_read_of_what_a_run_has_recorded(folder: Path, source: Path, probed: list[str]) -> None:
    known = plan_again(folder, source)
    assert probed == []
    all_read = plan_again(folder, source, verify_sources=True)
    assert len(probed) == 3 * 4 - 1
    assert known.catalogue == all_read.catalogue
    assert known.sources.confirmed == {"set/0", "set/1", "set/2"}


@pytest.mark.parametrize("change", ["touched", "other content", "truth removed", "new"])
def test_what_changed_is_read(folder: Path, source: Path, probed: list[str], change: str) -> None:
    source = Path(shutil.copytree(source, folder / "dataset", copy_function=shutil.copy2))
    shutil.rmtree(folder / "archive")
    run_planned(folder / "archive", source, FIRST)
    left = source / "left" / "1.png"
    if change == "touched":
        os.utime(left)
    elif change == "other content":
        left.write_bytes((source / "left" / "0.png").read_bytes())
    elif change == "truth removed":
        (source / "coc" / "1.png").unlink()
    else:
        for view in ("left", "right"):
            shutil.copy2(source / view / "0.png", source / view / "7.png")
    probed.clear()
    known = plan_again(folder, source).catalogue
    expected = {"left/7.png", "right/7.png"} if change == "new" else {f"{v}/1.png" for v in ("left", "right")}
    assert expected <= {*probed}
    assert {name[-5:] for name in probed} == {"7.png" if change == "new" else "1.png"}
    assert known == plan_again(folder, source, verify_sources=True).catalogue


def test_conversion_needs_profiles(folder: Path, source: Path, probed: list[str]) -> None:
    plan_again(folder, source, pixels=PixelOptions(to_srgb=True))
    assert len(probed) == 3 * 4 - 1


@pytest.mark.parametrize("fault", ["other version", "altered", "unfinished"])
def test_other_records_are_not_believed(folder: Path, source: Path, probed: list[str], fault: str) -> None:
    run = folder / "archive" / "runs" / FIRST
    if fault == "other version":
        record = json.loads((run / "run.json").read_text())
        record["environment"]["ldp"] = "0.0.1"
        (run / "run.json").write_text(json.dumps(record))
    elif fault == "altered":
        listed = (run / "catalogue.jsonl").read_text()
        (run / "catalogue.jsonl").write_text(listed.replace('"width":72', '"width":71'))
        assert '"width":72' in listed
    else:
        (run / "summary.json").unlink()
    plan_again(folder, source)
    assert len(probed) == 3 * 4 - 1
