"""How good a result is: fidelity to a target, blur maps against truth, reblurring without one.

Every score is bound to its protocol; means carry a bootstrap interval; the input is always a row.
"""

from ldp_core.metrics.alignment import align, find_shift
from ldp_core.metrics.bootstrap import Interval, difference_interval, mean_interval
from ldp_core.metrics.fidelity import mae, psnr_db, ssim
from ldp_core.metrics.reblur import reblur_psnr_db
from ldp_core.metrics.scoring import METRICS, score_item, score_spec
from ldp_core.metrics.summary import MeanDifference, compare_with, group_scores, summarise

__all__ = [
    "METRICS",
    "Interval",
    "MeanDifference",
    "align",
    "compare_with",
    "difference_interval",
    "find_shift",
    "group_scores",
    "mae",
    "mean_interval",
    "psnr_db",
    "reblur_psnr_db",
    "score_item",
    "score_spec",
    "ssim",
    "summarise",
]
