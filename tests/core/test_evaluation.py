"""Restoration by kernel family."""

from __future__ import annotations

import pytest

from ldp_core.errors import SettingsError
from ldp_core.evaluation import FAMILIES, evaluate_families


def test_each_family_scores_the_input_and_every_deblurrer() -> None:
    families = dict(list(FAMILIES.items())[:2])
    scores = list(evaluate_families(["wiener"], scenes=1, families=families))
    assert [(score.family, score.subject) for score in scores] == [
        (family, subject) for family in families for subject in ("input", "wiener")
    ]
    psnr = {(score.family, score.subject): score.psnr_db for score in scores}
    assert psnr["half-disc, fitted", "wiener"] > psnr["half-disc, fitted", "input"] + 0.5
    assert len({round(value, 6) for value in psnr.values()}) == len(psnr)


def test_an_unknown_deblurrer_is_named() -> None:
    with pytest.raises(SettingsError, match="no such deblurrer"):
        next(evaluate_families(["wizard"], scenes=1))
