"""How much memory a run takes for one pair, beside what `ldp plan` declares for it.

    python infra/benchmarks/large_image.py LEFT.jpg RIGHT.jpg

runs `ldp restore` on the pair with one worker and watches the resident memory of the command and all
processes it starts. Add --crop 1680x1120 for a part of the pair, and options of `ldp restore` after `--`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from harness import make_parser, parse, parse_size

from ldp_core.images import encode_image, read_image

LDP = [sys.executable, "-c", "from flows.cli import app; app()"]
_POLL_S = 0.2


@dataclass
class Peaks:
    """Largest resident bytes seen: of the tree of processes together, and of each process."""

    tree: int = 0
    largest: int = 0

    def look(self, root: psutil.Process) -> None:
        sizes = []
        for process in [root, *root.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                sizes.append(process.memory_info().rss)
        self.tree = max(self.tree, sum(sizes))
        self.largest = max(self.largest, *sizes)


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("left", type=Path)
    parser.add_argument("right", type=Path)
    parser.add_argument("--crop", help="WIDTHxHEIGHT of the middle of the pair")
    parser.add_argument("options", nargs="*", help="options of `ldp restore`, after --")
    asked = parse(parser)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = [str(write_manifest(folder, asked)), "--layout", "manifest", *asked.options]
        options += ["--archive", str(folder / "archive"), "--workers", "1", "--json"]
        declared = plan(options)
        begin = time.perf_counter()
        peaks, summary = restore(options)
        report(peaks, summary, declared, seconds=time.perf_counter() - begin)


def write_manifest(folder: Path, asked: argparse.Namespace) -> Path:
    paths = [asked.left.resolve(), asked.right.resolve()]
    if asked.crop:
        paths = [crop(path, folder / f"{path.stem}.png", size=asked.crop) for path in paths]
    manifest = folder / "pairs.csv"
    manifest.write_text(f"id,left,right\npair,{paths[0]},{paths[1]}\n")
    return manifest


def crop(source: Path, target: Path, *, size: str) -> Path:
    width, height = parse_size(size)
    picture = read_image(str(source))
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    target.write_bytes(encode_image(picture[top : top + height, left : left + width], format="png"))
    return target


def plan(options: list[str]) -> dict[str, int]:
    done = subprocess.run([*LDP, "plan", *options], stdout=subprocess.PIPE, check=True)
    declared: dict[str, int] = json.loads(done.stdout)["memory"]["bytes_by_size"]
    return declared


def restore(options: list[str]) -> tuple[Peaks, dict[str, Any]]:
    peaks = Peaks()
    with subprocess.Popen([*LDP, "restore", *options], stdout=subprocess.PIPE) as run:
        root = psutil.Process(run.pid)
        while run.poll() is None:
            with suppress(psutil.NoSuchProcess):
                peaks.look(root)
            time.sleep(_POLL_S)
        assert run.stdout is not None
        return peaks, json.load(run.stdout)


def report(peaks: Peaks, summary: dict[str, Any], declared: dict[str, int], *, seconds: float) -> None:
    """Both peaks beside the bytes declared for a worker, as JSON lines."""
    [(size, needed)] = declared.items()
    width, height = parse_size(size)
    print(json.dumps({"size": size, "items": summary["items"], "seconds": round(seconds)}))
    for name, peak in {"all processes": peaks.tree, "largest process": peaks.largest}.items():
        share = {"of_declared": round(peak / needed, 2), "bytes_per_pixel": round(peak / width / height)}
        print(json.dumps({"of": name, "gib": round(peak / 2**30, 2), **share}))
    print(json.dumps({"of": "declared", "gib": round(needed / 2**30, 2)}))


if __name__ == "__main__":
    main()
