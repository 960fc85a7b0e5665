"""Small items for tests of the archive, and equality that looks at every bit."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import fsspec
import numpy as np

from ldp_core.archive import Archive, stage_key
from ldp_core.types import BlurMap, BlurMapKind, BlurTruthKind, Pair, Region, StageSpec

SPEC = StageSpec("blur", "disparity", "3", {"window_px": 9, "levels": (1, 2)}, weights_sha256="ab" * 32)
KEY = stage_key(SPEC)


def noise(*shape: int, dtype: Any = np.uint16, seed: int = 0) -> Any:
    rng = np.random.default_rng([seed, *shape])
    if np.dtype(dtype).kind == "f":
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


def make_pair(item_id: str = "set/one", *, seed: int = 0, dtype: Any = np.uint16) -> Pair:
    view = [noise(37, 20, 3, dtype=dtype, seed=10 * seed + n) for n in range(5)]
    return Pair(
        id=item_id,
        left=view[0],
        right=view[1],
        target=view[2],
        blur_truth=noise(11, 7, dtype=np.float32),
        external={"dpdnet": view[3], "apple": view[4]},
        score_region=Region(top=4, right=18),
        aligned=False,
        blur_truth_kind=BlurTruthKind.SIGNED_COC_PX,
    )


def make_map(*, seed: int = 0, kind: BlurMapKind = BlurMapKind.SIGNED_COC_PX) -> BlurMap:
    maps = [noise(37, 20, dtype=np.float32, seed=seed + n) for n in (0, 1)]
    return BlurMap(values=maps[0], kind=kind, confidence=maps[1])


def assert_same(found: Any, expected: Any) -> None:
    """Equality of arrays (dtype, shape, bits), of mappings of them, and of everything else."""
    if isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape, found.tobytes()) == (
            expected.dtype,
            expected.shape,
            expected.tobytes(),
        )
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_same(found[name], expected[name])
    else:
        assert found == expected
        assert type(found) is type(expected)


def assert_same_fields(found: Any, expected: Any) -> None:
    for field in fields(expected):
        assert_same(getattr(found, field.name), getattr(expected, field.name))


def objects_of(archive: Archive) -> dict[str, bytes]:
    fs, root = fsspec.url_to_fs(archive.url)
    return {path.removeprefix(root.rstrip("/") + "/"): fs.cat_file(path) for path in fs.find(root)}


def forget(url: str) -> None:
    """Remove an archive that lies in memory."""
    fs, root = fsspec.url_to_fs(url)
    if fs.exists(root):
        fs.rm(root, recursive=True)
