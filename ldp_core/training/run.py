"""Training, exporting and describing any network: what every `ldp train NAME` has in common."""

from __future__ import annotations

import argparse
import json
import math
import shlex
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ldp_core.deblur.ldp_network import count_parameters
from ldp_core.training.card import ModelCard, average_weights, write_card, write_weights
from ldp_core.training.command import add_device, add_threads, run_step
from ldp_core.training.folder import RunFolder
from ldp_core.training.session import Rhythm, Session
from ldp_core.training.team import join_team, own_device
from ldp_core.training.trainer import Course, FitSettings, Trainer

_FIT_OPTIONS = ("steps", "learning_rate", "average_decay", "seed")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a person must know of where weights come from; the rest of a card is read from the run."""

    summary: str
    sources: Sequence[str]
    source_licences: str
    not_trained_on: Sequence[str]


class Trainee(Protocol):
    """A network as `ldp train` sees it."""

    @property
    def name(self) -> str: ...

    def add_options(self, parser: argparse.ArgumentParser) -> None:
        """Options of its own: data, sizes, weights of its loss."""
        ...

    def open_course(self, options: Namespace, fit: FitSettings) -> Course[Any]:
        """The course that the options ask for."""
        ...

    def describe(self, state: Mapping[str, Any]) -> Origin:
        """Where the weights of a checkpoint come from."""
        ...


def run_trainee(trainee: Trainee, arguments: Sequence[str]) -> int:
    """`ldp train NAME ARGUMENTS`: train or go on, then write weights and card; the exit code."""
    parser = build_parser(trainee)

    def step(options: Namespace) -> Iterator[str]:
        fit = FitSettings.parse({name: getattr(options, name) for name in _FIT_OPTIONS})
        course = trainee.open_course(options, fit)
        yield from follow(course, fit, options)
        command = shlex.join(["ldp", "train", trainee.name, *(_shorten(text) for text in arguments)])
        yield export(trainee, course, options, command=command)

    parser.set_defaults(step=step)
    return run_step(parser, arguments)


def build_parser(trainee: Trainee) -> argparse.ArgumentParser:
    """What `ldp train NAME` takes: options of all networks, then the trainee's own."""
    parser = argparse.ArgumentParser(prog=f"ldp train {trainee.name}", description=trainee.__doc__)
    parser.add_argument("folder", type=Path, help="where the work lies; again, and it goes on")
    parser.add_argument("--weights", type=Path, help="file to write; NAME.safetensors in the folder")
    default = FitSettings()
    add_schedule(parser, default)
    parser.add_argument("--average-decay", type=float, default=default.average_decay)
    add_also(parser)
    add_making(parser)
    trainee.add_options(parser)
    add_device(parser)
    add_threads(parser)
    return parser


def follow(course: Course[Any], fit: FitSettings, options: Namespace) -> Iterator[str]:
    """Train in `options.folder`, and say how it goes, where this process leads its team."""
    team = join_team(options.device)
    device = own_device(options.device, team)
    trainer = Trainer(course, fit, device=device, team=team, compiled=options.compile)
    session = Session(RunFolder(options.folder), trainer, Rhythm(measure=options.measure_every))
    resumed = session.resume()
    if team.leads:
        yield f"resumed at step {trainer.step}" if resumed else "a new run"
    for entry in session.run(minutes=options.minutes):
        if team.leads:
            yield str(entry)


def export(trainee: Trainee, course: Course[Any], options: Namespace, *, command: str) -> str:
    """Write the averaged weights of a run, or their mean over several, with their card beside them."""
    states = [RunFolder(folder).load() for folder in (options.folder, *options.also)]
    tensors = average_weights(states, half=not options.full)
    weights = options.weights or options.folder / f"{trainee.name}.safetensors"
    state, settings = states[0], states[0]["network_settings"]
    digest = write_weights(weights, tensors, metadata={"network": json.dumps(settings)})
    course.network.load_state_dict(
        {name: x.float() if x.is_floating_point() else x for name, x in tensors.items()}
    )
    network = course.network.eval()
    origin = trainee.describe(state)
    card = ModelCard(
        name=weights.stem,
        summary=origin.summary,
        commands=[command],
        seed=state["fit_settings"]["seed"],
        steps=state["step"],
        network=settings,
        parameters=count_parameters(network),
        training={name: x for name, x in state.items() if name not in _NOT_ON_CARD},
        sources=origin.sources,
        source_licences=origin.source_licences,
        not_trained_on=origin.not_trained_on,
        scores=course.measure(network),
        notes=options.note,
    )
    write_card(weights.with_suffix(".json"), card, sha256=digest)
    return f"{weights}: sha256 {digest}"


_NOT_ON_CARD = {"network_settings", "step", "network", "average", "optimiser", "random", "format"}


def add_schedule(parser: argparse.ArgumentParser, default: FitSettings) -> None:
    """How long, how fast, from which seed; what `follow` reads of the options."""
    parser.add_argument("--steps", type=int, default=default.steps, help="length of the cosine")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after this long")
    parser.add_argument("--learning-rate", type=float, default=default.learning_rate)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--compile", action="store_true", help="compile the network; helps on a GPU")
    parser.add_argument("--measure-every", type=int, default=500, metavar="STEPS")


def add_also(parser: argparse.ArgumentParser) -> None:
    """Further runs to average with."""
    parser.add_argument(
        "--also",
        type=Path,
        action="append",
        default=[],
        metavar="FOLDER",
        help="average with the weights of this run; the card is the first run's",
    )


def add_making(parser: argparse.ArgumentParser) -> None:
    """How weights are written, and what their card says besides."""
    parser.add_argument("--full", action="store_true", help="float32 instead of float16")
    parser.add_argument("--note", action="append", default=[], help="what the card should say besides")


def _shorten(text: str) -> str:
    """Paths, also those joined by colons, by their last two parts: a card names no place of one machine."""
    return ":".join("/".join(Path(part).parts[-2:]) if "/" in part else part for part in text.split(":"))
