"""Whether ground that a real pair holds out is trained on through `[data.files]`, or the other way round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath
from typing import Any

from terrafine.errors import DataError
from terrafine.training.dem.real_pair import PairCells, RealPair
from terrafine.training.dem.terrain import Terrain

__all__ = ["require_apart", "require_same_rows"]


def require_same_rows(
    table: RealPair, held_out: Mapping[str, Sequence[float]], training: Sequence[Terrain], validation: Sequence[Terrain]
) -> None:
    """Require that a file of the pair is not trained on whole, and that the coarse one has the same held-out rows.

    Parameters
    ----------
    table
        The `[pair]` of the recipe.
    held_out
        The `[data.held_out]` of the recipe.
    training, validation
        Terrains of both sides of the split.

    Raises
    ------
    DataError
        Where a file is trained on whole, or other rows of the coarse file are held out.
    """
    names = {t.name for t in (*training, *validation)}
    for name in map(_name, (table.coarse, table.reference)):
        if name not in held_out and name in names:
            raise DataError(
                f"{name} is trained on whole, and a band of it is held out by [pair]; state the rows of that band in "
                "[data.held_out], or leave the file out of [data.files]"
            )
    coarse = _name(table.coarse)
    if coarse in names and tuple(held_out[coarse]) != tuple(table.held_out):
        raise DataError(
            f"{coarse} = {list(held_out[coarse])} in [data.held_out], and [pair] held_out = {list(table.held_out)}; "
            "expected the same rows in both"
        )


def require_apart(root: Path, pair: PairCells, training: Sequence[Terrain], validation: Sequence[Terrain]) -> None:
    """Require that the reference, where it is also terrain, is not on the other side of the split on any ground.

    Parameters
    ----------
    root
        Data folder.
    pair
        The pair, all rows.
    training, validation
        Terrains of both sides of the split.

    Raises
    ------
    DataError
        Where ground is trained on by one of them and held out by the other.
    """
    from terrafine.raster.read.source import open_source  # GDAL, which a packed pair does without

    table, name = pair.table, _name(pair.table.reference)
    trained, held_out = ([z for t in side if t.name == name for z in t.zones] for side in (training, validation))
    if not trained and not held_out:
        return
    with open_source(root / table.coarse) as coarse, open_source(root / table.reference) as reference:
        dy, dx = pair.pixel_size_m[:, len(pair.coarse) // 2]
        east, north = table.shift_m
        grid, finer = coarse.geobox.translate_pix(east / dx, -north / dy), reference.geobox
    width, (rest, band) = pair.coarse.shape[1], (one.zones for one in pair.split())
    for ours, theirs, what in (
        (band, trained, "trains on ground that [pair] holds out"),
        (rest, held_out, "holds out ground that [pair] trains on"),
    ):
        for a, b in ours:
            ground = _ground(grid, (a, b, 0, width)).to_crs(finer.crs, resolution=_side(grid) * 16)
            if any(ground.intersection(_ground(finer, zone)).area > 0 for zone in theirs):
                raise DataError(
                    f"{name}: [data] {what} (rows {a} to {b} of {table.coarse}); state rows of {name} in "
                    "[data.held_out] that cover the band of [pair] and no ground beyond its gap, or leave the file "
                    "out of [data.files]"
                )


def _name(file: str) -> str:
    return PurePath(file).with_suffix("").as_posix()


def _side(grid: Any) -> float:
    """Side of a cell in the unit of its CRS."""
    return float(max(abs(grid.resolution.x), abs(grid.resolution.y)))


def _ground(grid: Any, zone: tuple[int, int, int, int]) -> Any:
    """The outline of a window."""
    y0, y1, x0, x1 = zone
    return grid[y0:y1, x0:x1].extent
