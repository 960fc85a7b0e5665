"""The sequence header of AV1 (AV1 Bitstream and Decoding Process, 5.5): the size of coded pictures."""

from __future__ import annotations

from typing import Final

from ldp_core.images.codec import report_damage

_SEQUENCE_HEADER: Final = 1
_MAX_UNITS: Final = 8  # the header is the first or second of them


def read_coded_size(data: bytes) -> tuple[int, int]:
    """Height and width that the sequence header at the beginning of AV1 data announces.

    Raises:
        ImageFormatError: there is no sequence header.
    """
    position = 0
    for _ in range(_MAX_UNITS):
        if position >= len(data):
            break
        kind, has_extension, has_size = data[position] >> 3 & 15, data[position] & 4, data[position] & 2
        position += 2 if has_extension else 1
        size, position = _read_leb128(data, position) if has_size else (len(data) - position, position)
        if kind == _SEQUENCE_HEADER:
            return _parse_sequence(_Bits(data[position : position + size]))
        position += size
    raise report_damage("AV1 data without a sequence header")


def _read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits in each byte (4.10.5), and where it ends."""
    value = 0
    for number, byte in enumerate(data[position : position + 8]):
        value |= (byte & 0x7F) << 7 * number
        if not byte & 0x80:
            return value, position + number + 1
    raise report_damage("AV1 data that are cut short")


class _Bits:
    """Numbers of so many bits, the highest bit first."""

    def __init__(self, content: bytes) -> None:
        self._value, self._left = int.from_bytes(content, "big"), 8 * len(content)

    def take(self, count: int) -> int:
        if count > self._left:
            raise report_damage("AV1 data that are cut short")
        self._left -= count
        return self._value >> self._left & ((1 << count) - 1)

    def skip_uvlc(self) -> None:
        """A number of variable length (4.10.3)."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        self.take(zeros)


def _parse_sequence(bits: _Bits) -> tuple[int, int]:
    bits.take(4)  # the profile, and whether it is a still picture
    if bits.take(1):
        bits.take(5)  # the level, all there is in the short header of a still picture
    else:
        _skip_operating_points(bits)
    width_bits, height_bits = bits.take(4) + 1, bits.take(4) + 1
    width, height = bits.take(width_bits) + 1, bits.take(height_bits) + 1
    return height, width


def _skip_operating_points(bits: _Bits) -> None:
    delay_bits = _skip_timing(bits) if bits.take(1) else 0
    has_display_delay = bits.take(1)
    for _ in range(bits.take(5) + 1):
        bits.take(12)
        if bits.take(5) > 7:
            bits.take(1)
        if delay_bits and bits.take(1):
            bits.take(2 * delay_bits + 1)
        if has_display_delay and bits.take(1):
            bits.take(4)


def _skip_timing(bits: _Bits) -> int:
    """Bits of a delay in the decoder model, 0 where there is none."""
    bits.take(64)
    if bits.take(1):
        bits.skip_uvlc()
    if not bits.take(1):
        return 0
    delay_bits = bits.take(5) + 1
    bits.take(32 + 5 + 5)
    return delay_bits
