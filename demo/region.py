"""A town from its outline to a product: `make region`. A STAC API on loopback, real Sentinel-2 scenes, no network.

The scenes are Montpellier on 2015-08-12 and 2017-10-30 (OSCD, Daudt 2018; Copernicus Sentinel-2, level 1C). Each date
is offered twice: as it is, and as a later product, with the offset of 2022 and with a cloud that is painted in. So the
composites are real where no cloud was painted, and the change between the dates holds season and haze as well as
building. citymap was trained on a part of this town; the numbers below show the way, not an accuracy.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

TOWN = "montpellier"
CROP = (20, 60, 300, 300)  # column, row, width and height of the scenes that are offered
EPOCHS = {"2015": ("2015-04/2015-10", "2015-08-12"), "2017": ("2017-04/2017-10", "2017-10-30")}
CLOUDS = ((slice(40, 130), slice(60, 170)), (slice(150, 240), slice(120, 230)))
AOI = (3.8895, 43.5975, 3.9105, 43.613)
SHOWN = 120  # seconds that the browser has to draw


@contextmanager
def step(name: str) -> Iterator[None]:
    """Print what begins and how long it took."""
    begun = time.perf_counter()
    print(f"-- {name}", flush=True)
    yield
    print(f"   {time.perf_counter() - begun:.1f} s", flush=True)


def offer(server: Any) -> None:
    """Put both dates on the server, each as two items."""
    from tests.support.scenes import add_scene, real_numbers

    for number, ((_, day), cloud) in enumerate(zip(EPOCHS.values(), CLOUDS, strict=True), start=1):
        numbers, georeference = real_numbers(TOWN, number, CROP)
        old, new = {"s2:processing_baseline": "02.04"}, {"s2:processing_baseline": "05.09"}
        add_scene(server, f"{TOWN}-{day}", numbers, georeference, f"{day}T10:30:00Z", properties=old)
        add_scene(
            server,
            f"{TOWN}-{day}-again",
            numbers,
            georeference,
            f"{day}T10:40:00Z",
            properties=new,
            offset=1000,
            cloud=cloud,
        )


def write_inputs(folder: Path) -> None:
    """The outline of the town and two districts."""
    from tests.support.campaigns import write_region

    west, south, east, north = AOI
    middle = (west + east) / 2
    write_region(folder / "town.geojson", AOI)
    features = []
    for name, box in (("west", (west, south, middle, north)), ("east", (middle, south, east, north))):
        path = write_region(folder / "part.geojson", box, name)
        features += json.loads(path.read_text())["features"]
        path.unlink()
    (folder / "districts.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def settings(folder: Path, service: Path) -> Path:
    """The campaign's settings: those that `campaign new` writes, with the service and the districts set."""
    import terrafine

    path = terrafine.new_campaign(
        folder / "town.toml", region="town.geojson", epochs={k: v[0] for k, v in EPOCHS.items()}, service=service.name
    )
    text = path.read_text()
    for before, after in (
        ("# tile_m = 10240", "tile_m = 1280"),
        ('# file = "districts.geojson"', 'file = "districts.geojson"'),
        ('# field = "name"', 'field = "name"'),
    ):
        if before not in text:
            raise SystemExit(f"{path}: has no line {before}")
        text = text.replace(before, after)
    path.write_text(text)
    return path


def look(campaign: Path, picture: Path) -> bool:
    """Open the mosaics in the viewer and save what a browser shows; False where there is no browser."""
    import terrafine

    browser = next((b for b in ("chromium", "chromium-browser", "google-chrome") if shutil.which(b)), None)
    if browser is None:
        return False
    from tests.support.browser import Page

    with (
        terrafine.view(campaign) as viewer,
        tempfile.TemporaryDirectory() as profile,
        Page(Path(profile), 1200, 800) as page,
    ):
        page.visit(viewer.url)
        page.wait("document.body.dataset.drawn === 'yes'", SHOWN)
        page.screenshot(picture)
    return True


def main() -> int:
    """Run all steps and print what they came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "demo" / "out" / "region")
    out = parser.parse_args().out
    from tests.support.scenes import TRUTH, preset
    from tests.support.stac_server import serve

    if not TRUTH.is_dir():
        print(f"{TRUTH}: there are no scenes; set TERRAFINE_DATA to the folder that holds s2_truth")
        return 1
    import terrafine

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as archive, serve(Path(archive)) as server:
        with step("scenes on a STAC API on loopback"):
            offer(server)
            write_inputs(out)
            file = settings(out, preset(server, out))
        with step("plan"):
            plan = terrafine.plan_campaign(file)
            print(f"   {plan.area_km2:.2f} km², {sum(plan.tiles.values())} tiles, {plan.units} units")
        with step("run: fetch, composite, map"):
            status = terrafine.run_campaign(file)
            print(f"   {status.total('done')} done, {len(status.holes)} holes")
    with step("publish"):
        made = terrafine.publish_campaign(file)
        print(f"   {made.items} items, {', '.join(m.name for m in made.mosaics)}")
    with step("statistics"):
        folder = terrafine.campaign_statistics(file)
        record = json.loads((folder / "statistics.json").read_text())
        for row in record["areas"]:
            if row["rule"] == "raw":
                print(f"   {row['zone']} {row['epoch']}: {100 * row['impervious_share']:.1f} % impervious")
    with step("sample"):
        print(f"   {terrafine.sample_campaign(file, points=200, minimum=30)}")
    with step("view"):
        shown = look(file.with_suffix(""), out / "view.png")
        print(f"   {out / 'view.png'}" if shown else "   no chromium is installed: no picture")
    print(f"{out}: {time.perf_counter() - begun:.0f} s in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
