"""Scores as a Parquet table: a row per item, metric, subject and protocol.

Columns ``item, metric, subject, protocol, value``, then the fields the protocol's name is made of.
"""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from ldp_core.errors import MetricError
from ldp_core.types import Score, ScoringProtocol

_KEYS = ["item", "metric", "subject", "protocol"]
_PROTOCOL_FIELDS = [field.name for field in fields(ScoringProtocol)]
_COLUMNS = [*_KEYS, "value", *_PROTOCOL_FIELDS]


def scores_table(scores: Iterable[Score]) -> bytes:
    """A Parquet file, rows in order of item, metric, subject and protocol."""
    types = dict.fromkeys(_COLUMNS, "str") | {"value": "float64", "bit_depth": "int64"}
    table = pd.DataFrame([_row(score) for score in scores], columns=_COLUMNS).astype(types)
    return table.sort_values(_KEYS).to_parquet(engine="pyarrow", compression="zstd", index=False)


def read_scores_table(content: bytes) -> list[Score]:
    """The scores of a table written by ``scores_table``.

    Raises:
        MetricError: it is not such a table.
    """
    try:
        table = pd.read_parquet(io.BytesIO(content), engine="pyarrow")
    except (OSError, ValueError) as error:
        raise MetricError("not a Parquet table of scores", got=str(error)) from error
    if list(table.columns) != _COLUMNS:
        raise MetricError(
            "not a table of scores", expected=", ".join(_COLUMNS), got=", ".join(map(str, table.columns))
        )
    return [_score(row) for row in table.to_dict(orient="records")]


def _row(score: Score) -> dict[str, object]:
    return {
        "item": score.item,
        "metric": score.metric,
        "subject": score.subject,
        "protocol": score.protocol.name,
        "value": score.value,
        **asdict(score.protocol),
    }


def _score(row: Mapping[Hashable, Any]) -> Score:
    protocol = ScoringProtocol(**{name: row[name] for name in _PROTOCOL_FIELDS})
    return Score(row["item"], row["metric"], row["subject"], protocol, row["value"])
