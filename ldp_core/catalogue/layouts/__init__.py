"""Layouts: how the files of a dataset are named. One file and one line here each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ldp_core.catalogue.drafts import Drafts
from ldp_core.catalogue.layouts.canon_dpdd import read_canon_dpdd, read_canon_dpdd_combined
from ldp_core.catalogue.layouts.canon_r6m2 import read_canon_r6m2
from ldp_core.catalogue.layouts.ddd_syn import read_ddd_syn
from ldp_core.catalogue.layouts.dpdd import read_dpdd
from ldp_core.catalogue.layouts.folders import read_folders
from ldp_core.catalogue.layouts.manifest import read_manifest
from ldp_core.catalogue.layouts.pixel4 import read_pixel4
from ldp_core.catalogue.layouts.pixel4_raw import read_pixel4_raw
from ldp_core.catalogue.layouts.pixel_vertical import read_pixel_vertical
from ldp_core.catalogue.layouts.rdpd import read_rdpd
from ldp_core.catalogue.layouts.single import read_single

LAYOUTS: Mapping[str, Callable[[str], Drafts]] = {
    "canon-dpdd": read_canon_dpdd,
    "canon-dpdd-combined": read_canon_dpdd_combined,
    "canon-r6m2": read_canon_r6m2,
    "ddd-syn": read_ddd_syn,
    "dpdd": read_dpdd,
    "folders": read_folders,
    "manifest": read_manifest,
    "pixel-vertical": read_pixel_vertical,
    "pixel4": read_pixel4,
    "pixel4-raw": read_pixel4_raw,
    "rdpd": read_rdpd,
    "single": read_single,
}
