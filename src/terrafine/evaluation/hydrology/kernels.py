"""The loops of flow routing, compiled by numba: filling, steepest descent, flats, and the order of cells.

Import this module lazily, as `hydrology.d8` does: numba is part of the extra `evaluate`.

References
----------
Priority-flood (algorithm 2): Barnes, Lehman & Mulla 2014, https://doi.org/10.1016/j.cageo.2013.04.024
Flats: Barnes, Lehman & Mulla 2014, https://doi.org/10.1016/j.cageo.2013.01.009, after Garbrecht & Martz 1997,
https://doi.org/10.1016/S0022-1694(96)03138-1
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

__all__ = ["above_drain", "fill", "resolve_flats", "steepest", "upstream_order"]

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]
Codes = NDArray[np.uint8]

F = TypeVar("F", bound=Callable[..., Any])

# Neighbours in the order of the ESRI codes 1, 2, 4 … 128: E, SE, S, SW, W, NW, N, NE.
ROW = np.array([0, 1, 1, 1, 0, -1, -1, -1], dtype=np.int64)
COL = np.array([1, 1, 0, -1, -1, -1, 0, 1], dtype=np.int64)
# Cardinal neighbours first: among equals in a flat, water prefers the shorter way.
FLAT_ORDER = np.array([0, 2, 4, 6, 1, 3, 5, 7], dtype=np.int64)

OUTLET = 0
UNRESOLVED = 255
NODATA = 247


def _compiled(function: F) -> F:
    return cast(F, numba.njit(cache=True)(function))


@_compiled
def _push(heap: Ints, size: int, cell: int, key: Floats) -> None:
    at = size
    while at > 0:
        parent = (at - 1) // 2
        other = heap[parent]
        if key[other] < key[cell] or (key[other] == key[cell] and other < cell):
            break
        heap[at] = other
        at = parent
    heap[at] = cell


@_compiled
def _sift(heap: Ints, size: int, key: Floats) -> None:
    """Let the last of `size` cells take the root's place, and sink to its own."""
    cell = heap[size - 1]
    last = size - 1
    at = 0
    while 2 * at + 1 < last:
        child = 2 * at + 1
        if child + 1 < last:
            a, b = heap[child], heap[child + 1]
            if key[b] < key[a] or (key[b] == key[a] and b < a):
                child += 1
        best = heap[child]
        if key[cell] < key[best] or (key[cell] == key[best] and cell < best):
            break
        heap[at] = best
        at = child
    heap[at] = cell


@_compiled
def _is_edge(valid: Bools, row: int, col: int) -> bool:
    rows, cols = valid.shape
    for k in range(8):
        r, c = row + ROW[k], col + COL[k]
        if r < 0 or r >= rows or c < 0 or c >= cols or not valid[r, c]:
            return True
    return False


@_compiled
def fill(surface: Floats, valid: Bools, work: Ints) -> None:
    """Raise, in place, every depression of a (y, x) surface to its spill level; `work` has a place for each cell.

    `work` holds the heap from its front and the queue of cells below spill level from its back: each cell is in one
    of them, once.
    """
    rows, cols = surface.shape
    level = surface.reshape(-1)
    closed = np.zeros(rows * cols, dtype=np.bool_)
    heap, queue = 0, 0
    total = rows * cols
    for row in range(rows):
        for col in range(cols):
            if valid[row, col] and _is_edge(valid, row, col):
                cell = row * cols + col
                _push(work, heap, cell, level)
                heap += 1
                closed[cell] = True
    while heap > 0 or queue > 0:
        if queue > 0:
            cell = work[total - queue]
            queue -= 1
        else:
            cell = work[0]
            _sift(work, heap, level)
            heap -= 1
        row, col = cell // cols, cell % cols
        for k in range(8):
            r, c = row + ROW[k], col + COL[k]
            if r < 0 or r >= rows or c < 0 or c >= cols or not valid[r, c]:
                continue
            other = r * cols + c
            if closed[other]:
                continue
            closed[other] = True
            if level[other] <= level[cell]:
                level[other] = level[cell]
                queue += 1
                work[total - queue] = other
            else:
                _push(work, heap, other, level)
                heap += 1


