"""The report of a run: one folder that opens from disk, with no network and no server."""

from ldp_core.report.dataset import Fact, describe_dataset
from ldp_core.report.model import BlurDigest, ReportItem, digest_blur
from ldp_core.report.page import write_report
from ldp_core.report.pictures import DIGEST_FILE, item_folder, picture_paths, render_pictures

__all__ = [
    "DIGEST_FILE",
    "BlurDigest",
    "Fact",
    "ReportItem",
    "describe_dataset",
    "digest_blur",
    "item_folder",
    "picture_paths",
    "render_pictures",
    "write_report",
]
