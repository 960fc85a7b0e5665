"""Read changed files one after the other, in a process of little memory; a line of output for each.

    python fuzz_child.py START STOP KIND...

KIND is a format or a layout. A line is the kind, the number of a file and what became of it: ``equal`` (the
pixels of an independent reader, the paths of another table reader, views of one scene), ``refused`` (a typed
error), ``alone`` (no independent reader takes it), ``unchanged`` (the same, but the pixels are those of the
sound file), or ``wrong`` with what is wrong.
"""

from __future__ import annotations

import io
import logging
import posixpath
import resource
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import fuzz_samples
import fuzz_trees
import imagecodecs
import numpy as np
import pandas as pd
import rawpy
import tifffile
from numpy.typing import NDArray
from PIL import Image

from ldp_core import storage
from ldp_core.catalogue.layouts.manifest import read_manifest
from ldp_core.errors import CatalogueError, ImageError
from ldp_core.images import ImageLimits, decode_image
from ldp_core.images.codec import quantise

MEMORY_BYTES = 4 * 2**30
_LINEARIZATION, _LOSSLESS_JPEG = 50712, 7
LIMITS = ImageLimits(max_pixels=2**22)


class NoSecondReaderError(Exception):
    """No reader but ours takes this file, or none is independent."""


def _read_by_pillow(content: bytes) -> NDArray[Any]:
    image = Image.open(io.BytesIO(content))
    if image.mode == "P":
        image = image.convert("RGB")
    if image.mode in ("LA", "RGBA"):
        return np.asarray(image)[..., :-1]
    if image.mode == "1":
        image = image.convert("L")
    pixels = np.asarray(image)
    return pixels.astype(np.uint16) if image.mode.startswith("I") else pixels


def _read_tiff(content: bytes) -> NDArray[Any]:
    """By libtiff; of several pages that of our size is looked for."""
    pages = []
    for index in range(3):
        try:
            pages.append(imagecodecs.tiff_decode(content, index=index))
        except Exception:
            break
    if not pages:
        raise NoSecondReaderError("libtiff takes no page")
    largest = max(pages, key=lambda page: page.size)
    if largest.ndim == 3 and largest.shape[0] == 3 and largest.shape[2] > 4:  # planes of their own
        largest = np.moveaxis(largest, 0, -1)
    return quantise(largest) if largest.dtype.kind == "f" else largest


def _read_bmp(content: bytes) -> NDArray[Any]:
    return np.asarray(imagecodecs.bmp_decode(content))


def _read_npy(content: bytes) -> NDArray[Any]:
    loaded = np.load(io.BytesIO(content), allow_pickle=False)
    return quantise(loaded) if loaded.dtype.kind == "f" else loaded


def _read_nothing(content: bytes) -> NDArray[Any]:
    raise NoSecondReaderError("there is one library only")


READERS: dict[str, Callable[[bytes], NDArray[Any]]] = {
    "png": _read_by_pillow,
    "tiff": _read_tiff,
    "jpeg": _read_by_pillow,
    "webp": _read_by_pillow,
    "bmp": _read_bmp,
    "netpbm": _read_by_pillow,
    "npy": _read_npy,
    "exr": _read_nothing,
    "jpeg 2000": _read_by_pillow,
    "jpeg xl": _read_nothing,
    "avif": _read_by_pillow,
}


def judge_picture(format_name: str, sound: bytes, content: bytes) -> str:
    try:
        found = decode_image(content, limits=LIMITS)
    except ImageError as error:
        return "refused" if error.got or error.expected else f"wrong: an error that says nothing: {error}"
    if format_name == "dng":
        return _judge_raw(content)
    try:
        expected = READERS[format_name](content)
    except Exception:
        unchanged = np.array_equal(found, decode_image(sound))
        return "unchanged" if unchanged else "alone"
    return _compare(found, expected)


