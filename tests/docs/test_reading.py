"""What the pages on reading results and on the archive say is run, on an archive, as it is written there."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
import zarr
import zarr.errors
from doc_blocks import ROOT, read_blocks

from ldp_core.archive import Archive
from ldp_core.errors import ItemDamagedError


def run_blocks(page: str) -> dict[str, Any]:
    """The names that the Python blocks of a page leave behind, run one after another."""
    names: dict[str, Any] = {}
    for block in read_blocks(page, "python"):
        exec(compile(block.text, block.where, "exec"), names)
    return names


@pytest.fixture
def inside(place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(place)
    return place


def test_results_are_read_as_the_page_says(inside: Path) -> None:
    found = run_blocks("infra/docs/reading-results.md")

    items = ["dataset/0", "dataset/1"]
    assert sorted(found["gain_db"].index.get_level_values("item")) == items
    assert list(found["gain_db"]) == sorted(found["gain_db"])
    assert ("psnr_db", "restored") in {key[:2] for key in found["means"].index}
    assert found["seconds"]["total"] == 1.0
    assert found["quarantine"].empty

    gains = found["gains"].set_index("item")["gain_db"]
    by_pandas = found["gain_db"].droplevel([1, 2, 3, 4, 5, 6])
    assert gains.sort_index().to_list() == pytest.approx(by_pandas.sort_index().to_list())

    pair = Archive("archive").read_pair("dataset/0")
    assert np.array_equal(found["left"].to_numpy(), pair.left)
    assert found["difference"].dims == ("y", "x")
    assert found["blur"].dims == ("y", "x")
    assert float(found["furthest_behind"]) == pytest.approx(float(found["blur"].max()))
    assert found["frames"].dims == ("view", "y", "x", "channel")
    assert {score.subject for score in found["scores_of_item"]} >= {"input", "restored"}


def test_an_empty_chunk_is_noticed_by_the_example_and_by_the_package(place: Path, tmp_path: Path) -> None:
    """Zarr alone reads it as zeros."""
    frames = place / "archive" / "frames" / "dataset" / "0"
    copy = Path(shutil.copytree(frames, tmp_path / "archive/frames/d/0"))
    chunk = copy / "c.0.0.0.0"
    chunk.write_bytes(b"")
    assert not zarr.open_array(copy, mode="r")[:].any()  # type: ignore[union-attr]
    blocks = read_blocks("infra/docs/reading-results.md", "python")
    [example] = [block.text for block in blocks if "def open_item" in block.text]
    names: dict[str, Any] = {"Path": Path}
    exec(example.partition("\n\n\ndef list_items")[0], names)
    with pytest.raises(ValueError, match="damaged"):
        names["open_item"](str(copy))
    with pytest.raises(ItemDamagedError):
        Archive(str(tmp_path / "archive")).read_pair("d/0")


def copy_frames(place: Path, folder: Path) -> tuple[Path, Path]:
    """A copy of the frames of an item, and its chunk object."""
    copy = Path(shutil.copytree(place / "archive" / "frames" / "dataset" / "0", folder / "copy"))
    return copy, copy / "c.0.0.0.0"


def test_readers_notice_what_the_archive_page_says(place: Path, tmp_path: Path) -> None:
    copy, chunk = copy_frames(place, tmp_path)
    content = chunk.read_bytes()
    array = zarr.open_array(copy, mode="r")

    chunk.write_bytes(b"")
    assert not array[:].any()  # type: ignore[union-attr]
    with pytest.raises(ValueError, match="checksum"):
        array[0, :1]
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 4
    chunk.write_bytes(flipped)
    with pytest.raises(ValueError, match="checksum"):
        array[:]
    chunk.unlink()
    assert not array[:].any()  # type: ignore[union-attr]
    with pytest.raises(zarr.errors.ContainsArrayError):
        xr.open_zarr(copy, consolidated=False)


@pytest.mark.parametrize("damage", ["empty", "missing"])
def test_the_first_example_of_the_archive_page_checks_the_digest(
    place: Path, tmp_path: Path, damage: str
) -> None:
    copy, chunk = copy_frames(place, tmp_path)
    example = read_blocks("infra/archive-format.md", "python")[0].text
    code = example.replace("archive/frames/canon-dpdd/1p0a0984", str(copy))
    assert code != example
    exec(code, sound := dict[str, Any]())
    assert sound["left"].any()
    chunk.write_bytes(b"") if damage == "empty" else chunk.unlink()
    with pytest.raises(ValueError, match=r"is damaged|checksum"):
        exec(code, {})


def test_every_file_of_a_run_is_named(inside: Path) -> None:
    page = (ROOT / "infra/docs/reading-results.md").read_text()
    [run] = Path("archive/runs").iterdir()
    assert [path.name for path in run.iterdir() if path.name not in page] == []


def test_the_archive_is_read_with_zarr_alone(inside: Path) -> None:
    blocks = "\n".join(block.text for block in read_blocks("infra/archive-format.md", "python"))
    code = blocks.replace("canon-dpdd/1p0a0984", "dataset/0")
    assert code != blocks
    program = f"""
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("ldp_core", "tasks", "flows"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
{code}
print(left.shape, left.dtype, verified)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(64, 80, 3) uint8 True"


def test_the_archive_page_names_every_folder_and_field(inside: Path) -> None:
    page = (ROOT / "infra/archive-format.md").read_text()
    kinds = {path.name for path in Path("archive").iterdir() if path.is_dir()}
    assert {"frames", "blur", "confidence", "restored", "scores", "runs"} == kinds
    assert [kind for kind in kinds if f"<archive>/{kind}/" not in page] == []
    archive = Archive("archive")
    for kind in kinds - {"runs", "scores"}:
        for chunk in Path("archive", kind).rglob("c.*"):
            parts = chunk.parent.relative_to(Path("archive", kind)).parts
            key = "" if kind == "frames" else parts[0]
            fields = archive.read_attributes(kind, key, "/".join(parts[-2:]))
            assert [field for field in fields if f"`{field}`" not in page] == []
