"""A map seen in one picture is compared, in the pipeline, with the one measured between the views."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from network_samples import write_network

from ldp_core.archive import Archive
from ldp_core.blur.dd_network import LIGHT, DdNetwork
from ldp_core.catalogue import read_catalogue
from ldp_core.images import encode_image
from ldp_core.optics import SimulationSettings, simulate_pair
from ldp_core.types import BlurMapKind
from tasks.job import Job, Method, keys_of
from tasks.stages import Outcome, Work, ingest_item, restore_item


def test_a_probability_is_compared_with_the_measured_map(tmp_path: Path) -> None:
    pair = simulate_pair(3, SimulationSettings(height=64, width=96))
    for view, pixels in pair.views.items():
        (tmp_path / "set" / view).mkdir(parents=True)
        (tmp_path / "set" / view / "a.png").write_bytes(encode_image(pixels, "png"))
    [item] = read_catalogue(str(tmp_path / "set"), layout="folders").items
    torch.manual_seed(0)
    weights = write_network(tmp_path, DdNetwork(LIGHT), LIGHT)
    job = Job(
        str(tmp_path / "archive"),
        Method.of("depth-distilled", weights),
        Method.of("gated", {"method": "bdir"}),
    )
    assert isinstance(ingest_item(job, item), Outcome)
    outcome = restore_item(job, Work(item))
    assert isinstance(outcome, Outcome), outcome
    found = Archive(job.archive).read_blur_map(keys_of(job).blur, item.id)
    assert found.kind is BlurMapKind.IN_FOCUS_PROBABILITY
    scores = {score.metric: score.value for score in outcome.scores if score.subject == "blur_map"}
    assert 0 <= scores["agreement_auc"] <= 1
    assert 0 <= scores["disagreement"] <= 1


def test_only_probabilities_of_pairs_have_it_in_their_keys(tmp_path: Path) -> None:
    plain = Job(str(tmp_path), Method("disparity"), Method("wiener"))
    assert keys_of(plain) == keys_of(replace(plain, measuring=None))
    seen = Job(str(tmp_path), Method("depth-distilled"), Method("bdir"))
    assert keys_of(seen).scores != keys_of(replace(seen, measuring=None)).scores
    single = seen.for_views(single=True)
    assert (
        keys_of(single) == keys_of(seen, single=True) == keys_of(replace(seen, measuring=None), single=True)
    )
