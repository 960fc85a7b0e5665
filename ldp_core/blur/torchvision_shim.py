"""Lets open_clip import where torchvision was built for another torch than the one installed.

torchvision from a package index carries a C library for CUDA. Beside a CPU build of torch it does not
load, and torchvision then refuses to import because two of its operators are undeclared. Nothing here
calls them: declaring them is enough. With a library that loads this does nothing.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from pathlib import Path

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_declared: list[torch.library.Library] = []


def make_torchvision_importable() -> None:
    """Declare what torchvision misses, before it is first imported."""
    if "torchvision" in sys.modules or _declared or torch.version.cuda is not None:
        return
    package = PathFinder.find_spec("torchvision")
    if package is not None and not _loads(package):
        library = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
        for operator in ("nms", "qnms"):
            if not hasattr(torch.ops.torchvision, operator):
                library.define(operator + _SCHEMA)  # type: ignore[no-untyped-call]
        _declared.append(library)


def _loads(package: ModuleSpec) -> bool:
    """Whether the C library of the package can be loaded into this torch."""
    folders = [Path(folder) for folder in package.submodule_search_locations or ()]
    libraries = [folder / f"_C{suffix}" for folder in folders for suffix in EXTENSION_SUFFIXES]
    try:
        for library in (path for path in libraries if path.exists()):
            torch.ops.load_library(str(library))  # type: ignore[no-untyped-call]
            return True
    except OSError:
        return False
    return False
