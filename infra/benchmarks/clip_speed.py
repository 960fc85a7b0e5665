"""The published loop over cells against whole-image batches: same random weights, same logits.

    python infra/benchmarks/clip_speed.py

The loop takes one cell at a time as a picture and encodes the sentence with every cell. Both are timed
in turns, on samples where a whole picture takes long, and scaled to it. Weights are random, since seconds
do not depend on them. `shared` is our own approximation with fewer operations; its rank agreement on random
weights says little about trained ones.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch
from harness import make_parser, parse, print_costs, time_in_turns
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


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--architecture", default="ViT-B-16-quickgelu", help="a network of open_clip")
    parser.add_argument("--height", type=int, default=1120)
    parser.add_argument("--width", type=int, default=1680)
    parser.add_argument("--cells", type=int, default=8, help="cells that the loop is timed on")
    asked = parse(parser)
    model = random_clip(asked.architecture, seed=0, device=choose_device())
    on_gpu = model.device.type == "cuda"
    height, width = (asked.height, asked.width) if on_gpu else SAMPLE_PX
    pair = simulate_pair(1, SimulationSettings(height=height, width=width))
    views = see(pair, model)
    works: dict[str, Callable[[], Tensor]] = {
        "published loop": lambda: run_loop(model, pair, asked.cells),
        "whole image": lambda: score(model, views, CellFormat.MIRROR),
        "shared": lambda: score(model, views, CellFormat.SHARED),
    }
    logits = {name: work() for name, work in works.items()}
    synchronise = torch.cuda.synchronize if on_gpu else None
    costs = time_in_turns(works, repeats=asked.repeats, warm_up=False, synchronise=synchronise)
    all_cells = len(CellGrid(asked.height, asked.width))
    timed = {name: asked.cells if name == "published loop" else len(views.grid) for name in works}
    threads = torch.get_num_threads()
    print(f"{asked.architecture}, {asked.height}x{asked.width}, {model.device}, {threads} torch threads")
    scale = {name: all_cells / cells for name, cells in timed.items()}
    print_costs(costs, reference="published loop", scale=scale)
    report_logits(logits)
    report_shared(model, views, logits)


def report_logits(logits: dict[str, Tensor]) -> None:
    loop = logits["published loop"]
    difference = float((logits["whole image"].flatten()[: len(loop)] - loop).abs().max())
    print(f"largest difference of a logit {difference:.1e}, deviation of logits {float(loop.std()):.1e}")


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