@_compiled
def steepest(surface: Floats, valid: Bools, size_x: Floats, size_y: Floats, code: Codes) -> None:
    """Write the ESRI code of the steepest way down; OUTLET at an edge with none, UNRESOLVED inside a flat."""
    rows, cols = surface.shape
    for row in range(rows):
        diagonal = np.sqrt(size_x[row] ** 2 + size_y[row] ** 2)
        for col in range(cols):
            if not valid[row, col]:
                code[row, col] = NODATA
                continue
            best = 0.0
            way = -1
            edge = False
            for k in range(8):
                r, c = row + ROW[k], col + COL[k]
                if r < 0 or r >= rows or c < 0 or c >= cols or not valid[r, c]:
                    edge = True
                    continue
                distance = diagonal if k % 2 == 1 else (size_x[row] if k % 4 == 0 else size_y[row])
                slope = (np.float64(surface[row, col]) - np.float64(surface[r, c])) / distance
                if slope > best:
                    best = slope
                    way = k
            if way >= 0:
                code[row, col] = 1 << way
            else:
                code[row, col] = OUTLET if edge else UNRESOLVED


@_compiled
def _beside(surface: Floats, code: Codes, row: int, col: int, kind: int) -> bool:
    """kind 0: an unresolved cell of the same height lies beside; kind 1: a higher cell does."""
    rows, cols = surface.shape
    for k in range(8):
        r, c = row + ROW[k], col + COL[k]
        if r < 0 or r >= rows or c < 0 or c >= cols or code[r, c] == NODATA:
            continue
        if kind == 0 and code[r, c] == UNRESOLVED and surface[r, c] == surface[row, col]:
            return True
        if kind == 1 and surface[r, c] > surface[row, col]:
            return True
    return False


@_compiled
def _label(surface: Floats, code: Codes, label: Ints, work: Ints) -> int:
    """Number the flats from their low edges; returns how many there are."""
    rows, cols = surface.shape
    count = 0
    for row in range(rows):
        for col in range(cols):
            outgoing = code[row, col] != NODATA and code[row, col] != UNRESOLVED
            if not outgoing or label[row, col] != 0 or not _beside(surface, code, row, col, 0):
                continue
            count += 1
            label[row, col] = count
            work[0] = row * cols + col
            size = 1
            while size > 0:
                size -= 1
                y, x = work[size] // cols, work[size] % cols
                for k in range(8):
                    r, c = y + ROW[k], x + COL[k]
                    if r < 0 or r >= rows or c < 0 or c >= cols or code[r, c] == NODATA or label[r, c] != 0:
                        continue
                    if surface[r, c] == surface[y, x]:
                        label[r, c] = count
                        work[size] = r * cols + c
                        size += 1
    return count


@_compiled
def _spread(code: Codes, label: Ints, steps: Ints, work: Ints, size: int, height: Ints) -> None:
    """Breadth first over unresolved cells of one flat; `steps` counts from 1, `height` keeps the most of a flat."""
    rows, cols = code.shape
    first = 0
    while first < size:
        row, col = work[first] // cols, work[first] % cols
        first += 1
        height[label[row, col]] = max(height[label[row, col]], steps[row, col])
        for k in range(8):
            r, c = row + ROW[k], col + COL[k]
            if r < 0 or r >= rows or c < 0 or c >= cols:
                continue
            if code[r, c] == UNRESOLVED and label[r, c] == label[row, col] and steps[r, c] == 0:
                steps[r, c] = steps[row, col] + 1
                work[size] = r * cols + c
                size += 1


