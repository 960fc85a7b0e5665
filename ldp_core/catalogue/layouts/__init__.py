"""Layouts: how the files of a dataset are named. One file and one line here each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ldp_core.catalogue.drafts import Drafts
from ldp_core.catalogue.layouts.canon_dpdd import read_canon_dpdd
from ldp_core.catalogue.layouts.folders import read_folders
from ldp_core.catalogue.layouts.manifest import read_manifest
from ldp_core.catalogue.layouts.pixel4 import read_pixel4

LAYOUTS: Mapping[str, Callable[[str], Drafts]] = {
    "canon-dpdd": read_canon_dpdd,
    "folders": read_folders,
    "manifest": read_manifest,
    "pixel4": read_pixel4,
}
