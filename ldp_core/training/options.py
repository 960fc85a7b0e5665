"""Options of the training commands, declared once, as settings.

`flows/cli/train.py` makes typer commands of them; `python -m ldp_core.training` reads the same ones where
typer is absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, ClassVar, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import ConfigDict, Field
from pydantic.fields import FieldInfo

from ldp_core.settings import Settings

S = TypeVar("S", bound=Settings)
O = TypeVar("O", bound="CommandOptions")  # noqa: E741
ARGUMENT = object()
"""Marks a field that is given by its place on the command line, not by its name."""


class OptionGroup(Settings):
    """Settings that are options too: a field's docstring is its help, `heading` stands above its group."""

    model_config = ConfigDict(use_attribute_docstrings=True)
    heading: ClassVar[str] = "Options"

    def pick(self, settings: type[S]) -> S:
        """The settings of another class that has fields of the same names."""
        return settings.parse({name: getattr(self, name) for name in settings.model_fields})

    def to_words(self) -> list[str]:
        """What to type for these values, defaults left out. Paths keep their last two parts: a model card
        names no place of one machine."""
        options = list(list_options(type(self)))
        words = [shorten(getattr(self, option.field)) for option in options if option.positional]
        for option in [option for option in options if not option.positional]:
            value = getattr(self, option.field)
            if value is True:
                words.append(option.flag)
            elif value != option.default:
                each = value if option.repeated else (value,)
                words += [word for one in each for word in (option.flag, shorten(one))]
        return words


class CommandOptions(OptionGroup):
    """What every command takes."""

    heading = "Run"

    folder: Annotated[Path, ARGUMENT]
    """Folder of the work; give it again to go on where it stopped."""
    threads: int | None = Field(default=None, ge=1)
    """CPU threads; all cores, if not given."""


@dataclass(frozen=True, slots=True)
class Command(Generic[O]):
    """One command of `ldp train`: `run` works, and yields lines for the person who waits."""

    options: type[O]
    run: Callable[[O], Iterator[str]]
    summary: str = ""
    """Of a step in a group; that of any other command stands in the registry."""

    def start(self, options: O) -> Iterator[str]:
        """Run with so many threads as asked for."""
        import torch

        if options.threads is not None:
            torch.set_num_threads(options.threads)
        return self.run(options)


@dataclass(frozen=True, slots=True)
class Option:
    """One option, read from a field. `kind` is the type of one value; without a default, it is None."""

    field: str
    kind: Any
    repeated: bool
    positional: bool
    required: bool
    default: Any
    help: str
    heading: str

    @property
    def flag(self) -> str:
        """`--hold-out` of `hold_out`; a unit in pixels is not typed: `--crop` of `crop_px`."""
        return "--" + self.field.removesuffix("_px").replace("_", "-")

    @property
    def choices(self) -> tuple[str, ...]:
        """The values there are to choose from; empty where any will do."""
        if isinstance(self.kind, type) and issubclass(self.kind, Enum):
            return tuple(str(member.value) for member in self.kind)
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()


def list_options(group: type[OptionGroup]) -> Iterator[Option]:
    """The options of a class and its bases, in order."""
    for name, field in group.model_fields.items():
        yield _read_option(group, name, field)


def _read_option(group: type[OptionGroup], name: str, field: FieldInfo) -> Option:
    kind, repeated = field.annotation, get_origin(field.annotation) is tuple
    if repeated:
        kind = get_args(kind)[0]
    elif NoneType in get_args(kind):
        [kind] = [part for part in get_args(kind) if part is not NoneType]
    bases = [base for base in reversed(group.__mro__) if issubclass(base, OptionGroup)]
    first = next(base for base in bases if name in base.model_fields)
    return Option(
        field=name,
        kind=kind,
        repeated=repeated,
        positional=ARGUMENT in field.metadata,
        required=field.is_required(),
        default=None if field.is_required() else field.get_default(call_default_factory=True),
        help=" ".join((field.description or first.model_fields[name].description or "").split()),
        heading=first.__dict__.get("heading", OptionGroup.heading),
    )


def shorten(value: Any) -> str:
    """A value as it is typed, paths in it, also those joined by colons, by their last two parts."""
    text = str(value.value if isinstance(value, Enum) else value)
    return ":".join("/".join(Path(part).parts[-2:]) if "/" in part else part for part in text.split(":"))
