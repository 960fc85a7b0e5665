"""The steps of training: render frames, fit a network to them, export its weights."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from ldp_core.blur.clip_model import load_clip
from ldp_core.deblur.ldp_network import LIGHT, PUBLISHED, SMALL, NetworkSettings
from ldp_core.training.balance import Balance
from ldp_core.training.batches import BatchSettings
from ldp_core.training.card import describe_run, export_weights, write_card
from ldp_core.training.checkpoints import load_checkpoint
from ldp_core.training.fit import FitSettings, Trainer
from ldp_core.training.frames import FrameCache, FrameSettings
from ldp_core.training.session import CHECKPOINT, Rhythm, Session
from ldp_core.training.sources import Sources, find_sources
from ldp_core.training.team import join_team, own_device
from ldp_core.training.validate import Trial, frame_trials, read_trials
from ldp_core.types import Region

SIZES = {"light": LIGHT, "small": SMALL, "large": NetworkSettings(), "published": PUBLISHED}
HOLD_OUT_FRAMES = 12
HOLD_OUT_SEED = 1_000_003


def train(options: Namespace) -> None:
    """All of it in one folder: frames, a hold-out of other frames, the fit, weights with their card."""
    sources = _find(options)
    options.cache = options.folder / "frames"
    hold_out = options.folder / "hold-out"
    _render(hold_out, sources, options, frames=HOLD_OUT_FRAMES, seed=HOLD_OUT_SEED)
    _render(options.cache, sources, options, frames=options.frames, seed=options.seed)
    options.hold_out.append(hold_out)
    fit(options)
    _export(options.folder, options.folder / "ldp.safetensors")


def fill_cache(options: Namespace) -> None:
    _render(options.folder, _find(options), options, frames=options.frames, seed=options.seed)


def fit(options: Namespace) -> None:
    session = open_session(options)
    _say("resumed" if session.resume() else "a new run", session)
    for name, trials in session.trials.items():
        _say(f"{name}: { ({trial.name: trial.floors for trial in trials}) }", session)
    for entry in session.run(minutes=options.minutes):
        _say(str(entry), session)


def export(options: Namespace) -> None:
    _export(options.folder, options.weights, half=not options.full, notes=options.note)


def open_session(options: Namespace) -> Session:
    team = join_team(options.device)
    chosen = {name: getattr(options, name) for name in ("bpa", "residual") if getattr(options, name)}
    network = NetworkSettings.parse({**SIZES[options.size].model_dump(), **chosen})
    trainer = Trainer(
        network,
        FitSettings(
            steps=options.steps,
            learning_rate=options.learning_rate,
            blur_weight=options.blur_weight,
            reblur_weight=options.reblur_weight,
            balance_weight=options.balance_weight,
            seed=options.seed,
        ),
        device=own_device(options.device, team),
        team=team,
        compiled=options.compile,
        balance=open_balance(options) if options.balance_weight else None,
    )
    trials = dict(read_set(text) for text in options.measure)
    trials |= {folder.name: frame_trials(FrameCache(folder)) for folder in options.hold_out}
    return Session(
        folder=options.folder,
        trainer=trainer,
        cache=FrameCache(options.cache),
        batch=BatchSettings(batch=options.batch, crop_px=options.crop, map_source=options.map),
        trials=trials,
        rhythm=Rhythm(measure=options.measure_every),
    )


def open_balance(options: Namespace) -> Balance:
    model = load_clip(
        options.balance_clip,
        sha256=options.balance_sha256,
        architecture=options.balance_architecture,
        device=options.device,
    )
    return Balance(model)


def read_set(text: str) -> tuple[str, list[Trial]]:
    """Trials of `FOLDER`, `FOLDER:TOP` (first row that counts) or `FOLDER:TOP:SHIFT` (pixels forgiven)."""
    folder, _, rest = text.partition(":")
    top, _, shift = rest.partition(":")
    trials = read_trials(Path(folder), region=Region(top=int(top or 0)), shift_px=int(shift or 0))
    return Path(folder).name, trials


def _find(options: Namespace) -> Sources:
    return find_sources(photos=options.photos, registered=options.registered, layouts=options.layouts)


def _render(folder: Path, sources: Sources, options: Namespace, *, frames: int, seed: int) -> None:
    scene = {"height": options.height, "width": options.width, "lens": {"mix": options.lenses}}
    settings = FrameSettings.parse({"scene": scene})
    cache = FrameCache.create(folder, capacity=frames, seed=seed, settings=settings, sources=sources)
    for index in cache.fill(sources, device=options.device):
        if (index + 1) % 100 == 0:
            print(f"{index + 1} frames", flush=True)


def _export(run: Path, weights: Path, *, half: bool = True, notes: Sequence[str] = ()) -> None:
    state = load_checkpoint(run / CHECKPOINT)
    digest = export_weights(state, weights, half=half)
    shapes = {str(network.model_dump(mode="json")): size for size, network in SIZES.items()}
    size = shapes.get(str(state["network_settings"]), "small")
    card = describe_run(state, name=weights.stem, size=size, notes=notes)
    write_card(weights.with_suffix(".json"), card, sha256=digest)
    print(f"{weights}: sha256 {digest}")


def _say(line: str, session: Session) -> None:
    if session.trainer.team.leads:
        print(line, flush=True)
