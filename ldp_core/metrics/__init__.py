"""How good a result is: fidelity to a target, blur maps against truth, reblurring without one.

Every score names its protocol; means carry a bootstrap interval; the input is always scored too.
"""

from ldp_core.metrics.bootstrap import Interval, difference_interval, mean_interval
from ldp_core.metrics.fidelity import align, find_shift, mae, psnr_db, psnr_of_mse, ssim
from ldp_core.metrics.reblur import reblur_psnr_db
from ldp_core.metrics.scoring import FIDELITY, metric_names, score_item, score_spec
from ldp_core.metrics.summary import MeanDifference, compare_with, group_scores, summarise

__all__ = [
    "FIDELITY",
    "Interval",
    "MeanDifference",
    "align",
    "compare_with",
    "difference_interval",
    "find_shift",
    "group_scores",
    "mae",
    "mean_interval",
    "metric_names",
    "psnr_db",
    "psnr_of_mse",
    "reblur_psnr_db",
    "score_item",
    "score_spec",
    "ssim",
    "summarise",
]
