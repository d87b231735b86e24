"""The range of a band is checked on what is written: after fusion with an anchor, and after a warp to another grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tests.support.attacks.images import colours
from tests.support.attacks.model import Z
from tests.support.cases import assert_refused
from tests.support.cli import terrafine
from tests.support.rasters import utm_grid, write_raster

from terrafine.errors import OutputError
from terrafine.raster.warp import fusion
from terrafine.raster.write.cog_writer import write_cog


@pytest.mark.parametrize(
    ("name", "unit", "value"),
    [
        ("elevation", "m", 9000.5),
        ("elevation", "m", -11_101.0),
        ("relief", "m", 9500.0),
        ("elevation_sigma", "m", -0.1),
    ],
)
def test_a_band_out_of_its_range_is_never_written(name: str, unit: str, value: float, tmp_path: Path) -> None:
    rows = np.full((1, 8, 8), 5.0, np.float32)
    rows[0, 3, 3] = value
    with pytest.raises(OutputError, match=f"{name} from .* m; expected "):
        write_cog(tmp_path / "o.tif", utm_grid(8, 8), [rows], band_names=(name,), units=(unit,))
    assert not list(tmp_path.iterdir())
    write_cog(tmp_path / "o.tif", utm_grid(8, 8), [rows], band_names=("other",), units=(unit,))


def test_a_warp_that_overshoots_the_range_is_refused_and_blocks_nothing(tmp_path: Path) -> None:
    z = np.full((24, 24), 8000.0, np.float32)
    z[:, 12:] = 8999.0
    source, out = write_raster(tmp_path / "a.tif", z), tmp_path / "o.tif"
    model = ("--scale", 2, "--model", "nearest", "--quiet")
    refused = terrafine("dem", source, out, *model, "--tr", 7.3, 7.3)
    assert_refused(refused, "elevation from", "expected -11100 to 9000 m", output=out, code=12)
    assert terrafine("dem", source, out, *model).exit_code == 0


def test_fusion_with_an_anchor_out_of_the_range_is_refused_and_blocks_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, out = colours(tmp_path / "i.tif"), tmp_path / "o.tif"
    anchor = write_raster(tmp_path / "a.tif", Z[:6, :6].astype(np.float32), cell=240)
    command = ("height", image, out, "--anchor", anchor, "--sensor", "sentinel2", "--quiet")
    own = fusion.fuse

    def steep(*arguments: object) -> np.ndarray:
        surface = own(*arguments)  # type: ignore[arg-type]
        return np.asarray(surface + 9000 * np.where(np.arange(surface.shape[1]) % 2, 1, -1))

    with monkeypatch.context() as patch:
        patch.setattr(fusion, "fuse", steep)
        assert_refused(terrafine(*command), "elevation from", "expected -11100 to 9000 m", output=out, code=12)
    other = write_raster(tmp_path / "b.tif", Z[:6, :6].astype(np.float32) + 1, cell=240)
    done = terrafine(*command[:4], other, *command[5:])
    assert done.exit_code == 0, done.output
