"""The fenced code blocks of a page of documentation."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block: its language, the words after it, its text, and where it begins."""

    language: str
    options: dict[str, str]
    text: str
    where: str


def read_blocks(page: str, language: str = "") -> list[Block]:
    """The blocks of a page of the repository, in order; of one language, if it is given."""
    text = (ROOT / page).read_text()
    blocks = []
    for found in _FENCE.finditer(text):
        options = dict(word.split("=", 1) for word in found[2].split() if "=" in word)
        line = text.count("\n", 0, found.start()) + 1
        blocks.append(Block(found[1], options, found[3], f"{page}:{line}"))
    return [block for block in blocks if language in ("", block.language)]
