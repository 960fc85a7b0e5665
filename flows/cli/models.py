"""Verbs over networks: which weights there are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import console, options
from flows.exits import EXIT_BAD_ITEMS, exits

if TYPE_CHECKING:
    from ldp_core.weights.cards import KnownModel

app = typer.Typer()

_FACTS = ("summary", "parameters", "sha256", "state", "trained on", "licence", "use")
_UNKNOWN = "not stated"


@options.command(app, options.MODELS)
def models(
    name: Annotated[
        str | None, typer.Argument(help="Print the whole card of this model.", **options.choose("MODEL"))
    ] = None,
    folder: Annotated[
        str | None,
        options.source_option(
            "--folder",
            metavar="FOLDER",
            envvar="LDP_MODELS",
            help="Your own models: NAME.safetensors with NAME.json.",
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the models that come with the package and your own, each checked against its sha256."""
    from ldp_core.storage import absolute_url
    from ldp_core.weights.cards import find_model, list_models

    with exits():
        place = absolute_url(folder) if folder else None
        if name is not None:
            console.print_json(_read_card(find_model(name, place)))
            return
        found = list_models(place)
    listed = [describe_model(model) for model in found]
    console.print_json(listed) if as_json else _print_models(listed)
    if any(model["state"] != "verified" for model in listed):
        raise typer.Exit(EXIT_BAD_ITEMS)


def describe_model(model: KnownModel) -> dict[str, Any]:
    """What one must know of a model before using it, as plain values."""
    card = model.card
    return {
        "name": model.name,
        "origin": "shipped" if model.shipped else model.url,
        "summary": card.get("summary", _UNKNOWN),
        "parameters": card.get("parameters", _UNKNOWN),
        "sha256": model.sha256,
        "state": model.state.value,
        "trained on": ", ".join(card.get("sources", ())) or _UNKNOWN,
        "licence": "; ".join(filter(None, (card.get("licence"), card.get("source_licences")))) or _UNKNOWN,
        "scores": {place: _flatten(figures) for place, figures in card.get("scores", {}).items()},
        "use": model.name if model.shipped else f"weights={model.url}, sha256={model.sha256}",
    }


def _read_card(model: KnownModel) -> dict[str, Any]:
    """The whole card, with where the file lies and whether it is the one the card names."""
    return {**model.card, "name": model.name, "url": model.url, "state": model.state, "sha256": model.sha256}


def _print_models(models: Sequence[Mapping[str, Any]]) -> None:
    for model in models:
        console.show(f"{model['name']} ({model['origin']})", style="bold")
        console.show_facts([(fact, model[fact]) for fact in _FACTS], indent="  ")
        scores = [(f"on {place}", figures) for place, figures in model["scores"].items()]
        console.show_facts(scores, indent="  ")  # apart: beside their long names a digest is too wide


def _flatten(figures: Any) -> str:
    """Figures as the card nests them, on one line."""
    if isinstance(figures, Mapping):
        parts = ((name, _flatten(value)) for name, value in figures.items() if value is not None)
        return ", ".join(f"{name} {f'({text})' if ', ' in text else text}" for name, text in parts)
    return f"{figures:.4g}" if isinstance(figures, float) else str(figures)
