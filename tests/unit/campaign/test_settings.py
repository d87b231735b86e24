"""Settings of a campaign: whatever is wrong in them is refused by name before anything is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.campaigns import write_campaign

from terrafine.campaign.new import new_campaign
from terrafine.campaign.settings import Epoch, locate, read_settings
from terrafine.errors import OutputError, SourceError, UsageError


@pytest.mark.parametrize(
    ("key", "line", "message"),
    [
        ("verb", 'verb = "sharpen"', "one of map, dem"),
        ("tile_m", "tile_m = nan", "tile_m"),
        ("tile_m", "tile_m = 1e9", "200000"),
        ("tile_m", "tile_m = 120.0", "16 or more"),
        ("resolution_m", "resolution_m = true", "a number"),
        ("halo_m", 'halo_m = "wide"', "a number"),
        ("scale", "scale = 5", "scale"),
        ("scale", "threshold = 0.5", "threshold"),
        ("retries", "retries = 1000", "0 to 20"),
        ("kind", 'kind = "ftp"', "files, stac"),
        ("name", 'name = "../up"', "not a path"),
        ("dates", 'dates = "2019-13"', "dates"),
        ("dates", 'dates = "2019/2015"', "backwards"),
        ("dates", 'dates = "soon"', "2023-04/2023-10"),
        ("files", "files = []", "no files"),
    ],
)
def test_a_wrong_line_is_refused_by_name(tmp_path: Path, key: str, line: str, message: str) -> None:
    with pytest.raises(UsageError, match="hills.toml.*" + message.replace(".", r"\.")):
        read_settings(write_campaign(tmp_path, **{key: line}))


@pytest.mark.parametrize("extra", ['colour = "red"', "[grid2]", '[[epochs]]\nname = "x"'])
def test_unknown_and_missing_keys_are_refused(tmp_path: Path, extra: str) -> None:
    path = write_campaign(tmp_path)
    path.write_text(
        (extra + "\n" + path.read_text()) if "=" in extra and "[" not in extra else path.read_text() + extra
    )
    with pytest.raises(UsageError, match="keys"):
        read_settings(path)


def test_epochs_have_one_name_each_in_the_order_of_their_dates(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    path.write_text(path.read_text().replace('name = "new"', 'name = "old"'))
    with pytest.raises(UsageError, match="twice"):
        read_settings(path)
    path.write_text(path.read_text().replace('dates = "2015"', 'dates = "2021"').replace('"old"', '"late"', 1))
    with pytest.raises(UsageError):
        read_settings(path)


def test_dates_cover_whole_months_and_years() -> None:
    epoch = Epoch("a", "2023-02/2024-02")
    assert (str(epoch.begin), str(epoch.end)) == ("2023-02-01", "2024-02-29")
    assert (str(Epoch("a", "2020").begin), str(Epoch("a", "2020").end)) == ("2020-01-01", "2020-12-31")
    assert str(Epoch("a", "2020-12").end) == "2020-12-31"
    assert Epoch("a", "2020").middle == pytest.approx(2020.5, abs=0.01)


def test_a_campaign_is_named_by_its_file_or_its_folder(tmp_path: Path) -> None:
    path = write_campaign(tmp_path)
    assert locate(path) == locate(path.with_suffix("")) == (path, path.with_suffix(""))
    with pytest.raises(UsageError, match="terrafine campaign new"):
        locate(tmp_path / "other")


@pytest.mark.parametrize("verb", ["map", "dem", "height", "image"])
def test_new_settings_are_valid_and_never_overwrite(tmp_path: Path, verb: str) -> None:
    path = new_campaign(tmp_path / "isa.toml", verb=verb, epochs={"a": "2015", "b": "2017-04/2017-10"})
    settings = read_settings(path)
    assert (settings.name, settings.model.verb, [e.name for e in settings.epochs]) == ("isa", verb, ["a", "b"])
    with pytest.raises(OutputError, match="exists"):
        new_campaign(path)
    with pytest.raises(UsageError):
        new_campaign(tmp_path / "b.toml", epochs={"a": "never"})
    assert not (tmp_path / "b.toml").exists()


def test_a_pattern_without_a_file_is_refused(tmp_path: Path) -> None:
    settings = read_settings(write_campaign(tmp_path))
    assert [p.name for p in settings.matched(("*.tif",))] == ["new.tif", "old.tif"]
    with pytest.raises(SourceError, match="no such file"):
        settings.matched(("absent-*.tif",))
