"""Sizes, bands and tables as a user writes and reads them."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terrafine.cli.parameter_types import BAND, BYTES, at_most, human_bytes
from terrafine.cli.table import columns


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4_000_000_000),
        ("4gb", 4_000_000_000),
        ("4 G", 4_000_000_000),
        ("1.5GB", 1_500_000_000),
        ("512MiB", 512 * 2**20),
        ("2GiB", 2 * 2**30),
        ("1tb", 10**12),
        ("800k", 800_000),
        ("123", 123),
        ("123B", 123),
    ],
)
def test_a_size_is_what_its_prefix_says(text: str, size: int) -> None:
    assert BYTES.convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "4XB", "4GBB", "four", "0", "0GB", "1e9", "4G B 2"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="4GB"):
        BYTES.convert(text, None, None)


def test_a_band_is_a_name_and_a_number() -> None:
    assert BAND.convert("elevation=2", None, None) == ("elevation", 2)


@pytest.mark.parametrize(
    "text", ["elevation", "elevation=", "=1", "elevation=0", "elevation=-1", "elevation=x", "a=1=2"]
)
def test_what_is_no_band_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(click.BadParameter, match="elevation=1"):
        BAND.convert(text, None, None)


@given(st.floats(0, 1e15))
def test_a_printed_size_is_within_a_percent(size: float) -> None:
    number, unit = human_bytes(size).split()
    factor = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[unit]
    assert float(number) * factor == pytest.approx(size, rel=0.006)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (1_500_000, "1.5 MB"), (2e12, "2 TB")]
)
def test_sizes_read_well(size: float, text: str) -> None:
    assert human_bytes(size) == text


def test_columns_align_words_left_and_numbers_right() -> None:
    table = columns(("name", "RMSE"), [("bicubic", "10.25"), ("ridgeline", "7.50")])
    assert table == "name        RMSE\nbicubic    10.25\nridgeline   7.50"


def test_columns_without_rows_are_the_header() -> None:
    assert columns(("a", "b"), []) == "a  b"


@pytest.mark.parametrize(
    ("metres", "said"),
    [
        (0.0, "by less than 0.1 mm"),
        (0.00004, "by less than 0.1 mm"),
        (0.00012, "by at most 0.2 mm"),
        (0.0321, "by at most 32.1 mm"),
        (1.241, "by at most 1.25 m"),
    ],
)
def test_a_residual_is_told_as_a_bound_that_holds(metres: float, said: str) -> None:
    assert at_most(metres) == said