@_compiled
def _spread_edges(surface: Floats, code: Codes, label: Ints, work: Ints, height: Ints, higher: bool) -> Ints:
    """Steps, from 1, away from the higher ground around each flat, or from its low edge; 0 where not reached."""
    rows, cols = surface.shape
    steps = np.zeros((rows, cols), dtype=work.dtype)
    size = 0
    for row in range(rows):
        for col in range(cols):
            if label[row, col] == 0 or (code[row, col] == UNRESOLVED) != higher:
                continue
            if not higher or _beside(surface, code, row, col, 1):
                steps[row, col] = 1
                work[size] = row * cols + col
                size += 1
    _spread(code, label, steps, work, size, height)
    return steps


@_compiled
def _lowest_beside(rank: Ints, label: Ints, row: int, col: int) -> int:
    """The neighbour in the same flat of least rank, cardinal ones first, as a direction 0–7."""
    rows, cols = label.shape
    least = rank[row, col]
    way = 0
    for k in FLAT_ORDER:
        r, c = row + ROW[k], col + COL[k]
        if r < 0 or r >= rows or c < 0 or c >= cols or label[r, c] != label[row, col]:
            continue
        if rank[r, c] < least:
            least = rank[r, c]
            way = k
    return way


@_compiled
def resolve_flats(surface: Floats, code: Codes, work: Ints) -> int:
    """Give each UNRESOLVED cell, in place, a way off its flat; returns the number of flats.

    Each cell goes to the neighbour of its flat with the least 2 × (steps from lower ground) − (steps from higher
    ground); cardinal before diagonal among equals, then E, S, W, N, SE, SW, NW, NE.
    """
    rows, cols = surface.shape
    label = np.zeros((rows, cols), dtype=work.dtype)
    count = _label(surface, code, label, work)
    if count == 0:
        return 0
    height = np.zeros(count + 1, dtype=work.dtype)
    unused = np.zeros(count + 1, dtype=work.dtype)
    away = _spread_edges(surface, code, label, work, height, True)
    rank = _spread_edges(surface, code, label, work, unused, False)
    for row in range(rows):
        for col in range(cols):
            if label[row, col] != 0:
                raised = height[label[row, col]] - away[row, col] if away[row, col] > 0 else 0
                rank[row, col] = 2 * rank[row, col] + raised
    for row in range(rows):
        for col in range(cols):
            if code[row, col] == UNRESOLVED and label[row, col] != 0:
                code[row, col] = 1 << _lowest_beside(rank, label, row, col)
    return count


@_compiled
def upstream_order(code: Codes, work: Ints) -> int:
    """Write into `work` the valid cells, each after the cell that it drains to; returns how many they are."""
    rows, cols = code.shape
    waiting = np.zeros((rows, cols), dtype=np.int8)
    valid = 0
    for row in range(rows):
        for col in range(cols):
            if code[row, col] == NODATA:
                continue
            valid += 1
            for k in range(8):
                if code[row, col] == 1 << k:
                    waiting[row + ROW[k], col + COL[k]] += 1
    last = valid
    for row in range(rows):
        for col in range(cols):
            r, c = row, col
            while code[r, c] != NODATA and waiting[r, c] == 0:
                waiting[r, c] = -1
                last -= 1
                work[last] = r * cols + c
                way = code[r, c]
                for k in range(8):
                    if way == 1 << k:
                        r, c = r + ROW[k], c + COL[k]
                        waiting[r, c] -= 1
                        break
    return valid


@_compiled
def above_drain(order: Ints, below: Ints, level: Floats, drain: Bools, height: Floats) -> None:
    """Write the height of each cell above the first drain cell on its way; flat arrays, `order` from down- to upstream.

    `height` comes filled with NaN, and keeps it where no drain cell is met.
    """
    for cell in order:
        if drain[cell]:
            height[cell] = 0.0
        elif below[cell] != cell:
            height[cell] = height[below[cell]] + (np.float64(level[cell]) - np.float64(level[below[cell]]))
