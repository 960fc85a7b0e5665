"""The published loop over cells against whole-image batches: same random weights, same logits.

    python infra/benchmarks/clip_speed.py

The loop takes one cell at a time as a picture and encodes the sentence with every cell. Both are timed
in turns, on samples where a whole picture takes long, and scaled to it; medians over the turns. Trust the
ratio, on a CPU with other work that of CPU seconds. Weights are random, since seconds do not depend on
them. `shared` is our own approximation with fewer operations; its rank agreement on random weights says
little about trained ones.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import combinations
from time import perf_counter, process_time

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ldp_core.blur.clip_cells import CellGrid, PaddedViews, score_cells
from ldp_core.blur.clip_model import ClipModel, encode_prompts, open_clip, random_clip
from ldp_core.blur.clip_settings import RELEASED_PROMPT, CellFormat
from ldp_core.optics.simulate import SimulationSettings, simulate_pair
from ldp_core.tensors import autocast, choose_device, to_rgb
from ldp_core.types import Pair

CELL_PX = 40
SAMPLE_PX = (160, 480)
"""Height and width of the picture that is timed without a GPU."""
Seconds = NDArray[np.float64]


def main() -> None:
    asked = parse()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    model = random_clip(asked.architecture, seed=0, device=choose_device())
    height, width = (asked.height, asked.width) if model.device.type == "cuda" else SAMPLE_PX
    pair = simulate_pair(1, SimulationSettings(height=height, width=width))
    views = see(pair, model)
    cells = len(views.grid)
    works: dict[str, tuple[int, Callable[[], Tensor]]] = {
        "published loop": (asked.cells, lambda: run_loop(model, pair, asked.cells)),
        "whole image": (cells, lambda: score(model, views, CellFormat.MIRROR)),
        "shared": (cells, lambda: score(model, views, CellFormat.SHARED)),
    }
    logits = {name: work() for name, (_, work) in works.items()}
    seconds = {name: np.empty((asked.turns, 2)) for name in works}
    for turn in range(asked.turns):
        for name, (count, work) in works.items():
            seconds[name][turn] = clock(model, work) / count * len(CellGrid(asked.height, asked.width))
    report(asked, model, {name: np.median(spent, axis=0) for name, spent in seconds.items()}, logits)
    report_shared(model, views, logits)


def report(
    asked: argparse.Namespace, model: ClipModel, seconds: dict[str, Seconds], logits: dict[str, Tensor]
) -> None:
    threads = torch.get_num_threads()
    print(f"{asked.architecture}, {asked.height}x{asked.width}, {model.device}, {threads} torch threads")
    print(f"{'per pair':15}{'wall s':>10}{'ratio':>8}{'CPU s':>10}{'ratio':>8}")
    for name, (wall, cpu) in seconds.items():
        ratios = seconds["published loop"] / seconds[name]
        print(f"{name:15}{wall:10.2f}{ratios[0]:8.2f}{cpu:10.2f}{ratios[1]:8.2f}")
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
    parser.add_argument("--cells", type=int, default=8, help="cells that the loop is timed on")
    parser.add_argument("--turns", type=int, default=5, help="how often each is timed")
    parser.add_argument("--threads", type=int, default=0, help="torch threads; 0 leaves them as they are")
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


def clock(model: ClipModel, work: Callable[[], Tensor]) -> Seconds:
    """Wall clock and CPU seconds that `work` takes."""
    wall, cpu = perf_counter(), process_time()
    work()
    if model.device.type == "cuda":
        torch.cuda.synchronize()
    return np.array([perf_counter() - wall, process_time() - cpu])


def report_shared(model: ClipModel, views: PaddedViews, logits: dict[str, Tensor]) -> None:
    """Operations per cell of shared features, and how they rank cells beside one pass per cell."""
    counts = {layout: count_flop(model, views, layout) for layout in (CellFormat.MIRROR, CellFormat.SHARED)}
    ratio = counts[CellFormat.MIRROR] / counts[CellFormat.SHARED]
    print(f"mirror {counts[CellFormat.MIRROR] / 1e9:.1f} GFLOP per cell, shared {ratio:.1f} times fewer")
    maps = {"mirror": logits["whole image"], "shared": logits["shared"]}
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
