"""``ldp train``: a command for each network, made from the options that its module declares.

A command is made when it is asked for: its module needs torch, and ``--help`` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Annotated, Any, cast

import typer
from typer.core import TyperCommand

from flows.cli import options
from flows.exits import exits
from ldp_core.training.options import Command, Option, list_options
from ldp_core.training.registry import NETWORKS, STEPS, Commands, load_command

_SUMMARIES = {name: entry.summary for name, entry in (NETWORKS | STEPS).items()}


class _Networks(options.Group):
    """Lists names and summaries, and makes the command that is asked for."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {
            name: TyperCommand(name, help=text, rich_help_panel="Networks" if name in NETWORKS else "Steps")
            for name, text in _SUMMARIES.items()
        }

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name, listed, rest = super().resolve_command(ctx, args)
        return name, build(name, load_command(name)) if name and listed else None, rest


app = typer.Typer(
    cls=_Networks,
    no_args_is_help=True,
    help="Train a network in a folder, or go on training there; writes weights and their model card.",
)


def build(name: str, found: Command[Any] | Commands) -> Any:
    """The command, or group of commands, of one name."""
    made = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    if isinstance(found, Mapping):
        made.callback(help=_SUMMARIES[name])(lambda: None)
        for step, command in found.items():
            made.command(step, cls=options.Command, help=cast(Command[Any], command).summary)(
                _callback(command)
            )
    else:
        made.command(name, cls=options.Command, help=_SUMMARIES[name])(_callback(found))
    built = typer.main.get_command(made)
    built.name = name
    return built


def _callback(command: Any) -> Callable[..., None]:
    """What typer calls, with the command's options as its parameters."""

    def run(**values: Any) -> None:
        with exits():
            for line in command.start(command.options.parse(values)):
                typer.echo(line)

    parameters = [_parameter(option) for option in list_options(command.options)]
    run.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return run


def _parameter(option: Option) -> Parameter:
    if option.positional:
        described: Any = typer.Argument(help=option.help, metavar=option.field.upper())
    else:
        described = typer.Option(option.flag, help=option.help, rich_help_panel=option.heading)
    kind = list[option.kind] if option.repeated else option.kind  # type: ignore[name-defined]
    default = list(option.default or ()) if option.repeated else option.default
    return Parameter(
        option.field,
        Parameter.KEYWORD_ONLY,
        default=Parameter.empty if option.required else default,
        annotation=Annotated[kind if option.required or default is not None else kind | None, described],
    )
