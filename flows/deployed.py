"""Parameters of flow runs of deployments, completed from a settings file."""

from __future__ import annotations

import inspect
from typing import Any

from prefect import Flow
from prefect.context import FlowRunContext

from flows.settings_file import read_settings
from ldp_core.errors import SettingsError


def read_deployed(address: str, *, of: Flow[..., Any]) -> dict[str, Any]:
    """The parameters of this flow run: those of the file that the flow has, but for what the run names.

    Of a deployment Prefect keeps what was named; of a call it keeps every parameter, named or not, so that
    nothing would be left to the file.

    Raises:
        SettingsError: the flow was called by another program, or the file cannot be used.
        ObjectMissingError: there is no such file.
    """
    context = FlowRunContext.get()
    run = context.flow_run if context is not None else None
    if run is None or run.deployment_id is None:
        raise SettingsError(
            "a settings file is read by deployments and commands",
            where="settings",
            got="a call from Python",
            remedy="call with `flows.settings_file.read_settings(FILE).parameters` instead",
        )
    return merge(read_settings(address).parameters, run.parameters, of=of)


def merge(of_file: dict[str, Any], named: dict[str, Any], *, of: Flow[..., Any]) -> dict[str, Any]:
    """Parameters of a flow: what is named and not empty goes before the file."""
    known = inspect.signature(of.fn).parameters
    given = {name: value for name, value in named.items() if value not in ("", None) and name != "settings"}
    if given.get("from_archive"):
        of_file = {
            "source": "",
            "layout": "",
            **{n: v for n, v in of_file.items() if n not in ("source", "layout")},
        }
    return {name: value for name, value in (of_file | given).items() if name in known}
