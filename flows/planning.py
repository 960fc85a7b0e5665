"""What a run is to do, before a server or workers start: its configuration, and a plan that a flow takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ldp_core.images.scale import parse_peak
from ldp_core.protocols import ScoringOptions
from ldp_core.types import PixelOptions
from tasks.pipeline import make_config
from tasks.plan import Plan
from tasks.stage import PipelineConfig

_prepared: ContextVar[Plan | None] = ContextVar("prepared_plan", default=None)


def restore_config(
    archive: str,
    *,
    estimator: str = "disparity",
    estimator_settings: Mapping[str, Any] | None = None,
    deblurrer: str = "ldp",
    deblurrer_settings: Mapping[str, Any] | None = None,
    single_estimator_settings: Mapping[str, Any] | None = None,
    single_deblurrer_settings: Mapping[str, Any] | None = None,
    baselines: Sequence[str] = (),
    peak: int | str | None = None,
    to_srgb: bool = False,
    from_archive: bool = False,
    protocols: Sequence[str] = (),
    lpips_weights: str = "",
) -> PipelineConfig:
    """The configuration of `flows.restore.restore_dataset`, from its parameters.

    Raises:
        SettingsError: a method, a setting or a protocol is unknown, or the peak is no value of 16 bit.
        WeightsError: a protocol needs weights that are not given or not there.
    """
    return make_config(
        archive,
        estimator=(estimator, estimator_settings),
        deblurrer=(deblurrer, deblurrer_settings),
        single_settings=(single_estimator_settings, single_deblurrer_settings),
        baselines=baselines,
        pixels=PixelOptions(parse_peak(peak), to_srgb),
        from_archive=from_archive,
        scoring=ScoringOptions.of(protocols, lpips_weights),
    )


@contextmanager
def prepared(plan: Plan | None) -> Iterator[None]:
    """Let a flow that the block calls take over a plan that was made already."""
    token = _prepared.set(plan)
    try:
        yield
    finally:
        _prepared.reset(token)


def prepared_plan(config: PipelineConfig) -> Plan | None:
    """The plan to take over, if there is one of this configuration."""
    plan = _prepared.get()
    return plan if plan is not None and plan.config == config else None
