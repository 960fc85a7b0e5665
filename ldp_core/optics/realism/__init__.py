"""How real the simulated optics are: fitted kernel families against photographs of two cameras."""

from ldp_core.optics.realism.evaluate import (
    FamilyFit,
    KernelCorrelation,
    OpticsReport,
    evaluate_optics,
)

__all__ = ["FamilyFit", "KernelCorrelation", "OpticsReport", "evaluate_optics"]
