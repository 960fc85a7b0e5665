"""Estimators of blur side by side on the same pairs, and by how much the language-driven map leads or trails.

    python infra/benchmarks/map_intervals.py ../shared/data/dp/pixel4 --keep scores.json
    python infra/benchmarks/map_intervals.py --simulated 12 --weights FILE --sha256 DIGEST

Rows are those of `ldp evaluate maps`. Of each the figures of every pair, their mean, and the paired
difference of the row named by `--against` to it, with the bounds of its 95 % bootstrap interval over pairs.
Figures kept in a file are not computed again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

import torch

from ldp_core.blur import make_estimator
from ldp_core.evaluation.maps import NAMED_ROWS, rank, read_measured, simulate_pairs
from ldp_core.metrics.bootstrap import difference_interval
from ldp_core.types import Pair

MEASURES = ("rho", "auc")
SIMULATED_SEED = 90_000
"""Of other pairs than `ldp evaluate maps` and `constants.py` draw: the hold-out of the rule of choice."""
Scores = dict[str, dict[str, dict[str, float]]]
"""By row and pair."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("measured", type=Path, nargs="?", help="folder of pairs with a measured truth")
    parser.add_argument("--simulated", type=int, default=0, metavar="N", help="N simulated pairs instead")
    parser.add_argument("--row", action="append", choices=NAMED_ROWS, help="only this one; may be repeated")
    parser.add_argument("--against", default="LDP-tiny, signed", choices=NAMED_ROWS)
    parser.add_argument("--weights", default="ldp-tiny")
    parser.add_argument("--sha256", default="")
    parser.add_argument("--keep", type=Path, help="file of figures to read and add to")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scores: Scores = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    rows = {title: NAMED_ROWS[title] for title in options.row or NAMED_ROWS}
    clip = {"weights": options.weights, "sha256": options.sha256}
    pairs = (
        simulate_pairs(options.simulated, seed=SIMULATED_SEED)
        if options.simulated
        else read_measured(options.measured)
    )
    for pair in pairs:
        score_pair(pair, rows, clip, scores)
        if options.keep:
            options.keep.write_text(json.dumps(scores, indent=1))
    print_rows(scores, against=options.against)


def score_pair(
    pair: Pair, rows: Mapping[str, tuple[str, Mapping[str, Any]]], clip: Mapping[str, str], scores: Scores
) -> None:
    """Add what is not yet known of this pair."""
    for title, (estimator, settings) in rows.items():
        known = scores.setdefault(title, {})
        if pair.id not in known:
            asked = {**settings, **clip} if estimator == "clip" else settings
            known[pair.id] = asdict(rank(make_estimator(estimator, asked).estimate(pair), pair))


def print_rows(scores: Scores, *, against: str) -> None:
    for title, by_pair in scores.items():
        cells = [title]
        for measure in MEASURES:
            values = {pair: each[measure] for pair, each in by_pair.items()}
            cells += [f"{mean(values.values()):.3f}", " ".join(f"{value:.3f}" for value in values.values())]
            ours = scores.get(against, {})
            if title != against and values.keys() == ours.keys():
                gain = difference_interval([ours[pair][measure] for pair in values], [*values.values()])
                cells.append(f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})")
            else:
                cells.append("")
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
