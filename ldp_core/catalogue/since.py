"""Moments as people give them to options: a date, a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from ldp_core.errors import SettingsError

_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def parse_age(text: str, option: str) -> timedelta:
    """A time from ``90d``, ``12h`` or ``6w``, above 0.

    Raises:
        SettingsError: it has another form.
    """
    match = re.fullmatch(r"([1-9]\d{0,4})([hdw])", text, re.ASCII)
    if match is None:
        raise SettingsError("not an age", where=option, expected="such as 90d, 12h or 6w", got=text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def parse_since(text: str) -> datetime:
    """A moment in UTC from ``2026-11-28``, ``2026-11-28T06:00+01:00``, or an age before now such as ``12h``.

    What names no time zone is UTC; a date is its first moment.

    Raises:
        SettingsError: it has another form, or is still to come.
    """
    now = datetime.now(UTC)
    try:
        if re.fullmatch(r"\d+[hdw]", text, re.ASCII):
            return now - parse_age(text, "--since")
        given = datetime.fromisoformat(text)
        moment = (given if given.tzinfo else given.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SettingsError(
            "not a moment",
            where="--since",
            expected="such as 2026-11-28, 2026-11-28T06:00+01:00, or an age: 12h, 7d, 2w",
            got=text,
        ) from error
    if moment > now:
        expected = f"before {now:%F %H:%M} UTC, which is now"
        raise SettingsError("this moment is still to come", where="--since", expected=expected, got=text)
    return moment
