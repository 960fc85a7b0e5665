"""The only use of Zarr: an array of known dimensions to one chunk object and its metadata, and back.

Everything happens in memory. The layout is a single shard that spans the array, with bands of rows
as inner chunks, so that the array is one object and readers may still fetch parts of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.codecs import BloscCodec, Crc32cCodec
from zarr.core.buffer import Buffer
from zarr.core.buffer.cpu import Buffer as CpuBuffer
from zarr.storage import MemoryStore

from ldp_core.archive.layout import METADATA_NAME

_BAND_BYTES = 2**20
"""Of rows in one inner chunk: small enough to fetch alone, large enough to compress well."""
_ZSTD_LEVEL = 1
"""Level 3 saves 2 to 4 % of the bytes of noisy photographs and takes about twice as long."""


@dataclass(frozen=True, slots=True)
class EncodedArray:
    """The two objects of an array: ``metadata`` is the document of its ``zarr.json``."""

    chunk: bytes
    metadata: dict[str, Any]


def encode_array(
    pixels: NDArray[Any], *, dimensions: tuple[str, ...], attributes: dict[str, Any]
) -> EncodedArray:
    """Compress an array that has at least one element and a dimension named ``y``."""
    objects: dict[str, Buffer] = {}
    band, shard = plan_chunks(pixels, dimensions=dimensions)
    array = zarr.create_array(
        MemoryStore(objects),
        shape=pixels.shape,
        dtype=pixels.dtype,
        chunks=band,
        shards=shard,
        filters=None,
        compressors=_compressors(pixels.dtype),
        fill_value=0,
        dimension_names=dimensions,
        chunk_key_encoding={"name": "default", "separator": "."},
        attributes=attributes,
        config={"write_empty_chunks": True},
    )
    array[...] = pixels
    metadata = json.loads(objects.pop(METADATA_NAME).to_bytes())
    return EncodedArray(chunk=objects[chunk_name(pixels.ndim)].to_bytes(), metadata=metadata)


def decode_array(chunk: bytes, *, metadata: bytes) -> NDArray[Any]:
    """The array in a chunk object. Raises whatever the codecs raise when the bytes are not right."""
    named = {METADATA_NAME: metadata, chunk_name(dimension_count(metadata)): chunk}
    objects: dict[str, Buffer] = {name: CpuBuffer.from_bytes(content) for name, content in named.items()}
    store: Store = MemoryStore(objects, read_only=True)
    return np.asarray(zarr.open_array(store, mode="r")[...])


def chunk_name(dimension_count: int) -> str:
    """Name of the only chunk object, such as ``c.0.0``."""
    return ".".join(["c", *["0"] * dimension_count])


def dimension_count(metadata: bytes) -> int:
    return len(json.loads(metadata)["shape"])


def plan_chunks(
    pixels: NDArray[Any], *, dimensions: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shapes of the inner chunks (about 1 MiB of rows of one view) and of the shard around them all."""
    rows_axis = dimensions.index("y")
    height = pixels.shape[rows_axis]
    row_bytes = pixels[(0,) * (rows_axis + 1)].nbytes
    bands = max(1, round(height * row_bytes / _BAND_BYTES))
    band_rows = -(-height // bands)
    shard_rows = -(-height // band_rows) * band_rows
    below = pixels.shape[rows_axis + 1 :]
    return (1,) * rows_axis + (band_rows, *below), (*pixels.shape[:rows_axis], shard_rows, *below)


def _compressors(dtype: np.dtype[Any]) -> list[BloscCodec | Crc32cCodec]:
    blosc = BloscCodec(cname="zstd", clevel=_ZSTD_LEVEL, shuffle="bitshuffle", typesize=dtype.itemsize)
    return [blosc, Crc32cCodec()]
