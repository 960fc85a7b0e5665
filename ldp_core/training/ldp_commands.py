"""`ldp train ldp`, and its single steps: render frames, train on them, write the weights with their card."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from ldp_core.blur.clip_model import load_clip
from ldp_core.deblur.ldp_network import DEEP, LIGHT, PUBLISHED, SMALL, LdpNetwork, NetworkSettings
from ldp_core.errors import SettingsError
from ldp_core.optics.kernels import KernelFamily
from ldp_core.tensors import choose_device
from ldp_core.training.entry import (
    SOURCE_LICENCES,
    Provenance,
    TrainingEntry,
    TrainOptions,
    WeightsOptions,
    export,
)
from ldp_core.training.frames import FIELD_CAMERA, FrameCache, FrameSettings, require_other_frames
from ldp_core.training.ldp import ClipLoss, LdpBatchSettings, LdpFitSettings, LdpTask, measure_sets
from ldp_core.training.lenses import FIELD_TOLD, ToldSettings
from ldp_core.training.options import ARGUMENT, Command, CommandOptions, OptionGroup, shorten
from ldp_core.training.session import RunFolder
from ldp_core.training.sources import Sources, find_sources
from ldp_core.training.validation import ValidationSample, pair_samples, read_pairs
from ldp_core.weights import open_weights

SIZES = {"light": LIGHT, "deep": DEEP, "small": SMALL, "large": NetworkSettings(), "published": PUBLISHED}
HOLD_OUT_FRAMES = 12
# Far from any seed that a person types; training with it is refused, so that no frame is trained on as well.
HOLD_OUT_SEED = 1_000_003


class FrameOptions(OptionGroup):
    """What frames are rendered from."""

    heading = "Frames"

    frames: int = Field(default=1000, ge=1)
    """How many frames are rendered."""
    height: int = 256
    """Height of a frame, in pixels."""
    width: int = 384
    """Width of a frame, in pixels."""
    lenses: Literal["broad", "cameras"] = "broad"
    """Mix of kernels: of many forms, or as fitted to two cameras."""
    family: tuple[KernelFamily, ...] = ()
    """Only kernels of this form of the mix; may be repeated."""
    crosstalk: float = 0.35
    """Largest crosstalk between the views, in the mix of cameras."""
    scenes: Literal["maps", "layered"] = "maps"
    """A picture and its map of blur, up to 26 px; or also things before it, each with what it hides, up to
    40 px, views as JPEG and of less exposure than the truth."""
    fields: float = Field(default=0.0, ge=0, le=1)
    """Of layered scenes, share seen through kernels that change over a camera's frame; all frames then are
    restored as a camera profile has it that is right, roughly right, or unknown."""
    views_only: bool = False
    """Leave out the estimated map and the restoration by wiener: frames for networks of one view, rendered
    in a fraction of the time."""
    photos: tuple[Path, ...] = ()
    """Folder of sharp photographs; may be repeated. Without any, pictures are procedural."""
    soft_photos: tuple[Path, ...] = ()
    """Folder of photographs that are not quite sharp: each is drawn a seventh as often; may be repeated."""
    registered: tuple[Path, ...] = ()
    """Folder of sharp photographs with a depth or disparity map of their own; may be repeated."""
    layouts: tuple[Path, ...] = ()
    """Folder of disparity maps, to put behind other photographs; may be repeated."""


class MeasureOptions(OptionGroup):
    """What the network is measured on."""

    heading = "Validation"

    measure: tuple[str, ...] = ()
    """Real pairs NAME_{l,r,gt}.png, as FOLDER, FOLDER:ROW (first row that counts) or FOLDER:ROW:HOW, where
    HOW is align (the truth may be displaced by 4 px), gain (it may be of another exposure), a camera
    profile, or several of them joined by colons; may be repeated."""
    hold_out: tuple[Path, ...] = ()
    """Cache of other frames; may be repeated."""


class CacheOptions(FrameOptions, CommandOptions):
    """`ldp train cache`."""

    heading = "Frames"

    seed: int = Field(default=0, ge=0)
    """Frames of another seed are other frames."""
    device: str = Field(default_factory=choose_device)
    """Where to render: cpu, cuda or cuda:N."""


class LdpOptions(LdpFitSettings, LdpBatchSettings, MeasureOptions, FrameOptions, TrainOptions):
    """`ldp train ldp`."""

    heading = "Network"

    cache: Path | None = None
    """Folder of frames that `ldp train cache` rendered; without one, they are rendered first, in FOLDER."""
    size: Literal["light", "deep", "small", "large", "published"] = "small"
    """Shape of the network; `light` is the one that ships, `deep` is told the kernel at each place."""
    bpa: Literal["released", "spatial", "concat", "none"] | None = None
    """How the map enters; as the size has it, if not given."""
    residual: Literal["none", "mean", "wiener"] | None = None
    """What the network corrects; as the size has it, if not given."""
    # Those that ship have had 11,000 steps of six crops of 128 px.
    begin: str = ""
    """Weights of a network of the same width to begin with: a shipped model, such as `ldp`, or a file."""
    begin_sha256: str = ""
    """Digest of that file, where it is one."""
    clip: str = "ViT-B-16-quickgelu/openai"
    """CLIP weights for the CLIP loss: an open_clip tag, a file, or a shipped model."""
    clip_sha256: str = ""
    """Digest of that file, where it is one."""
    clip_architecture: str = ""
    """Its network, where the file does not say."""


class ExportOptions(MeasureOptions, WeightsOptions, CommandOptions):
    """`ldp train export`."""

    weights: Annotated[Path, ARGUMENT]
    """File of weights to write."""
    correction: float = 1.0
    """Share of the network's correction that is added to the restoration by wiener, above 0 to 1."""


