"""How real the simulated optics are: fitted kernel families against photographs of two cameras."""

from ldp_core.optics.realism.evaluate import (
    FamilyFit,
    KernelLikeness,
    OpticsReport,
    evaluate_optics,
)

__all__ = ["FamilyFit", "KernelLikeness", "OpticsReport", "evaluate_optics"]
