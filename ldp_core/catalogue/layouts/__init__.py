"""Layouts: how the files of a dataset are named. One file and one line here each, imported when it is used.

Layouts of other packages join through entry points that name a function from a source to its `ItemSpecs`:

    [project.entry-points."ldp.layouts"]
    my-camera = "my_package.layout:read_my_camera"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ldp_core.catalogue.pairing import ItemSpecs
from ldp_core.errors import CatalogueError
from ldp_core.methods import EntryRegistry
from ldp_core.types import Pixels

Layout = Callable[[str], ItemSpecs]
"""The URL of a source to the items that its files make."""

Development = Callable[[Mapping[str, Pixels]], dict[str, Pixels]]
"""Every picture of an item by role, auxiliary ones included, to ``left``, ``right`` and ``target``."""

LAYOUTS: Final[EntryRegistry[Layout]] = EntryRegistry(
    "layout",
    "ldp.layouts",
    {
        "canon-dpdd": "ldp_core.catalogue.layouts.canon_dpdd:read_canon_dpdd",
        "canon-dpdd-combined": "ldp_core.catalogue.layouts.canon_dpdd:read_canon_dpdd_combined",
        "canon-r6m2": "ldp_core.catalogue.layouts.canon_r6m2:read_canon_r6m2",
        "ddd-syn": "ldp_core.catalogue.layouts.ddd_syn:read_ddd_syn",
        "dpdd": "ldp_core.catalogue.layouts.dpdd:read_dpdd",
        "folders": "ldp_core.catalogue.layouts.folders:read_folders",
        "manifest": "ldp_core.catalogue.layouts.manifest:read_manifest",
        "pixel-vertical": "ldp_core.catalogue.layouts.pixel_vertical:read_pixel_vertical",
        "pixel4": "ldp_core.catalogue.layouts.pixel4:read_pixel4",
        "pixel4-raw": "ldp_core.catalogue.layouts.pixel4_raw:read_pixel4_raw",
        "rdpd": "ldp_core.catalogue.layouts.rdpd:read_rdpd",
        "single": "ldp_core.catalogue.layouts.single:read_single",
    },
    error=CatalogueError,
)
"""By name: what `ldp_core.catalogue.read_catalogue` takes."""

DEVELOPMENTS: Final[EntryRegistry[Development]] = EntryRegistry(
    "development",
    "ldp.developments",
    {
        "mean-target": "ldp_core.catalogue.layouts.canon_r6m2:average_target",
        "pixel4-raw": "ldp_core.catalogue.layouts.pixel4_raw:develop_pixel4_raw",
    },
    error=CatalogueError,
)
"""By name: how stored pictures that are no views yet become views (`ItemSpec.development`)."""
