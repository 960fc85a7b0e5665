"""What a figure of a run shows of an item: its pictures from the archive, with their scores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from ldp_core.archive import Archive
from ldp_core.protocols import is_named
from ldp_core.report.model import BLUR_PICTURES
from ldp_core.report.paper import FigureRow, Panel
from ldp_core.single_view import input_image
from ldp_core.types import Item, Score
from tasks.run import Run
from tasks.stage import ItemTraits
from tasks.stages import BLUR, DEBLUR, is_baseline

_METRICS: Final = ("psnr_db", "ssim")


def read_row(
    run: Run, item: Item, labels: Mapping[str, str], centre: tuple[int, int] | None = None
) -> tuple[FigureRow, list[str]]:
    """Input, blur map, restored, other methods, truth; and the protocols of the scores below them.

    ``labels``: titles by what a column is called otherwise (``input``, ``blur map``, ``restored``, the name
    of a method, ``truth``).

    Raises:
        ItemMissingError, ItemDamagedError: a result is not there, or not as it was written.
    """
    archive, pipeline = Archive(run.archive), ItemTraits.of(item).name
    pair = archive.read_pair(item.key)
    scores = next((one.scores for one in run.items if one.id == item.id), ())
    values, protocols = _choose_scores(scores)
    blur = archive.read_blur_map(run.key_of(BLUR, pipeline), item.key)
    pictures: dict[str, Any] = {
        "input": input_image(pair),
        "restored": archive.read_restored(run.key_of(DEBLUR, pipeline), item.key),
        **{
            stage.label.partition(":")[2]: archive.read_restored(stage.key, item.key)
            for stage in run.stages.get(pipeline, ())
            if is_baseline(stage.label)
        },
        **pair.external,
        **({} if pair.target is None else {"truth": pair.target}),
    }

    def name(column: str) -> str:
        return labels.get(column, column[:1].upper() + column[1:] if column in _OWN else column)

    panels = [Panel(name(n), pixels, scores=values.get(n, {})) for n, pixels in pictures.items()]
    panels.insert(1, Panel(name("blur map"), blur.values, BLUR_PICTURES[blur.kind]))
    return FigureRow(item.title, panels, centre), protocols


_OWN: Final = {"input", "blur map", "restored", "truth"}


def _choose_scores(scores: tuple[Score, ...]) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Values by subject and metric; those after a search for the shift where there are any, published
    protocols last."""
    ranked = sorted(
        scores, key=lambda one: (is_named(one.protocol.variant), one.protocol.alignment == "none")
    )
    values: dict[str, dict[str, float]] = {}
    protocols: dict[str, None] = {}
    for score in ranked:
        if score.metric in _METRICS and score.metric not in values.get(score.subject, {}):
            values.setdefault(score.subject, {})[score.metric] = score.value
            protocols[score.protocol.name] = None
    return values, list(protocols)
