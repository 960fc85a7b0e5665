"""Deblurrers side by side on a dataset with truths, without archive or workers.

The figures are those of `ldp restore`, and one more: PSNR after one gain for the whole picture, least
squares on stored values. DPDD's truths were taken at f/22 and its blurred views at f/4, and are brighter
by up to a quarter in linear light; a network trained on that camera learns the difference, others cannot.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ldp_core.blur import make_estimator
from ldp_core.catalogue import load_pair, read_catalogue
from ldp_core.deblur import DEBLURRERS, make_deblurrer
from ldp_core.errors import CatalogueError
from ldp_core.metrics import psnr_db, score_item, summarise
from ldp_core.single_view import input_image
from ldp_core.types import Item, MeanScore, Pair, Pixels, Score

GAIN_METRIC = "psnr_gain_db"


def evaluate_restoration(
    source: str, *, layout: str, deblurrers: Sequence[str], estimator: str = "disparity"
) -> tuple[MeanScore, ...]:
    """Means of every measure, of the input, of external results, and of every deblurrer.

    Items of a single view are restored by the methods that need no second one.

    Raises:
        CatalogueError: the source has no item with a truth.
        SettingsError: there is no such method.
    """
    items = [item for item in read_catalogue(source, layout=layout).items if item.target is not None]
    if not items:
        raise CatalogueError(
            "nothing here can be measured",
            where=source,
            expected="items with an all-in-focus picture",
            remedy="name a dataset that has truths, or another --layout",
        )
    return summarise([score for item in items for score in _score(item, deblurrers, estimator)])


def _score(item: Item, deblurrers: Sequence[str], estimator: str) -> Iterator[Score]:
    pair = load_pair(item)
    blur_map = make_estimator(estimator).estimate(pair) if pair.has_both_views else None
    able = [name for name in deblurrers if pair.has_both_views or DEBLURRERS[name].views == 1]
    restored = {name: make_deblurrer(name).restore(pair, blur_map) for name in able}
    shown = replace(pair, external={**pair.external, **restored})
    scores = score_item(shown, restored=None, blur_map=None)
    yield from scores
    for score in scores:
        if score.metric == "psnr_db" and score.protocol.alignment == "none" and pair.target is not None:
            picture = input_image(pair) if score.subject == "input" else shown.external[score.subject]
            value = psnr_after_gain_db(picture, pair.target, pair=pair)
            yield replace(score, metric=GAIN_METRIC, value=value)


def psnr_after_gain_db(picture: Pixels, target: Pixels, *, pair: Pair) -> float:
    """PSNR in dB over the pair's region, after the gain that favours the picture most."""
    window = pair.score_region.slices
    image, truth = (x[window].astype(np.float64) / np.iinfo(x.dtype).max for x in (picture, target))
    gain = float((image * truth).sum() / np.square(image).sum())
    return psnr_db((image * gain).clip(0, 1), truth)
