"""A report of a few items with pictures, and one of very many without drawing each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ldp_core.metrics import summarise
from ldp_core.report import (
    PICTURES,
    Fact,
    PictureKind,
    PictureSpec,
    ReportItem,
    picture_paths,
    render_pictures,
    write_report,
)
from ldp_core.storage import join, write_bytes
from ldp_core.types import (
    BlurMap,
    BlurMapKind,
    ItemCounts,
    Pair,
    QuarantineRecord,
    RunSummary,
    Score,
    ScoringProtocol,
    StageSpec,
)

PROTOCOL = ScoringProtocol(8, "120x80")
GAINS_DB = {"set/a-fine": 2.0, "set/b-worst": -1.5, "set/c-fair": 0.5, "set/<b>d": 1.0}
BARE = "set/e-bare"  # an item without pictures
GAINS_DB[BARE] = 3.0
WORST_FIRST = sorted(GAINS_DB, key=GAINS_DB.__getitem__)
DEPTH = PictureSpec(
    "depth", "Depth map", PictureKind.UNSIGNED_MAP, thumbnail=True, unit="m", meaning="metres from the camera"
)
"""A product that the report does not know."""


def write_sample_report(url: str) -> str:
    """A report of five items, four of them with pictures, and one in quarantine; its address."""
    items = [_draw_item(url, item, gain) for item, gain in GAINS_DB.items()]
    items[2] = replace(items[2], status="skipped")
    items[-1] = replace(items[-1], pictures={})
    return _write(url, items)


def write_depth_report(url: str) -> str:
    """A report of three items with a depth map each, one of them of a route that the report does not know."""
    items = [_draw_item(url, item, gain, depth_m=10.0) for item, gain in list(GAINS_DB.items())[:3]]
    items[1] = replace(items[1], route="burst")
    return _write(url, items, pictures=(*PICTURES, DEPTH))


def write_long_report(url: str, count: int) -> str:
    """A report of many items that all have the pictures of one; every tenth gain is the same."""
    drawn = _draw_item(url, "set/all", 0.0)
    return _write(
        url,
        [
            replace(drawn, id=f"set/{n:04d}", scores=_score(f"set/{n:04d}", (n * 37 % 10) - 4.5))
            for n in range(count)
        ],
    )


def write_grouped_report(url: str) -> str:
    """A report of items of three cameras, two of which have long names, and of many values of ISO."""
    drawn = _draw_item(url, "set/all", 0.0)
    cameras = ("Canon EOS 5D Mark IV", "Pixel 4", "A camera with a very long name of more words than fit")
    items = [
        replace(
            drawn,
            id=f"set/{n:02d}",
            scores=_score(f"set/{n:02d}", (n * 37 % 10) - 3.5),
            metadata={"model": cameras[n % 3], "iso": 100 + 137 * n},
        )
        for n in range(15)
    ]
    return _write(url, items)


def _write(url: str, items: list[ReportItem], pictures: Sequence[PictureSpec] = PICTURES) -> str:
    count = len(items)
    run = RunSummary(
        run_id="20260102-030405-abcd",
        created="2026-01-02T03:04:05+00:00",
        dataset="browser",
        layout="folders",
        source="memory",
        report="",
        stages=(StageSpec("blur", "disparity", "1", {"kernel": {"family": "half_disc", "order": 3}}),),
        environment={"python": "3.11"},
        items=ItemCounts(count + 1, count - 1, 1, 1),
        seconds={"blur": 1.0, "total": 2.0},
        metrics=summarise([score for item in items for score in item.scores]),
        quarantine=(
            QuarantineRecord("set/gone", "ingest", "image_format", "not a picture", "copy it again"),
        ),
    )
    facts = [Fact("Source", "s3://bucket/a/long/way/down/" + "folder/" * 12, code=True), Fact("Pairs", "5")]
    return write_report(url, run, items, facts=facts, records=["../summary.json"], pictures=pictures)


def _draw_item(url: str, item: str, gain: float, *, depth_m: float | None = None) -> ReportItem:
    rng = np.random.default_rng(len(item))
    left, right, restored = (rng.integers(0, 255, (80, 120, 3), dtype=np.uint8) for _ in range(3))
    coc_px = BlurMap(np.tile(np.linspace(-6, 6, 120, dtype=np.float32), (80, 1)), BlurMapKind.SIGNED_COC_PX)
    pair = Pair(item, left, right, target=left)
    depth = {DEPTH: np.full((80, 120), depth_m, np.float32)} if depth_m is not None else {}
    files = render_pictures(pair, blur_map=coc_px, restored=restored, products=depth)
    paths = picture_paths(item, files)
    for name, content in files.items():
        write_bytes(join(url, paths[name]), content)
    return ReportItem(item, "computed", _score(item, gain), paths)


def _score(item: str, gain: float) -> list[Score]:
    values = {"psnr_db": 25.0, "mae": 0.04}
    return [
        Score(item, metric, subject, PROTOCOL, value + (gain if subject == "restored" else 0))
        for metric, value in values.items()
        for subject in ("input", "restored")
    ]
