"""Folders ``left/``, ``right/`` and, where there is a truth, ``target/`` and ``coc/``: same stem, same item.

``coc/`` holds the signed circle of confusion as 16-bit grey pictures (`ldp_core.catalogue.encode_coc_px`).

Extensions may differ between the folders. Folders below them are part of the name.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from ldp_core.catalogue import pairing
from ldp_core.catalogue.pairing import PICTURE_EXTENSIONS, ItemSpecs, pair_files
from ldp_core.types import BlurTruthKind

_ROLES = {"left": pairing.LEFT, "right": pairing.RIGHT, "target": pairing.TARGET, "coc": pairing.BLUR_TRUTH}


def read_folders(source: str) -> ItemSpecs:
    """Pair the files below the folders."""
    return pair_files(source, _classify, blur_truth_kind=BlurTruthKind.SIGNED_COC_PX)


def _classify(path: str) -> tuple[str, str] | None:
    folder, _, name = path.partition("/")
    file = PurePosixPath(name)
    if folder not in _ROLES or file.suffix.lower() not in PICTURE_EXTENSIONS:
        return None
    return str(file.with_suffix("")), _ROLES[folder]