def _compare(found: NDArray[Any], expected: NDArray[Any]) -> str:
    expected = expected[..., None] if expected.ndim == 2 else expected
    if expected.shape[2] == 3 and found.shape[2] == 1 and not np.ptp(expected, axis=2).any():
        expected = expected[..., :1]
    if found.shape != expected.shape:
        return f"wrong: {found.shape} where another reader has {expected.shape}"
    ways = _cut_to_8_bit(found) if found.dtype == np.uint16 and expected.dtype == np.uint8 else [found]
    if not any(np.array_equal(way, expected) for way in ways):
        return f"wrong: {np.count_nonzero(found != expected)} of {found.size} values differ"
    return "equal"


def _cut_to_8_bit(found: NDArray[Any]) -> list[NDArray[Any]]:
    """As Pillow does it in 16-bit RGB: PNG, PPM, and JPEG 2000 of 16 to 9 bit, where white wraps to black."""
    wide = found.astype(np.int64)
    stored = [(np.rint(wide * (2**bits - 1) / 65535).astype(np.int64), bits - 8) for bits in range(16, 8, -1)]
    wrapped = [((values + 2**cut // 2) >> cut) & 255 for values, cut in stored]
    return [wide >> 8, np.rint(wide / 257).astype(np.int64), *wrapped]


def _judge_raw(content: bytes) -> str:
    """The sensor values that LibRaw developed are those that tifffile reads, through the file's own table."""
    with tifffile.TiffFile(io.BytesIO(content)) as tiff, rawpy.imread(io.BytesIO(content)) as raw:
        page = tiff.pages[0]
        try:
            expected = page.asarray(maxworkers=1)
        except Exception:
            return "alone"
        if table := page.tags.valueof(_LINEARIZATION):
            entries = np.atleast_1d(np.asarray(table))
            expected = entries[np.minimum(expected, len(entries) - 1)]
        found = raw.raw_image[..., :3] if raw.raw_image.ndim == 3 else raw.raw_image[..., None]
        verdict = _compare(found.copy(), expected)
        # Codes that no table has: libjpeg fills the row, LibRaw goes on. No checksum tells them.
        return "alone" if verdict != "equal" and page.compression == _LOSSLESS_JPEG else verdict


def judge_table(format_name: str, sound: bytes, content: bytes) -> str:
    url = f"memory://fuzz/table.{format_name}"
    storage.write_bytes(url, content)
    try:
        items = read_manifest(url).items
    except CatalogueError:
        return "refused"
    found = [item.pictures["left"].rpartition("/fuzz/")[2] for item in items]
    try:
        table = _read_table(format_name, content)
    except Exception:
        storage.write_bytes(url, sound)
        return "unchanged" if items == read_manifest(url).items else "alone"
    texts = {str(text).strip() for text in table["left"].tolist()} if "left" in table else set()
    lost = [name for name in found if not any(name in (text, _clean(text)) for text in texts)]
    return f"wrong: {lost[0]!r} is not in the table" if lost else "equal"


def _read_table(format_name: str, content: bytes) -> pd.DataFrame:
    file = io.BytesIO(content)
    if format_name == "csv":
        return pd.read_csv(
            file, dtype=str, keep_default_na=False, encoding="utf-8-sig", skipinitialspace=False
        )
    if format_name == "jsonl":
        return pd.read_json(file, lines=True, dtype=False)
    return pd.read_parquet(file)


def _clean(text: str) -> str:
    return posixpath.normpath(text)


def judge(kind: str, number: int) -> str:
    if kind in fuzz_trees.LAYOUT_NAMES:
        return fuzz_trees.judge_tree(kind, number)
    judge_file = judge_table if kind in fuzz_samples.TABLES else judge_picture
    return judge_file(kind, *fuzz_samples.changed_file(kind, number))


def main(start: int, stop: int, kinds: Sequence[str]) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    warnings.simplefilter("ignore")
    logging.disable()
    for kind in kinds:
        for number in range(start, stop):
            print(f"{kind}\t{number}", end="\t", flush=True)
            try:
                verdict = judge(kind, number)
            except Exception as error:
                verdict = f"wrong: {type(error).__name__}: {error}"
            print(verdict.replace("\n", " ")[:300], flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
