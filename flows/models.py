"""The models there are, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ldp_core.storage import absolute_url
from ldp_core.weights.cards import KnownModel, find_model, list_models

_UNKNOWN = "not said"


def describe_models(*, folder: str | None = None) -> list[dict[str, Any]]:
    """What a person must know of each model before using it.

    Raises:
        WeightsError: the folder holds no models, or a card cannot be read.
    """
    return [_describe(model) for model in list_models(folder and absolute_url(folder))]


def read_one(name: str, *, folder: str | None = None) -> dict[str, Any]:
    """The whole card of a model, with where it lies and whether its file is the one it names.

    Raises:
        WeightsError: there is no such model.
    """
    model = find_model(name, folder and absolute_url(folder))
    return {**model.card, "name": model.name, "url": model.url, "state": model.state, "sha256": model.sha256}


def _describe(model: KnownModel) -> dict[str, Any]:
    card = model.card
    return {
        "name": model.name,
        "origin": "shipped" if model.shipped else model.url,
        "summary": card.get("summary", _UNKNOWN),
        "parameters": card.get("parameters", _UNKNOWN),
        "sha256": model.sha256,
        "state": model.state.value,
        "trained on": ", ".join(card.get("sources", ())) or _UNKNOWN,
        "licence": _join(card.get("licence"), card.get("source_licences")),
        "scores": {place: _flatten(figures) for place, figures in card.get("scores", {}).items()},
        "use": model.name if model.shipped else f"weights={model.url}, sha256={model.sha256}",
    }


def _join(*texts: str | None) -> str:
    return "; ".join(text for text in texts if text) or _UNKNOWN


def _flatten(figures: Any) -> str:
    """Figures as the card nests them, on one line."""
    if isinstance(figures, Mapping):
        parts = ((name, _flatten(value)) for name, value in figures.items() if value is not None)
        return ", ".join(f"{name} {f'({text})' if ', ' in text else text}" for name, text in parts)
    return f"{figures:.4g}" if isinstance(figures, float) else str(figures)
