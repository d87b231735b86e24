"""Samples of impervious surface: where they lie, how they are split, what they hold."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from click.testing import CliRunner
from PIL import Image
from tests.support.rasters import write_raster

from terrafine.cli import main
from terrafine.datasets.impervious import build
from terrafine.datasets.impervious.build import build_dataset
from terrafine.datasets.impervious.sites import SampleSite, choose_sites, nearest_between, split_sites
from terrafine.errors import DataError, OutputError, SourceError, TerrafineError, UsageError
from terrafine.physics.sensor_model import Sensor
from terrafine.raster.warp.resample import block_mean

COLOURS = ("red", "green", "blue")


def lattice(n: int = 20, step: float = 500.0, region: str = "a", image: int = 0) -> list[SampleSite]:
    return [
        SampleSite(
            image, r, c, "earth", (r * step, c * step, 0.0), f"{int(r * step // 2000)} {int(c * step // 2000)}", region
        )
        for r in range(n)
        for c in range(n)
    ]


def gaps(places: list[SampleSite]) -> np.ndarray:
    at = np.array([p.at for p in places])
    d = np.linalg.norm(at[:, None] - at[None], axis=2)
    return d[np.triu_indices(len(at), 1)]


def test_places_keep_their_distance_where_there_is_room() -> None:
    places = lattice()
    found = choose_sites(places, 6, 3000.0, 320.0, seed=0)
    assert len(found.chosen) == 6
    assert gaps([places[i] for i in found.chosen]).min() >= 3000
    assert found.spacing_m == {"a": 3000.0}
    everything = choose_sites(places, None, 3000.0, 320.0, seed=0)
    assert 6 <= len(everything.chosen) <= 16
    assert gaps([places[i] for i in everything.chosen]).min() >= 3000


def test_where_there_is_none_the_spacing_is_halved_and_told() -> None:
    places = lattice(6)
    found = choose_sites(places, 12, 3000.0, 320.0, seed=0)
    assert len(found.chosen) == 12
    assert found.spacing_m["a"] in (750.0, 375.0)
    assert gaps([places[i] for i in found.chosen]).min() >= found.spacing_m["a"]
    assert len(choose_sites(places, 500, 3000.0, 320.0, seed=0).chosen) == 36


def test_regions_share_alike_and_a_small_one_gives_its_rest_away() -> None:
    places = lattice(10) + [SampleSite(1, i, 0, "earth", (1e6 + 500 * i, 0.0, 0.0), "far", "b") for i in range(3)]
    found = [places[i].region for i in choose_sites(places, 11, 0.0, 320.0, seed=1).chosen]
    assert (found.count("a"), found.count("b")) == (8, 3)
    assert choose_sites(places, 11, 0.0, 320.0, seed=1) == choose_sites(places, 11, 0.0, 320.0, seed=1)
    assert choose_sites(places, 11, 0.0, 320.0, seed=1) != choose_sites(places, 11, 0.0, 320.0, seed=2)


def test_no_block_is_split_and_the_shares_are_met() -> None:
    places = lattice()
    splits, notes = split_sites(places, {"val": 0.2, "test": 0.2}, {}, seed=0)
    by_block: dict[str, set[str]] = {}
    for place, part in zip(places, splits, strict=True):
        by_block.setdefault(place.block, set()).add(part)
    assert all(len(parts) == 1 for parts in by_block.values())
    assert [splits.count(s) / len(splits) for s in ("val", "test")] == pytest.approx([0.2, 0.2], abs=0.05)
    assert notes == []
    assert nearest_between(places, splits) == 500.0
    assert nearest_between(places, ["train"] * len(places)) is None


def test_held_out_images_go_where_they_are_told_and_too_few_blocks_are_told() -> None:
    places = lattice(4, 100.0, image=0) + lattice(4, 100.0, image=1)
    splits, _ = split_sites(places, {"val": 0.0}, {1: "test"}, seed=0)
    assert set(splits[:16]) == {"train"}
    assert set(splits[16:]) == {"test"}
    _, notes = split_sites(places, {"val": 0.1, "test": 0.1}, {}, seed=0)
    assert "No sample is in" in notes[0]
    with pytest.raises(DataError, match="none is left to train on"):
        split_sites(places, {}, {0: "test", 1: "test"}, seed=0)
    with pytest.raises(UsageError, match="less than 1"):
        split_sites(places, {"val": 0.6, "test": 0.5}, {}, seed=0)


def town(side: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A byte image whose houses are bright, and where they are."""
    rng = np.random.default_rng(seed)
    sealed = (rng.random((side // 20, side // 20)) < 0.3).repeat(20, 0).repeat(20, 1).astype(np.uint8)
    image = 60 + 90 * sealed + rng.integers(0, 10, sealed.shape)
    return np.stack([image, image + 5, image - 5]).astype(np.uint8), sealed


def put(folder: Path, n: int = 4, side: int = 200) -> tuple[list[Path], Path]:
    (folder / "images").mkdir()
    (folder / "labels").mkdir()
    images = []
    for i in range(n):
        image, sealed = town(side, i)
        where = Affine(1, 0, 500_000 + 4000 * i, 0, -1, 5_000_000)
        name = f"t{i}.tif"
        images.append(write_raster(folder / "images" / name, image, transform=where, nodata=None, names=COLOURS))
        write_raster(folder / "labels" / name, sealed, transform=where, nodata=None)
    return images, folder / "labels"


def read(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return np.asarray(file.read())


def test_a_sample_is_the_image_its_observation_and_its_label(tmp_path: Path) -> None:
    images, labels = put(tmp_path)
    quiet = Sensor(noise=0.0)
    index = build_dataset(images, [labels], tmp_path / "out", side=100, spacing_m=0.0, sensor=quiet)
    assert len(index["samples"]) == 16
    assert json.loads((tmp_path / "out" / "index.json").read_text(encoding="utf-8")) == index
    one = index["samples"][0]
    image, sealed = town(200, int(one["image"][1]))
    r, c = one["row_col"]
    w = np.s_[r : r + 100, c : c + 100]
    fine = read(tmp_path / "out" / f"{one['name']}_fine.tif")
    assert fine == pytest.approx(np.round(image[:, *w] / 255 * 10_000), abs=1)
    label = read(tmp_path / "out" / f"{one['name']}_label.tif")[0]
    assert (label == sealed[w]).all()
    assert one["impervious"] == pytest.approx(sealed[w].mean())
    coarse = read(tmp_path / "out" / f"{one['name']}_coarse.tif")
    assert coarse.shape == (3, 10, 10)
    mean = block_mean(fine.astype(np.float64), None, 10)[0]
    assert np.corrcoef(coarse.ravel(), mean.ravel())[0, 1] > 0.85
    assert coarse.std() < mean.std()
    with rasterio.open(tmp_path / "out" / f"{one['name']}_coarse.tif") as file:
        assert file.transform.a == 10
        assert file.descriptions == COLOURS


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(tmp_path: Path) -> None:
    images, labels = put(tmp_path, 2)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        build_dataset(images, [labels], tmp_path / name, side=100, spacing_m=0.0, seed=seed)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == sorted(p.name for p in (tmp_path / "b").iterdir())
    assert all((tmp_path / "a" / f).read_bytes() == (tmp_path / "b" / f).read_bytes() for f in files)
    assert any((tmp_path / "a" / f).read_bytes() != (tmp_path / "c" / f).read_bytes() for f in files)


def test_a_real_coarse_image_is_registered(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    cells = np.kron(rng.random((100, 100)), np.ones((10, 10)))
    fine = np.stack([cells * 100 + 50 + 3 * b for b in range(3)]).astype(np.uint8)
    at = Affine(1, 0, 500_000, 0, -1, 5_000_000)
    image = write_raster(tmp_path / "f.tif", fine, transform=at, nodata=None, names=COLOURS)
    label = write_raster(tmp_path / "l.tif", (cells > 0.5).astype(np.uint8), transform=at, nodata=None)
    low = np.pad(block_mean(fine / 255.0, None, 10)[0] * 10_000, ((0, 0), (5, 5), (5, 5)), mode="reflect")
    moved = at * Affine.translation(-50 + 20, -50) * Affine.scale(10)  # two cells too far east
    real = write_raster(tmp_path / "s2.tif", low.astype(np.uint16), transform=moved, nodata=None, names=COLOURS)
    index = build_dataset([image], [label], tmp_path / "out", side=100, count=8, coarse=real, block_m=200.0)
    dy, dx = index["samples"][0]["registered_cells"]
    assert (abs(dy), abs(dx - 2)) < (0.1, 0.1)
    name = index["samples"][3]["name"]
    coarse = read(tmp_path / "out" / f"{name}_coarse.tif").astype(float)
    wanted = block_mean(read(tmp_path / "out" / f"{name}_fine.tif").astype(float), None, 10)[0]
    assert np.abs(coarse - wanted).mean() < 150
    assert np.abs(np.roll(coarse, 1, axis=2) - wanted).mean() > 500
    assert index["coarse"] == {"real": "s2.tif"}
    assert "1 of 1 images were registered" in " ".join(index["notes"])


def test_the_histogram_of_another_image_is_taken_on(tmp_path: Path) -> None:
    images, labels = put(tmp_path, 2)
    rng = np.random.default_rng(0)
    like = write_raster(
        tmp_path / "s2.tif", rng.normal(2000, 300, (3, 64, 64)).astype(np.uint16), nodata=None, names=COLOURS
    )
    build_dataset(images, [labels], tmp_path / "out", side=100, spacing_m=0.0, histogram_of=like, shares={})
    coarse = np.concatenate([read(p).ravel() for p in sorted((tmp_path / "out").glob("*_coarse.tif"))])
    assert coarse.mean() == pytest.approx(2000, rel=0.1)  # as stored it would be 3,400


def test_pictures_without_a_crs_are_split_by_folder_and_that_is_said(tmp_path: Path) -> None:
    images, marks = [], tmp_path / "marks"
    marks.mkdir()
    for i, tile in enumerate(("tile_1", "tile_2")):
        (tmp_path / tile).mkdir()
        image, sealed = town(120, i)
        bare: dict[str, Any] = {"crs": None, "transform": Affine.identity(), "nodata": None}
        images.append(write_raster(tmp_path / tile / f"p{i}.tif", image, names=COLOURS, **bare))
        write_raster(marks / f"p{i}.tif", sealed, **bare)
    index = build_dataset(
        images,
        [marks],
        tmp_path / "out",
        side=60,
        spacing_m=0.0,
        pixel_size_m=1.0,
        hold_out={"test": "tile_2"},
        shares={},
    )
    assert {(s["folder"], s["split"]) for s in index["samples"]} == {("tile_1", "train"), ("tile_2", "test")}
    assert "2 images have no CRS" in index["notes"][0]


BARE: dict[str, Any] = {"crs": None, "transform": Affine.identity(), "nodata": None}
PAINT = {0: (0x3C, 0x10, 0x98), 1: (0x6E, 0xC1, 0xE4), 2: (0, 0, 0), 3: (0x9B, 0x9B, 0x9B), 4: (1, 2, 3)}


def tiles(root: Path) -> tuple[list[Path], dict[str, np.ndarray]]:
    """root/tile_N/images/part.tif and root/tile_N/masks/part.png: one painted, one of a colour table."""
    images, painted = [], {}
    for i, tile in enumerate(("tile_3", "tile_4")):
        (root / tile / "images").mkdir(parents=True)
        (root / tile / "masks").mkdir()
        images.append(write_raster(root / tile / "images" / "part.tif", town(120, i)[0], names=COLOURS, **BARE))
        numbers = np.random.default_rng(i).choice([0, 1, 2, 4] if i else [0, 1, 4], (120, 120)).astype(np.uint8)
        numbers[:30, :30] = 3
        painted[tile] = numbers
        mask = root / tile / "masks" / "part.png"
        if i:
            tabled = Image.frombytes("P", numbers.shape[::-1], numbers.tobytes())
            tabled.putpalette([c for n in range(5) for c in PAINT[n]])
            tabled.save(mask)
        else:
            Image.fromarray(np.array([PAINT[n] for n in range(5)], np.uint8)[numbers]).save(mask)
    return images, painted


def built(images: list[Path], labels: Path, out: Path) -> dict[str, Any]:
    marks: dict[str, Any] = {"impervious": ["#3C1098", "#6EC1E4"], "unknown": ["#9B9B9B"]}
    return build_dataset(
        images, [labels], out, side=60, spacing_m=0.0, pixel_size_m=1.0, hold_out={"test": "tile_4"}, shares={}, **marks
    )


def test_masks_of_one_name_are_told_by_their_folder_and_colour_tables_are_colours(tmp_path: Path) -> None:
    images, painted = tiles(tmp_path / "all")
    index = built(images, tmp_path / "all", tmp_path / "out")
    assert {(s["folder"], s["block"], s["split"]) for s in index["samples"]} == {
        ("tile_3/images", "tile_3/images", "train"),
        ("tile_4/images", "tile_4/images", "test"),
    }
    assert len(index["samples"]) == 8
    for one in index["samples"]:
        r, c = one["row_col"]
        numbers = painted[one["folder"].partition("/")[0]][r : r + 60, c : c + 60]
        label = read(tmp_path / "out" / f"{one['name']}_label.tif")[0]
        np.testing.assert_array_equal(label, np.where(numbers == 3, 255, numbers < 2))
    everything = np.stack(list(painted.values()))
    black, other = ((everything == n).mean() for n in (2, 4))
    assert (
        f"in how many of 2 masks: #010203 {100 * other:.1f} % in 2, #000000 {100 * black:.1f} % in 1."
        in index["notes"][-1]
    )


def test_masks_that_lie_equally_near_and_pictures_without_one_are_named(tmp_path: Path) -> None:
    images, _ = tiles(tmp_path / "all")
    (tmp_path / "all" / "tile_3" / "images" / "part.txt").write_text("no raster\n")
    built(images, tmp_path / "all", tmp_path / "out")
    (tmp_path / "all" / "tile_3" / "masks").rename(tmp_path / "all" / "tile_3" / "old")
    (tmp_path / "all" / "tile_3" / "new").mkdir()
    shutil.copy(tmp_path / "all" / "tile_3" / "old" / "part.png", tmp_path / "all" / "tile_3" / "new")
    with pytest.raises(DataError, match=r"2 rasters equally near, \S+new/part.png, \S+old/part.png; expected"):
        built(images, tmp_path / "all", tmp_path / "b")
    with pytest.raises(
        DataError, match=r"found \S+part.txt, none of which GDAL opens as a raster; expected a raster of labels"
    ):
        built(images, tmp_path / "all" / "tile_3" / "images", tmp_path / "b")
    (tmp_path / "all" / "tile_3" / "images" / "part.txt").unlink()
    with pytest.raises(DataError, match="holds no file besides the images"):
        built(images, tmp_path / "all" / "tile_3" / "images", tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_another_tiles_mask_and_a_picture_beside_the_image_are_no_label(tmp_path: Path) -> None:
    images, _ = tiles(tmp_path / "all")
    beside = images[0].with_suffix(".png")
    shutil.copy(tmp_path / "all" / "tile_3" / "masks" / "part.png", beside)
    with pytest.raises(DataError, match="is beside the image and may be a picture"):
        built(images, tmp_path / "all", tmp_path / "b")
    beside.unlink()
    (tmp_path / "all" / "tile_3" / "masks" / "part.png").unlink()
    with pytest.raises(DataError, match=r"tile_4/masks/part.png, which is nearer to \S+tile_4/images/part.tif"):
        built(images, tmp_path / "all", tmp_path / "b")


def test_what_cannot_be_made_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    images, labels = put(tmp_path, 1)
    with pytest.raises(UsageError, match="multiple of 10"):
        build_dataset(images, [labels], tmp_path / "out", side=55)
    with pytest.raises(DataError, match="smaller side"):
        build_dataset(images, [labels], tmp_path / "out", side=400)
    with pytest.raises(UsageError, match="no image has"):
        build_dataset(images, [labels], tmp_path / "out", side=100, hold_out={"test": "nowhere"})
    (labels / "t0.tif").rename(labels / "other.tif")
    with pytest.raises(DataError, match="found nothing of that name; expected a raster of labels named t0"):
        build_dataset(images, [labels], tmp_path / "out", side=100)
    assert not (tmp_path / "out").exists()
    with pytest.raises(OutputError, match="not an empty folder"):
        build_dataset(images, [labels], tmp_path, side=100)


def test_labels_of_other_numbers_than_stated_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    images, labels = put(tmp_path, 2)
    for path in labels.iterdir():
        with rasterio.open(path, "r+") as file:
            file.write(file.read() + np.uint8(5))
    with pytest.raises(DataError, match=r"none of the \d+ samples holds a cell of 1, which is taken as impervious"):
        build_dataset(images, [labels], tmp_path / "out", side=100, spacing_m=0.0)
    assert not (tmp_path / "out").exists()
    index = build_dataset(images, [labels], tmp_path / "out", side=100, spacing_m=0.0, impervious=("6",))
    assert max(s["impervious"] for s in index["samples"]) > 0


def test_vectors_beside_the_images_are_said_to_cover_nothing(tmp_path: Path) -> None:
    images, _ = put(tmp_path, 2)
    far = {"type": "Polygon", "coordinates": [[[0, 0], [0.01, 0], [0.01, 0.01], [0, 0]]]}
    feature = {"type": "Feature", "properties": {"building": "yes"}, "geometry": far}
    vectors = tmp_path / "buildings.geojson"
    vectors.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    with pytest.raises(DataError, match=r"buildings\.geojson.* under one of their polygons") as caught:
        build_dataset(images, [vectors], tmp_path / "out", side=100, spacing_m=0.0)
    assert "classes" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_command_line_says_what_it_made(tmp_path: Path) -> None:
    images, labels = put(tmp_path)
    arguments = ["dataset", "impervious", *map(str, images), "--labels", str(labels), "--side", "100", "--count", "6"]
    result = CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "out"), "--share", "val=0.2"])
    assert result.exit_code == 0, result.output
    assert "6 samples of 100 m" in result.stdout
    assert "the area does not allow 3000 m" in result.stdout
    assert CliRunner().invoke(main, [*arguments, "-o", str(tmp_path / "b"), "--share", "val"]).exit_code == 2


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"shares": {"val": 0.7, "test": 0.3}}, "less than 1 together"),
        ({"shares": {"val": -0.1}}, "0 or more each"),
        ({"shares": {"val": float("nan")}}, "shares"),
        ({"shares": {"train": 0.7}}, "expected none of train"),
        ({"hold_out": {"test": ""}}, "hold_out={'test': ''}; expected {key: value}, each key text and each value text"),
        ({"hold_out": {"test": "nowhere"}}, "no image has 'nowhere' in its path"),
        ({"road_widths": {"primary": 0.0}}, "road_widths primary 0.0: expected metres above 0"),
        ({"road_widths": {"primary": float("inf")}}, "road_widths"),
        ({"bands": ("red", "green", "infrared")}, "band infrared: expected some of red, green, blue, nir"),
        ({"band_numbers": {"red": 0}}, "expected numbers of bands, from 1"),
        ({"impervious": ("built",)}, "label 'built': expected a class number"),
        ({"impervious": ("1", "#FF0000")}, "expected class numbers, or colours as #RRGGBB, for both"),
        ({"impervious": ("1",), "unknown": ("1",)}, "mean both"),
        ({"impervious": ()}, "impervious=(): is empty; expected at least one entry"),
        ({"coarse": "absent.tif"}, "absent.tif: there is no such file"),
        ({"histogram_of": "absent.tif"}, "absent.tif: there is no such file"),
        ({"regions": "absent.tif"}, "absent.tif: there is no such file"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_read(
    wrong: dict[str, Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = put(tmp_path, 1)
    monkeypatch.setattr(build, "_prepared", lambda *a: pytest.fail("an image was read"))
    with pytest.raises(TerrafineError, match=re.escape(words)):
        build_dataset(images, [labels], tmp_path / "out", side=100, **wrong)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_made_and_an_image_that_is_not_there_are_refused_first(tmp_path: Path) -> None:
    images, labels = put(tmp_path, 1)
    with pytest.raises(OutputError, match="expected a folder that is writable"):
        build_dataset(images, [labels], Path(images[0]) / "out", side=100)
    with pytest.raises(SourceError, match=r"gone.tif: there is no such file"):
        build_dataset([*images, tmp_path / "gone.tif"], [labels], tmp_path / "out", side=100)


@pytest.mark.parametrize("there", [True, False])
def test_a_run_that_fails_half_way_leaves_no_samples(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, labels = put(tmp_path)
    out = tmp_path / "out"
    if there:
        out.mkdir()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(build, "write_index", full)
        with pytest.raises(OSError, match="No space"):
            build_dataset(images, [labels], out, side=100, count=2)
    assert out.exists() == there and (not there or not list(out.iterdir()))
    assert build_dataset(images, [labels], out, side=100, count=2)["samples"]
