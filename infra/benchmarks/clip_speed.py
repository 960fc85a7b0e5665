"""The published loop over cells against whole-image batches: same random weights, same logits.

    python infra/benchmarks/clip_speed.py

The loop takes one cell at a time as a picture and encodes the sentence with every cell. Both are timed
in turns on the same cells, a sample where that takes long, and scaled to the whole picture; trust the
ratio. Weights are random, since seconds do not depend on them. `shared` is our own approximation with
fewer operations; its rank agreement on random weights says little about trained ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import combinations
from time import perf_counter

import numpy as np
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ldp_core.blur.cells import CellGrid, PaddedViews, to_rgb
from ldp_core.blur.clip_card import CellFormat
from ldp_core.blur.clip_model import ClipModel, autocast, choose_device, encode_prompts, random_clip
from ldp_core.blur.clip_scoring import score_cells
from ldp_core.blur.clip_settings import RELEASED_PROMPT
from ldp_core.blur.clip_sources import open_clip
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.types import Pair

CELL_PX = 40


def main() -> None:
    asked = parse()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    model = random_clip(asked.architecture, seed=0, device=choose_device())
    on_gpu = model.device.type == "cuda"
    rows, columns = asked.height // CELL_PX if on_gpu else asked.rows, asked.width // CELL_PX
    pair = simulate_pair(1, SimulationSettings(height=rows * CELL_PX, width=columns * CELL_PX))
    views, sample = see(pair, model), 200 if on_gpu else asked.cells
    works: dict[str, tuple[int, Callable[[], Tensor]]] = {
        "published loop": (sample, lambda: run_loop(model, pair, sample)),
        "whole image": (len(views.grid), lambda: score(model, views, CellFormat.MIRROR)),
        "shared": (len(views.grid), lambda: score(model, views, CellFormat.SHARED)),
    }
    run_loop(model, pair, 2)
    seconds: dict[str, list[float]] = {name: [] for name in works}
    logits: dict[str, Tensor] = {}
    for _ in range(asked.turns + on_gpu):
        for name, (cells, work) in works.items():
            spent, logits[name] = clock(model, work)
            seconds[name].append(spent / cells * (asked.height // CELL_PX) * columns)
    report(asked, model, {name: np.median(s[on_gpu:]) for name, s in seconds.items()}, logits)
    report_shared(model, views, logits, agreement=asked.agreement)


def report(
    asked: argparse.Namespace, model: ClipModel, seconds: dict[str, float], logits: dict[str, Tensor]
) -> None:
    threads = torch.get_num_threads()
    print(f"{asked.architecture}, {asked.height}x{asked.width}, {model.device}, {threads} torch threads")
    for name, spent in seconds.items():
        print(f"{name:15}{spent:9.2f} s per pair, ratio {seconds['published loop'] / spent:.2f}")
    loop = logits["published loop"]
    difference = (logits["whole image"].flatten()[: len(loop)] - loop).abs().max()
    print(
        f"largest difference of a logit {float(difference):.1e}, deviation of logits {float(loop.std()):.1e}"
    )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--architecture", default="ViT-B-16-quickgelu", help="a network of open_clip")
    parser.add_argument("--height", type=int, default=1120)
    parser.add_argument("--width", type=int, default=1680)
    parser.add_argument("--rows", type=int, default=4, help="rows of cells that are timed without a GPU")
    parser.add_argument("--cells", type=int, default=24, help="cells that the loop is timed on without a GPU")
    parser.add_argument("--turns", type=int, default=3, help="how often each is timed")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves them as they are")
    parser.add_argument("--agreement", action="store_true", help="compare with the format wide as well")
    return parser.parse_args()


def see(pair: Pair, model: ClipModel) -> PaddedViews:
    grid = CellGrid(pair.left.shape[0], pair.left.shape[1])
    left, right = to_rgb(pair.left), to_rgb(pair.right)
    return PaddedViews.of(left, right, grid=grid, peak=pair.peak, device=model.device)


def score(model: ClipModel, views: PaddedViews, layout: CellFormat) -> Tensor:
    """Logits (rows, columns) with everything computed anew, the sentence included."""
    encode_prompts.cache_clear()
    return score_cells(model, views, prompts=[RELEASED_PROMPT], layout=layout)[..., 0]


@torch.inference_mode()
def run_loop(model: ClipModel, pair: Pair, count: int) -> Tensor:
    """Logits (count,) of the first cells in reading order, as published."""
    from PIL import Image
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor

    size, card = model.image_size[0], model.card
    show = Compose(
        [
            Resize(size, InterpolationMode.BICUBIC),
            CenterCrop(size),
            ToTensor(),
            Normalize(card.image_mean, card.image_std),
        ]
    )
    tokenizer = open_clip().SimpleTokenizer(context_length=model.network.context_length)
    columns, logits = pair.left.shape[1] // CELL_PX, []
    for number in range(count):
        top, start = CELL_PX * (number // columns), CELL_PX * (number % columns)
        cell = (slice(top, top + CELL_PX), slice(start, start + CELL_PX))
        picture = Image.fromarray(np.concatenate([pair.left[cell], pair.right[cell][:, ::-1]], axis=1))
        with autocast(model.device):
            image = model.network.encode_image(show(picture)[None].to(model.device), normalize=True)
            text = model.network.encode_text(tokenizer([RELEASED_PROMPT]).to(model.device), normalize=True)
        logits.append((model.logit_scale * image.float() @ text.float().T).flatten().cpu())
    return torch.cat(logits)


def clock(model: ClipModel, work: Callable[[], Tensor]) -> tuple[float, Tensor]:
    """Seconds that `work` takes, and what it gives."""
    begin = perf_counter()
    result = work()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return perf_counter() - begin, result


def report_shared(
    model: ClipModel, views: PaddedViews, logits: dict[str, Tensor], *, agreement: bool
) -> None:
    """Operations per cell of shared features, and how they rank cells beside one pass per cell."""
    counts = {layout: count_flop(model, views, layout) for layout in (CellFormat.MIRROR, CellFormat.SHARED)}
    ratio = counts[CellFormat.MIRROR] / counts[CellFormat.SHARED]
    print(f"mirror {counts[CellFormat.MIRROR] / 1e9:.1f} GFLOP per cell, shared {ratio:.1f} times fewer")
    maps = {"mirror": logits["whole image"], "shared": logits["shared"]}
    if agreement:
        maps["wide"] = score(model, views, CellFormat.WIDE)
    for one, other in combinations(maps, 2):
        rank = spearmanr(maps[one].flatten(), maps[other].flatten()).statistic
        print(f"rank agreement of {one} and {other}: {rank:.3f}")


def count_flop(model: ClipModel, views: PaddedViews, layout: CellFormat) -> float:
    """Floating point operations per cell, the sentence left out."""
    part = CellGrid(4 * CELL_PX, 3 * CELL_PX)
    crops = (view[:, : part.height, : part.width] for view in (views.left, views.right))
    few = PaddedViews(*crops, grid=part, peak=views.peak)
    torch.backends.mha.set_fastpath_enabled(False)
    with FlopCounterMode(display=False) as counter:
        score_cells(model, few, prompts=[RELEASED_PROMPT], layout=layout)
    return counter.get_total_flops() / len(part)


if __name__ == "__main__":
    main()
