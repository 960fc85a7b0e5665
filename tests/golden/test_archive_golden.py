"""An archive written once and committed must stay readable, and names given once must not move.

Delete ``archive/`` beside this file and run it as a script to write the archive anew; that is right
only when the format takes a new schema number.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import google_crc32c
import numcodecs
import numpy as np
import pytest

from ldp_core.archive import Archive, pair_digest, pixel_sha256, stage_key
from ldp_core.types import (
    BlurMap,
    BlurMapKind,
    BlurTruthKind,
    Pair,
    Region,
    Score,
    ScoringProtocol,
    StageSpec,
)

FOLDER = Path(__file__).parent / "archive"
ITEM = "golden/procedural-01"
SPEC = StageSpec(
    stage="blur",
    method="Disparity",
    version="1",
    settings={"window_px": 9, "noise": 0.0025, "levels": [1, 2, 4], "prior": {"on": True, "name": "é"}},
    weights_sha256="0123456789abcdef" * 4,
    upstream="",
)
KEY = "disparity-829300cdfb70cf2025cb"


def ramp(*shape: int, slope: int) -> Any:
    """Integers 0..65535 from a formula that no library can change."""
    return (np.arange(math.prod(shape), dtype=np.uint64) * slope % 65521).astype(np.uint16).reshape(shape)


def golden_pair() -> Pair:
    return Pair(
        id=ITEM,
        left=ramp(13, 9, 3, slope=7),
        right=ramp(13, 9, 3, slope=11),
        target=np.zeros((13, 9, 3), np.uint16),
        blur_truth=(ramp(5, 4, slope=3001) / np.float32(65536)).astype(np.float32),
        external={"dpdnet": ramp(13, 9, 3, slope=4099)},
        score_region=Region(top=2),
        aligned=False,
        blur_truth_kind=BlurTruthKind.UNSIGNED,
    )


def golden_map() -> BlurMap:
    values = (ramp(13, 9, slope=401).astype(np.float32) - 32768) / np.float32(1024)
    confidence = ramp(13, 9, slope=911).astype(np.float32) / np.float32(65536)
    return BlurMap(values=values, kind=BlurMapKind.SIGNED_COC_PX, confidence=confidence)


def golden_scores() -> list[Score]:
    protocol = ScoringProtocol(16, "9x13", region="rows 2:", variant="golden")
    return [
        Score(ITEM, "psnr_db", "restored", protocol, 31.4),
        Score(ITEM, "ssim", "dpdnet", protocol, math.inf),
    ]


def write_golden(archive: Archive, key: str) -> None:
    pair, origin = golden_pair(), {"spec": SPEC, "input_digest": pair_digest(golden_pair())}
    archive.write_pair(pair, provenance={"made_by": "a formula"})
    archive.write_blur_map(key, ITEM, golden_map(), **origin)
    archive.write_restored(key, ITEM, pair.left, **origin)
    archive.write_scores(key, ITEM, golden_scores(), **origin)


@pytest.fixture
def archive() -> Archive:
    return Archive(str(FOLDER))


def test_a_stage_key_does_not_move() -> None:
    assert stage_key(SPEC) == KEY


def test_digests_do_not_move() -> None:
    assert (
        pixel_sha256(ramp(2, 3, slope=7))
        == "d5199904e174ab99c22cc52e2a8041be1f2f3c49b2d1e9af6edb3ed999f63198"
    )
    assert pair_digest(golden_pair()) == "e4f02b886c27d545e39e588af6845ebd61bde8d4eab1712d2805b2bc593eabcd"


def test_a_pixel_digest_is_what_the_format_says() -> None:
    content = b"uint16 2,3\n" + struct.pack("<6H", 0, 7, 14, 21, 28, 35)
    assert pixel_sha256(ramp(2, 3, slope=7)) == hashlib.sha256(content).hexdigest()


def test_the_committed_pair_is_read(archive: Archive) -> None:
    found, expected = archive.read_pair(ITEM), golden_pair()
    for name, view in expected.views.items():
        np.testing.assert_array_equal(found.views[name], view, strict=True)
    np.testing.assert_array_equal(found.external["dpdnet"], expected.external["dpdnet"], strict=True)
    np.testing.assert_array_equal(found.blur_truth, expected.blur_truth, strict=True)
    assert (found.score_region, found.aligned) == (expected.score_region, expected.aligned)
    assert archive.read_digest(ITEM) == pair_digest(expected)
    assert not archive.write_pair(expected, provenance={})


def test_the_committed_results_are_read(archive: Archive) -> None:
    digest = pair_digest(golden_pair())
    found, expected = archive.read_blur_map(KEY, ITEM, input_digest=digest), golden_map()
    np.testing.assert_array_equal(found.values, expected.values, strict=True)
    np.testing.assert_array_equal(found.confidence, expected.confidence, strict=True)
    assert found.kind is expected.kind
    restored = archive.read_restored(KEY, ITEM, input_digest=digest)
    np.testing.assert_array_equal(restored, golden_pair().left, strict=True)
    assert archive.read_scores(KEY, ITEM, input_digest=digest) == golden_scores()
    assert archive.read_attributes("scores", KEY, ITEM)["spec"]["method"] == "Disparity"


def test_the_page_for_outside_readers_is_enough_to_read_an_item() -> None:
    """By the published layout alone: no Zarr, none of our code."""
    folder = FOLDER / "frames" / ITEM
    text = (folder / "zarr.json").read_bytes()
    (seal,) = re.findall(rb'"seal_sha256": "([0-9a-f]{64})"', text)
    assert hashlib.sha256(text.replace(seal, b"0" * 64)).hexdigest().encode() == seal
    document = json.loads(text)
    shape, band = document["shape"], document["codecs"][0]["configuration"]["chunk_shape"]
    shard = (folder / "c.0.0.0.0").read_bytes()
    spans = np.frombuffer(strip_crc32c(shard[-(16 * shape[0] + 4) :]), "<u8").reshape(shape[0], 2)
    for (offset, size), digest in zip(
        spans.tolist(), document["attributes"]["ldp"]["pixels_sha256"], strict=True
    ):
        pixels = numcodecs.Blosc().decode(strip_crc32c(shard[offset : offset + size]))
        view = np.frombuffer(pixels, "<u2").reshape(band[1:])[: shape[1]]
        header = f"uint16 {','.join(map(str, view.shape))}\n".encode()
        assert hashlib.sha256(header + view.tobytes()).hexdigest() == digest


def strip_crc32c(content: bytes) -> bytes:
    assert google_crc32c.value(content[:-4]) == int.from_bytes(content[-4:], "little")
    return content[:-4]


if __name__ == "__main__":
    write_golden(Archive(str(FOLDER)), stage_key(SPEC))
    print(stage_key(SPEC), pixel_sha256(ramp(2, 3, slope=7)), pair_digest(golden_pair()))
