"""The report of a run: one folder that opens from disk, with no network and no server."""

from ldp_core.report.facts import Fact, describe_dataset
from ldp_core.report.model import PICTURES, MapDigest, PictureKind, PictureSpec, ReportItem, route_of
from ldp_core.report.page import write_report
from ldp_core.report.pictures import digest_map, picture_paths, render_pictures

__all__ = [
    "PICTURES",
    "Fact",
    "MapDigest",
    "PictureKind",
    "PictureSpec",
    "ReportItem",
    "describe_dataset",
    "digest_map",
    "picture_paths",
    "render_pictures",
    "route_of",
    "write_report",
]
