"""Photographs of a single view, with or without an all-in-focus picture of each.

    input/NAME.png  {ground_truth,target,gt}/NAME.png   in two folders, as LFDOF (Ruan et al., TIP 2021)
    NAME_input.png  NAME_{gt,target}.png                side by side, in any folder
    NAME.png                                            any other picture is a photograph without a truth

Extensions may differ between the pictures of an item. Folders below are part of the name.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final

from ldp_core.catalogue.pairing import LEFT, PICTURE_EXTENSIONS, TARGET, ItemSpecs, pair_files

_FOLDERS: Final = {"input": LEFT, "ground_truth": TARGET, "target": TARGET, "gt": TARGET}
_SUFFIX = re.compile(r"(.+)_(input|gt|target)")


def read_single(source: str) -> ItemSpecs:
    """Find the photographs below a folder; a truth without its photograph is named."""
    return pair_files(source, _classify, views="one")


def _classify(path: str) -> tuple[str, str] | None:
    file = PurePosixPath(path)
    if file.suffix.lower() not in PICTURE_EXTENSIONS:
        return None
    name = str(file.with_suffix(""))
    folder, _, below = name.partition("/")
    if below and folder in _FOLDERS:
        return below, _FOLDERS[folder]
    marked = _SUFFIX.fullmatch(name)
    return (marked[1], LEFT if marked[2] == "input" else TARGET) if marked else (name, LEFT)
