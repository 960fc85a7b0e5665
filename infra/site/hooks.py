"""Code blocks of the guides name the file they belong to; on the site that is their title."""

from __future__ import annotations

import re
from typing import Any

_FENCE = re.compile(r"^```python (file|line)=(\S+)$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called by MkDocs for every page."""
    return _FENCE.sub(lambda found: f'```python title="{found[2]}{_mark(found[1])}"', markdown)


def _mark(option: str) -> str:
    return ", a line" if option == "line" else ""
