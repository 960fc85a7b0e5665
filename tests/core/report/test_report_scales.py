"""One colour scale for the maps of a report: the same value has the same colour in every picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from report_samples import PROTOCOL

from ldp_core.report import PICTURES, MapDigest, ReportItem, picture_paths, render_pictures, write_report
from ldp_core.report.model import BLUR_PICTURES, BLUR_TRUTH, PictureSpec
from ldp_core.report.pictures import UNKNOWN_COLOUR, colour_at
from ldp_core.report.scales import find_limits, rescale_png
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, ItemCounts, Pair, RunSummary, Score

COC = BLUR_PICTURES[BlurMapKind.SIGNED_COC_PX]


def _digest(limit: float, kind: str = COC.scale) -> MapDigest:
    return MapDigest(kind, limit, 0.5, -1, 0, 1, {0: 1.0})


def _item(name: str, limit: float) -> ReportItem:
    return ReportItem(name, "computed", digests={COC.name: _digest(limit)})


def _draw(reach: float, **fields: object) -> dict[str, bytes]:
    grey = np.full((40, 60, 3), 90, np.uint8)
    values = np.tile(np.linspace(-reach, reach, 60, dtype=np.float32), (40, 1))
    values[0, 0] = np.nan
    pair = Pair("set/a", grey, grey, **fields)  # type: ignore[arg-type]
    return render_pictures(pair, blur_map=BlurMap(values, BlurMapKind.SIGNED_COC_PX))


def _colours(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).astype(int)


def test_the_common_scale_holds_all_of_a_few_items_and_leaves_out_a_rare_giant() -> None:
    few = [_item(f"set/{n}", limit) for n, limit in enumerate((2, 5, 50))]
    many = [_item(f"set/{n}", 5) for n in range(99)] + [_item("set/giant", 500)]
    assert find_limits(few) == {COC.scale: 50}
    assert find_limits(many) == {COC.scale: 5}
    assert find_limits([]) == {}


@pytest.mark.parametrize("common", [5.0, 20.0, 2.0])
def test_a_rescaled_map_has_the_colours_of_its_values_on_the_common_scale(common: float) -> None:
    png = rescale_png(_draw(5.0)["blur_map.png"], COC, own=5.0, common=common)
    colours = _colours(png)
    for column, value in ((10, -5 + 10 / 59 * 10), (30, -5 + 30 / 59 * 10), (59, 5.0)):
        wanted = colour_at((value / common + 1) / 2, COC)
        assert np.abs(colours[5, column] - [*bytes.fromhex(wanted[1:])]).max() <= 8
    assert [*colours[0, 0]] == [*bytes.fromhex(UNKNOWN_COLOUR[1:])]


def test_rescaling_again_changes_nothing() -> None:
    png = _draw(5.0)["blur_map.png"]
    once = rescale_png(png, COC, own=5.0, common=20.0)
    assert once != png
    assert rescale_png(once, COC, own=5.0, common=20.0) == once
    Image.open(io.BytesIO(once)).verify()


def _write(folder: Path, reaches: dict[str, float], **fields: object) -> dict[str, dict[str, Path]]:
    items, files = [], {}
    for item, reach in reaches.items():
        drawn = _draw(reach, **fields)
        paths = picture_paths(item, drawn)
        for name, content in drawn.items():
            (folder / paths[name]).parent.mkdir(parents=True, exist_ok=True)
            (folder / paths[name]).write_bytes(content)
        files[item] = {name: folder / path for name, path in paths.items()}
        items.append(ReportItem(item, "computed", [Score(item, "mae", "restored", PROTOCOL, 0.1)], paths))
    run = RunSummary("r", "", "set", "folders", "", "", (), {}, ItemCounts(2, 2, 0, 0), {}, ())
    write_report(str(folder), run, items, pictures=PICTURES)
    return files


def test_a_report_shows_a_value_in_one_colour_in_pictures_thumbnails_and_legends(tmp_path: Path) -> None:
    files = _write(tmp_path, {"set/near": 2.0, "set/far": 10.0})
    near, far = (_colours(files[item]["blur_map.png"].read_bytes()) for item in ("set/near", "set/far"))
    at = round((2.0 / 10.0 + 1) / 2 * 59)  # where the far map holds 2 px, the largest value of the near one
    assert np.abs(near[5, 59] - far[5, at]).max() <= 12
    small = _colours(files["set/near"]["blur_map-thumb.png"].read_bytes())
    assert np.abs(small[5, -1] - near[5, 59]).max() <= 12
    page = (tmp_path / "index.html").read_text()
    assert "one scale for all items" in page
    assert page.count('"high":"+10 px"') == 2


def test_a_measured_truth_keeps_its_colours_and_a_simulated_one_follows_the_estimate(tmp_path: Path) -> None:
    truth = np.full((40, 60), 2.0, np.float32)
    truth[:, 30:] = -2.0
    kinds = (BlurTruthKind.UNSIGNED, BlurTruthKind.SIGNED_COC_PX)
    for kind in kinds:
        before = _draw(2.0, blur_truth=truth, blur_truth_kind=kind)[f"{BLUR_TRUTH}.png"]
        folder = tmp_path / kind.value
        files = _write(folder, {"set/a": 2.0, "set/b": 10.0}, blur_truth=truth, blur_truth_kind=kind)
        after = files["set/a"][f"{BLUR_TRUTH}.png"].read_bytes()
        assert (after == before) == (kind is BlurTruthKind.UNSIGNED)


def test_a_map_from_zero_up_is_rescaled_from_its_low_end() -> None:
    spec = PictureSpec("depth", "Depth", PICTURES[4].kind, unit="m")
    grey = np.full((20, 30, 3), 90, np.uint8)
    drawn = render_pictures(Pair("set/a", grey, grey), products={spec: np.full((20, 30), 0.5, np.float32)})
    colours = _colours(rescale_png(drawn["depth.png"], spec, own=1.0, common=2.0))
    assert np.abs(colours[5, 5] - [*bytes.fromhex(colour_at(0.25, spec)[1:])]).max() <= 8
