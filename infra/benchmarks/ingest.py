"""How fast pictures get into the archive, beside decoding them and copying the pixels.

    python infra/benchmarks/ingest.py --pairs 12
    python infra/benchmarks/ingest.py --pairs 12 --url s3://bucket/benchmark

Ingest decodes a pair, digests it, compresses it and puts two objects. The baseline decodes the same pictures
and writes their pixels to files. Both in this process, one pair after the other. With --url both places lie
there; without, on the local disk.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path

from harness import clock, make_parser, parse

from ldp_core.archive import Archive
from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.storage import join, list_sizes, write_bytes
from ldp_core.types import Item
from tasks.items import Failed, ingest_item
from tasks.stage import PipelineConfig


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=12)
    parser.add_argument("--width", type=int, default=1680)
    parser.add_argument("--height", type=int, default=1120)
    parser.add_argument("--url", help="an empty place, such as s3://bucket/benchmark")
    asked = parse(parser)
    with tempfile.TemporaryDirectory() as folder:
        place = asked.url or folder
        write_source(join(place, "source"), asked)
        items = read_catalogue(join(place, "source"), layout="folders", dataset="bench").items
        measure(items, archive=join(place, "archive"), copies=Path(folder) / "copies")


def write_source(url: str, asked: argparse.Namespace) -> None:
    """Simulated pairs in the `folders` layout."""
    for seed in range(asked.pairs):
        settings = SimulationSettings(width=asked.width, height=asked.height)
        for view, pixels in simulate_pair(seed, settings).views.items():
            write_bytes(join(url, view, f"{seed:04}.png"), encode_image(pixels, format="png"))


def measure(items: tuple[Item, ...], *, archive: str, copies: Path) -> None:
    copies.mkdir(parents=True)
    config = PipelineConfig(archive)
    decoded = copied = ingested = 0.0
    for item in items:
        decoded += clock(partial(load_pair, item)).wall_s
        copied += clock(partial(copy_pixels, item, copies)).wall_s
        ingested += clock(partial(ingest, config, item)).wall_s
    again = sum(clock(partial(Archive(archive).read_pair, item.id)).wall_s for item in items)
    pixels_mb = sum(path.stat().st_size for path in copies.iterdir()) / 1e6
    stored_mb = sum(list_sizes(archive).values()) / 1e6
    source_mb = sum(item.size_bytes for item in items) / 1e6
    sizes = {"of pictures": source_mb, "of pixels": pixels_mb, "stored": stored_mb}
    print(f"{len(items)} pairs:", ", ".join(f"{size:.0f} MB {what}" for what, size in sizes.items()))
    spent = {"decode": decoded, "decode + copy": copied, "ingest": ingested, "read": again}
    for name, seconds in spent.items():
        each, rate, ratio = seconds / len(items), pixels_mb / seconds, seconds / copied
        print(f"{name:14} {each:7.3f} s a pair  {rate:7.1f} MB/s  {ratio:5.2f} of decode + copy")


def ingest(config: PipelineConfig, item: Item) -> None:
    result = ingest_item(config, item)
    if isinstance(result, Failed):
        raise SystemExit(result.record.message)


def copy_pixels(item: Item, folder: Path) -> None:
    """Decode a pair and write its pixels to the disk, flushed as the archive's objects are."""
    with (folder / item.id.replace("/", "-")).open("wb") as file:
        for pixels in load_pair(item).views.values():
            file.write(pixels.tobytes())
        file.flush()
        os.fsync(file.fileno())


if __name__ == "__main__":
    main()
