"""Product files: what is written is read back equal, and what is wrong is refused with its field."""

from __future__ import annotations

import dataclasses

import pytest

from terrafine.errors import SourceError, UsageError
from terrafine.raster.products import PRODUCTS, SensorUncertainty, find_product, product_text, read_product

GOOD = """
key = "mine"
name = "My survey"
origin = "fitted on a pair"
posting = 25.0

[sensor]
psf_cells = 0.4
noise_flat_m = 1
noise_slope_m = 2.5
correlation_cells = 0.5
rounding_m = 0.1
exact = false
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    return path


def test_a_short_product_file_is_enough(file):
    product = read_product(file)
    assert (product.key, product.label, product.posting_m, product.datum) == ("mine", "My survey 25 m", 25.0, "")
    assert product.surface is None and product.uncertainty is None
    assert product.sensor.noise_m(0.4) == pytest.approx(2.0)


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda p: p.key)
def test_every_product_is_written_and_read_back_equal(product, tmp_path):
    measured = dataclasses.replace(
        product, uncertainty=SensorUncertainty(0.1, 0.2, 1 / 3, 1e-5), origin='a "quoted" \\ path'
    )
    for p in (product, measured):
        path = tmp_path / "p.toml"
        path.write_text(product_text(p, "two\nlines"), encoding="utf-8")
        assert read_product(path) == p


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ("psf_cells = 0.4", "psf_cells = -0.4", "psf_cells is -0.4; expected a number from 0"),
        ("psf_cells = 0.4", "psf_cells = nan", "psf_cells is nan"),
        ("psf_cells = 0.4", "", "expected psf_cells, noise_flat_m"),
        ("exact = false", "exact = 0", "exact is 0; expected true or false"),
        ('key = "mine"', "", "key missing"),
        ('key = "mine"', 'key = "mine"\ncolour = "red"', "unknown field colour"),
        ('key = "mine"', 'key = "mine"\ndatum = "EGM69"', "datum is 'EGM69'; expected one of EGM84"),
        ("posting = 25.0", "posting = 25.0\nposting_unit = 'feet'", "posting_unit is 'feet'; expected one of arcsec"),
        ("[sensor]", "[sensor", "not TOML"),
        ("exact = false", "exact = false\n[uncertainty]\npsf_cells = 1", "[uncertainty] holds psf_cells"),
    ],
)
def test_a_wrong_field_is_refused_by_name(file, before, after, found):
    file.write_text(GOOD.replace(before, after))
    with pytest.raises(SourceError) as error:
        read_product(file)
    assert str(file) in str(error.value) and found in str(error.value)


def test_a_product_is_found_by_key_file_or_itself(file):
    assert find_product("SRTM-1").key == find_product("srtm1").key == "srtm1"
    assert find_product(str(file)) == find_product(file) == read_product(file)
    assert find_product(PRODUCTS[0]) is PRODUCTS[0]


def test_an_unknown_key_names_the_closest_and_all():
    with pytest.raises(UsageError, match=r"'nasadm' is not known; closest is nasadem; expected one of 3dep, .*srtm3"):
        find_product("nasadm")
    with pytest.raises(UsageError, match="expected a key"):
        find_product(3)  # type: ignore[arg-type]


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SourceError, match=r"absent\.toml: there is no such product file"):
        find_product(tmp_path / "absent.toml")
