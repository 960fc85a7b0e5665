"""The camera: thin lens, dual-pixel kernels, renderer, sensor, and scenes to point it at."""

from ldp_core.optics.kernels import (
    DEFAULT_KERNEL,
    FITTED_KERNELS,
    KernelFamily,
    KernelSpec,
    disparity_per_coc,
    kernel_bank,
    kernel_pair,
)
from ldp_core.optics.render import render_views
from ldp_core.optics.scenes import Scene, SceneKind, make_scene
from ldp_core.optics.sensor import Sensor, Transfer, decode_light, encode_light, expose_views, quantise
from ldp_core.optics.simulate import Lens, SimulatedBatch, SimulationSettings, simulate, simulate_pair

__all__ = [
    "DEFAULT_KERNEL",
    "FITTED_KERNELS",
    "KernelFamily",
    "KernelSpec",
    "Lens",
    "Scene",
    "SceneKind",
    "Sensor",
    "SimulatedBatch",
    "SimulationSettings",
    "Transfer",
    "decode_light",
    "disparity_per_coc",
    "encode_light",
    "expose_views",
    "kernel_bank",
    "kernel_pair",
    "make_scene",
    "quantise",
    "render_views",
    "simulate",
    "simulate_pair",
]
