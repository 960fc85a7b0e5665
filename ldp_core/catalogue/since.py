"""What has changed since a moment, and moments as people give them: a date, a time, or how long ago."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from toolz import partition_all

from ldp_core.catalogue.pairing import ItemSpec
from ldp_core.errors import SettingsError, StorageError
from ldp_core.storage import entry_of

_THREADS, _BATCH_ITEMS = 16, 1024  # as headers are read
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


def find_changed(
    specs: Mapping[str, ItemSpec], modified: Mapping[str, datetime | None], since: datetime
) -> Iterator[str]:
    """Items of which a picture was changed at that moment or later, or may have been; where no listing tells
    it, the store is asked for each picture."""

    def may_have_changed(url: str) -> bool:
        try:
            moment = modified[url] if url in modified else entry_of(url).modified
        except StorageError:  # it is told when the picture is probed
            return True
        return moment is None or moment >= since

    def has_changed(spec: ItemSpec) -> bool:
        return any(may_have_changed(url) for url in (*spec.pictures.values(), *spec.auxiliary.values()))

    with ThreadPoolExecutor(_THREADS) as threads:
        for batch in partition_all(_BATCH_ITEMS, specs.items()):
            changed = threads.map(has_changed, (spec for _, spec in batch))
            yield from (item_id for (item_id, _), is_new in zip(batch, changed, strict=True) if is_new)
