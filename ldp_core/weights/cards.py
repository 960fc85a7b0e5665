"""Models with their cards: those that come with the package, and those in a folder of the user's."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ldp_core.errors import ObjectMissingError, WeightsError, suggest
from ldp_core.storage import join, list_folder, read_bytes
from ldp_core.weights.files import SHIPPED

_WEIGHTS, _CARD = ".safetensors", ".json"


class WeightsState(StrEnum):
    """How the file of a model stands to the digest on its card (for shipped ones, in the package)."""

    VERIFIED = "verified"
    ALTERED = "altered"
    MISSING = "missing"
    UNPINNED = "no_digest"
    """Its card is absent or names no digest; nothing says what the file should be."""


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model by name: where its weights lie, the sha256 they have, and its card (empty where none)."""

    name: str
    url: str
    shipped: bool
    state: WeightsState
    sha256: str
    card: Mapping[str, Any]


def list_models(folder: str | None = None) -> list[KnownModel]:
    """Shipped models, then those of a folder, by name; every file is hashed.

    Raises:
        WeightsError: the folder holds nothing, or a card cannot be read.
    """
    shipped = [_read_model(name, model.url, pinned=model.sha256) for name, model in sorted(SHIPPED.items())]
    return shipped + ([] if folder is None else _list_folder(folder))


def find_model(name: str, folder: str | None = None) -> KnownModel:
    """A model by its name, the user's own before a shipped one.

    Raises:
        WeightsError: there is none of this name.
    """
    models = list_models(folder)
    found = next((model for model in reversed(models) if model.name == name), None)
    if found is None:
        raise WeightsError(
            "there is no model of this name",
            where=name,
            expected=", ".join(model.name for model in models),
            remedy=suggest(name, [model.name for model in models])
            or "name the folder of your own models with --folder",
        )
    return found


def _list_folder(folder: str) -> list[KnownModel]:
    files = set(list_folder(folder).objects)
    cards = {file for file in files if file.endswith(_CARD)}
    stems = {file.removesuffix(_WEIGHTS) for file in files if file.endswith(_WEIGHTS)}
    stems |= {file.removesuffix(_CARD) for file in cards if "sha256" in _read_card(join(folder, file))}
    if not stems:
        raise WeightsError(
            "there are no models in this folder",
            where=folder,
            expected=f"NAME{_WEIGHTS} with its card NAME{_CARD}",
            remedy="name another folder; `ldp train` exports weights with their card",
        )
    return [_read_model(stem, join(folder, stem + _WEIGHTS)) for stem in sorted(stems)]


def _read_model(name: str, url: str, *, pinned: str | None = None) -> KnownModel:
    card = _read_card(url.removesuffix(_WEIGHTS) + _CARD)
    expected = pinned or str(card.get("sha256", ""))
    try:
        found = hashlib.sha256(read_bytes(url)).hexdigest()
    except ObjectMissingError:
        return KnownModel(name, url, pinned is not None, WeightsState.MISSING, "", card)
    state = WeightsState.VERIFIED if found == expected else WeightsState.ALTERED
    return KnownModel(
        name, url, pinned is not None, state if expected else WeightsState.UNPINNED, found, card
    )


def _read_card(url: str) -> Mapping[str, Any]:
    try:
        card = json.loads(read_bytes(url))
    except ObjectMissingError:
        return {}
    except (ValueError, RecursionError) as error:
        raise WeightsError("not a model card", where=url, expected="JSON", got=str(error)) from error
    if not isinstance(card, dict):
        raise WeightsError("not a model card", where=url, expected="a JSON object", got=type(card).__name__)
    return card
