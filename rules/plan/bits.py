"""Sets of slots as bitmaps: 64-bit words, the lowest bit first, so that one numpy call intersects a hundred thousand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]
Slots = NDArray[np.intp]
WORD = np.dtype("<u8")


def words_for(slots: int) -> int:
    """Words that hold so many slots."""
    return (slots + 63) // 64


def nothing(words: int) -> Words:
    return np.zeros(words, WORD)


def of_slots(slots: Iterable[int] | Slots, words: int) -> Words:
    """The bitmap of these slots."""
    at = slots if isinstance(slots, np.ndarray) else np.fromiter(slots, np.intp)
    flags = np.zeros(words * 64, np.bool_)
    flags[at] = True
    return of_flags(flags)


def of_flags(flags: NDArray[np.bool_]) -> Words:
    """The bitmap of a flag per slot; a multiple of 64 of them."""
    return np.packbits(flags, bitorder="little").view(WORD)


def flags_of(bitmap: Words) -> NDArray[np.bool_]:
    """A flag per slot."""
    return np.unpackbits(bitmap.view(np.uint8), bitorder="little").view(np.bool_)


def slots_of(bitmap: Words) -> Slots:
    """The slots of a bitmap, rising."""
    full = bitmap.nonzero()[0]
    if not full.size:
        return full
    at = np.unpackbits(bitmap[full].view(np.uint8), bitorder="little").nonzero()[0]
    found: Slots = (full[at >> 6] << 6) + (at & 63)
    return found


def count(bitmap: Words) -> int:
    """How many slots a bitmap holds."""
    return int(np.add.reduce(np.bitwise_count(bitmap), dtype=np.intp))


def with_slot(bitmap: Words, slot: int) -> Words:
    """The bitmap and one more slot; the given one stays as it is."""
    made = bitmap.copy()
    made[slot >> 6] |= np.uint64(1 << (slot & 63))
    return made


def without_slot(bitmap: Words, slot: int) -> Words:
    """The bitmap less one slot; the given one stays as it is."""
    made = bitmap.copy()
    made[slot >> 6] &= np.uint64(~(1 << (slot & 63)) & 0xFFFF_FFFF_FFFF_FFFF)
    return made


def transposed(bitmaps: list[Words], words: int) -> NDArray[np.uint8]:
    """A row of bits per slot from a bitmap per column: shape (64 * words, bytes for the columns), lowest bit first."""
    across = (len(bitmaps) + 7) // 8
    table = np.zeros((words * 64, across), np.uint8)
    block = np.empty((words * 8, 8), np.uint8)
    for number in range(across):
        columns = bitmaps[number * 8 : number * 8 + 8]
        block[:, len(columns) :] = 0
        for index, bitmap in enumerate(columns):
            block[:, index] = bitmap.view(np.uint8)
        table[:, number] = _turned(block.view(WORD).ravel()).view(np.uint8)
    return table


def _turned(square: Words) -> Words:
    """Each word taken as eight rows of eight bits, rows and columns exchanged."""
    for shift, mask in ((7, 0x00AA00AA00AA00AA), (14, 0x0000CCCC0000CCCC), (28, 0x00000000F0F0F0F0)):
        swap = (square ^ (square >> np.uint64(shift))) & np.uint64(mask)
        square = square ^ swap ^ (swap << np.uint64(shift))
    return square
