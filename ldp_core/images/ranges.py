"""A stored object as a seekable file that fetches only the ranges it is asked for."""

from __future__ import annotations

import io

from ldp_core import storage

_BLOCK_BYTES = 4096


class _RangeReader(io.RawIOBase):
    def __init__(self, url: str, size_bytes: int) -> None:
        self._url = url
        self._size = size_bytes
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise ValueError(f"negative position {origin + offset}")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        end = min(self._position + len(buffer), self._size)
        if end <= self._position:
            return 0
        content = storage.read_bytes(self._url, start=self._position, end=end)
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


def open_ranges(url: str, *, size_bytes: int) -> io.BufferedReader:
    """A file over ``size_bytes`` of an object; every miss of its buffer is one range read.

    Reads raise ObjectMissingError or StorageError, as `ldp_core.storage.read_bytes` does.
    """
    return io.BufferedReader(_RangeReader(url, size_bytes), buffer_size=_BLOCK_BYTES)
