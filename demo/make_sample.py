"""Cut the shipped sample from a 30 m SRTM DEM of the San Gabriel Mountains: the truth, and its 4×4 block mean.

    python demo/make_sample.py path/to/bigtujunga_30m.tif

The truth keeps its integer metres; the input is the mean of 16 of them in float32. Both carry the compound CRS
UTM 11N + EGM96 height (SRTM's datum; the file that they are cut from names only UTM 11N).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import rasterio
from rasterio.windows import Window

DATA = Path(__file__).parent / "data"
WINDOW = Window(col_off=280, row_off=2, width=640, height=640)
SCALE = 4
CRS = "EPSG:32611+5773"
SOURCE = "SRTM 1 arc-second (NASA/USGS, public domain), resampled to 30 m UTM 11N; Big Tujunga, California"


def main(source: Path) -> None:
    """Write sample_30m.tif and sample_120m.tif."""
    with rasterio.open(source) as dataset:
        truth = dataset.read(1, window=WINDOW)
        transform = dataset.window_transform(WINDOW)
        if (truth == dataset.nodata).any():
            raise SystemExit(f"error: {source}: the window holds nodata; expected none")
    coarse = truth.reshape(160, SCALE, 160, SCALE).mean(axis=(1, 3), dtype=np.float64).astype(np.float32)
    write(DATA / "sample_30m.tif", truth, transform, "elevation at 30 m, the truth")
    write(DATA / "sample_120m.tif", coarse, transform @ transform.scale(SCALE), "elevation at 120 m, block mean of 4×4")


def write(path: Path, heights: np.ndarray, transform: rasterio.Affine, what: str) -> None:
    """One band, tiled and deflated, with its unit, description and source."""
    profile = {
        "driver": "GTiff",
        "width": heights.shape[1],
        "height": heights.shape[0],
        "count": 1,
        "dtype": heights.dtype,
        "crs": CRS,
        "transform": transform,
        "nodata": -32768,
        "compress": "deflate",
        "predictor": 3 if heights.dtype.kind == "f" else 2,
        "zlevel": 9,
    }
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(heights, 1)
        dataset.set_band_description(1, "elevation")
        dataset.units = ["m"]
        dataset.update_tags(TIFFTAG_IMAGEDESCRIPTION=what, TIFFTAG_COPYRIGHT=SOURCE, AREA_OR_POINT="Area")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
