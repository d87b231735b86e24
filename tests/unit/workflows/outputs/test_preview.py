"""Pictures: a share lies between its colours, reflectance is as bright as it is, void is white."""

from __future__ import annotations

import numpy as np
from PIL import Image

from terrafine.raster.read.array import ArraySource
from terrafine.workflows.outputs.preview import shares, true_colour, write_preview

SIZE = np.full((2, 4), 1.0)


def test_a_share_is_drawn_between_its_colours() -> None:
    drawn = shares((0, 100, 200), (200, 100, 0))(np.array([[[0.0, 1.0], [0.25, np.nan]]]), SIZE)
    assert drawn.tolist() == [[[0, 100, 200], [200, 100, 0]], [[50, 100, 150], [255, 255, 255]]]


def test_brighter_reflectance_is_a_brighter_picture_and_one_missing_band_is_white() -> None:
    red = np.array([[0.0, 0.1, 0.3, 0.9, 0.1]])
    drawn = true_colour(np.stack((red, red / 2, np.where(np.arange(5) == 4, np.nan, red))), SIZE)
    assert drawn.shape == (1, 5, 3)
    assert drawn[0, :4, 0].tolist() == sorted(drawn[0, :4, 0].tolist())
    assert drawn[0, 0, 0] == 0 and drawn[0, 2, 0] == drawn[0, 3, 0] == 250
    assert drawn[0, 1, 1] < drawn[0, 1, 0] and (drawn[0, 4] == 255).all()


def test_any_bands_are_shrunk_to_the_side_asked_for(tmp_path) -> None:
    values = np.random.default_rng(0).random((3, 90, 120)) * 0.3
    source = ArraySource(dict(zip("abc", values, strict=True)), np.full((2, 90), 10.0))
    write_preview(tmp_path / "p.png", source, tuple("abc"), true_colour, side=40)
    with Image.open(tmp_path / "p.png") as picture:
        assert picture.size == (40, 30) and picture.mode == "RGB"
        means = values.reshape(3, 30, 3, 40, 3).mean(axis=(2, 4))
        np.testing.assert_array_equal(np.asarray(picture), true_colour(means, SIZE))