def _prepare(options: LdpOptions) -> Iterator[str]:
    """Frames to train on, and a hold-out of others, where none are given."""
    if options.cache:
        return
    if options.seed == HOLD_OUT_SEED:
        raise SettingsError(
            "this seed is that of the hold-out",
            where="--seed",
            got=str(options.seed),
            remedy="take another seed",
        )
    sources, (cache, hold_out) = _find(options), _folders(options)
    yield from _render(hold_out, sources, options, frames=HOLD_OUT_FRAMES, seed=HOLD_OUT_SEED)
    yield from _render(cache, sources, options, frames=options.frames, seed=options.seed)


def _folders(options: LdpOptions) -> tuple[Path, Path]:
    return options.folder / "frames", options.folder / "hold-out"


def _open_task(options: LdpOptions) -> LdpTask:
    form = SIZES[options.size].model_dump()
    form |= {name: value for name in ("bpa", "residual") if (value := getattr(options, name))}
    cache, hold_out = _folders(options)
    frames = FrameCache(options.cache or cache)
    frames.require_restored()
    kept = options.hold_out if options.cache else (*options.hold_out, hold_out)
    return LdpTask(
        NetworkSettings.parse(form),
        options.pick(LdpFitSettings),
        frames,
        options.pick(LdpBatchSettings),
        samples=_open_samples(options, kept, trained_on=[frames.seed]),
        clip_loss=_open_clip(options) if options.clip_weight else None,
        begin=open_weights(options.begin, sha256=options.begin_sha256).tensors if options.begin else {},
        begun_with=shorten(options.begin) or "nothing",
    )


def _open_samples(
    options: MeasureOptions, hold_out: Sequence[Path], *, trained_on: Collection[int]
) -> dict[str, list[ValidationSample]]:
    caches = [FrameCache(folder) for folder in hold_out]
    require_other_frames(trained_on, caches)
    simulated = {cache.folder.name: pair_samples(cache) for cache in caches}
    return dict(read_pairs(text) for text in options.measure) | simulated


def _open_clip(options: LdpOptions) -> ClipLoss:
    digest, architecture = options.clip_sha256, options.clip_architecture
    return ClipLoss(load_clip(options.clip, sha256=digest, architecture=architecture, device=options.device))


def _find(options: FrameOptions) -> Sources:
    return find_sources(
        photos=options.photos,
        soft_photos=options.soft_photos,
        registered=options.registered,
        layouts=options.layouts,
    )


def _render(
    folder: Path, sources: Sources, options: CacheOptions | LdpOptions, *, frames: int, seed: int
) -> Iterator[str]:
    lens = {"mix": options.lenses, "families": options.family, "largest_crosstalk": options.crosstalk}
    scene = {"height": options.height, "width": options.width, "lens": lens}
    own: dict[str, Any] = {"scene": scene}
    if options.scenes == "layered":
        told = FIELD_TOLD if options.fields else ToldSettings()
        own = {"layered": {**scene, "field_share": options.fields}, "camera": FIELD_CAMERA, "told": told}
    settings = FrameSettings.parse({**own, "views_only": options.views_only})
    cache = FrameCache.create(folder, capacity=frames, seed=seed, settings=settings, sources=sources)
    for index in cache.fill(sources, device=options.device):
        if (index + 1) % 100 == 0:
            yield f"{folder.name}: {index + 1:,} frames"


def _fill_cache(options: CacheOptions) -> Iterator[str]:
    yield from _render(options.folder, _find(options), options, frames=options.frames, seed=options.seed)


def _export(options: ExportOptions) -> Iterator[str]:
    runs = [RunFolder(folder).load() for folder in (options.folder, *options.also)]
    settings, seeds = runs[0]["network_settings"], [run["frames"]["seed"] for run in runs]
    samples = _open_samples(options, options.hold_out, trained_on=seeds)
    changed = {"correction": options.correction} if options.correction != 1 else {}
    yield export(
        options,
        options.folder,
        options.weights,
        network=LdpNetwork(NetworkSettings.parse({**settings, **changed})),
        measure=partial(measure_sets, sets=samples),
        provenance=_describe_weights,
        changed=changed,
    )


def _describe_weights(state: Mapping[str, Any]) -> Provenance:
    return Provenance(
        summary="Deblurs dual-pixel pairs; trained on simulation.",
        sources=[path for paths in state["sources"].values() for path in paths],
        source_licences=SOURCE_LICENCES,
    )


ENTRY = TrainingEntry(
    "ldp",
    LdpOptions,
    _open_task,
    _describe_weights,
    _prepare,
)
COMMANDS = {
    "ldp": ENTRY.command,
    "cache": Command(CacheOptions, _fill_cache),
    "export": Command(ExportOptions, _export),
}
