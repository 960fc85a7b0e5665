"""How good the methods are, beyond one dataset: by kernel family, by estimator."""

from ldp_core.evaluation.restoration import FAMILIES, FamilyScore, evaluate_families

__all__ = ["FAMILIES", "FamilyScore", "evaluate_families"]
