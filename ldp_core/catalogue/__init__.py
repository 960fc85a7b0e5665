"""Datasets: which pictures belong together. Pairing is by name only, never by sorted order.

``read_catalogue`` lists a source, pairs its pictures by one of `LAYOUTS`, reads every header, and names
whatever could not become an item. A catalogue is kept as immutable JSON lines.
"""

from ldp_core.catalogue.jsonl import catalogue_from_jsonl, catalogue_to_jsonl, items_from_jsonl
from ldp_core.catalogue.layouts import LAYOUTS
from ldp_core.catalogue.load import decode_coc_px, encode_coc_px, load_pair
from ldp_core.catalogue.options import WHOLE_SOURCE, Selection, SourceOptions
from ldp_core.catalogue.peaks import require_named_peak
from ldp_core.catalogue.problems import group_problems, require_whole
from ldp_core.catalogue.read import check_source, name_dataset, read_catalogue

__all__ = [
    "LAYOUTS",
    "WHOLE_SOURCE",
    "Selection",
    "SourceOptions",
    "catalogue_from_jsonl",
    "catalogue_to_jsonl",
    "check_source",
    "decode_coc_px",
    "encode_coc_px",
    "group_problems",
    "items_from_jsonl",
    "load_pair",
    "name_dataset",
    "read_catalogue",
    "require_named_peak",
    "require_whole",
]
