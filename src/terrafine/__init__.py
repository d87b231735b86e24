"""Terrafine turns free, coarse satellite data into fine maps of the Earth.

Every command of `terrafine` that makes something is a function here, with the same words for its options. Public names
are imported on first use, so `import terrafine` loads neither torch nor rasterio.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from terrafine.version import __version__

if TYPE_CHECKING:
    from terrafine.campaign.api import campaign_status as campaign_status
    from terrafine.campaign.api import plan_campaign as plan_campaign
    from terrafine.campaign.api import retry_campaign as retry_campaign
    from terrafine.campaign.api import run_campaign as run_campaign
    from terrafine.campaign.new import new_campaign as new_campaign
    from terrafine.campaign.product import publish_campaign as publish_campaign
    from terrafine.campaign.summary import campaign_statistics as campaign_statistics
    from terrafine.campaign.summary import sample_campaign as sample_campaign
    from terrafine.errors import TerrafineError as TerrafineError
    from terrafine.workflows.change import ChangeReport as ChangeReport
    from terrafine.workflows.change import measure_change as measure_change
    from terrafine.workflows.dataset import build_dataset as build_dataset
    from terrafine.workflows.dataset_terrain import build_height_dataset as build_height_dataset
    from terrafine.workflows.dataset_terrain import build_pair_dataset as build_pair_dataset
    from terrafine.workflows.dem import sharpen_dem as sharpen_dem
    from terrafine.workflows.evaluate import Evaluation as Evaluation
    from terrafine.workflows.evaluate import evaluate as evaluate
    from terrafine.workflows.fetch import AreaOfInterest as AreaOfInterest
    from terrafine.workflows.fetch import fetch as fetch
    from terrafine.workflows.geocode import geocode_radar as geocode_radar
    from terrafine.workflows.height import estimate_height as estimate_height
    from terrafine.workflows.image import sharpen_image as sharpen_image
    from terrafine.workflows.impervious import map_impervious as map_impervious
    from terrafine.workflows.measure import Measurement as Measurement
    from terrafine.workflows.measure import measure_product as measure_product
    from terrafine.workflows.options import Guidance as Guidance
    from terrafine.workflows.options import ReadOptions as ReadOptions
    from terrafine.workflows.options import RunOptions as RunOptions
    from terrafine.workflows.options import TargetGrid as TargetGrid
    from terrafine.workflows.radar import map_radar as map_radar
    from terrafine.workflows.train import pack_terrain as pack_terrain
    from terrafine.workflows.train import train as train
    from terrafine.workflows.view import view as view

_HOME = {
    "AreaOfInterest": "terrafine.workflows.fetch",
    "ChangeReport": "terrafine.workflows.change",
    "Evaluation": "terrafine.workflows.evaluate",
    "Guidance": "terrafine.workflows.options",
    "Measurement": "terrafine.workflows.measure",
    "ReadOptions": "terrafine.workflows.options",
    "RunOptions": "terrafine.workflows.options",
    "TargetGrid": "terrafine.workflows.options",
    "TerrafineError": "terrafine.errors",
    "build_dataset": "terrafine.workflows.dataset",
    "build_height_dataset": "terrafine.workflows.dataset_terrain",
    "build_pair_dataset": "terrafine.workflows.dataset_terrain",
    "campaign_statistics": "terrafine.campaign.summary",
    "campaign_status": "terrafine.campaign.api",
    "estimate_height": "terrafine.workflows.height",
    "evaluate": "terrafine.workflows.evaluate",
    "fetch": "terrafine.workflows.fetch",
    "geocode_radar": "terrafine.workflows.geocode",
    "map_impervious": "terrafine.workflows.impervious",
    "map_radar": "terrafine.workflows.radar",
    "measure_change": "terrafine.workflows.change",
    "measure_product": "terrafine.workflows.measure",
    "new_campaign": "terrafine.campaign.new",
    "pack_terrain": "terrafine.workflows.train",
    "plan_campaign": "terrafine.campaign.api",
    "publish_campaign": "terrafine.campaign.product",
    "retry_campaign": "terrafine.campaign.api",
    "run_campaign": "terrafine.campaign.api",
    "sample_campaign": "terrafine.campaign.summary",
    "sharpen_dem": "terrafine.workflows.dem",
    "sharpen_image": "terrafine.workflows.image",
    "train": "terrafine.workflows.train",
    "view": "terrafine.workflows.view",
}

__all__ = [
    "AreaOfInterest",
    "ChangeReport",
    "Evaluation",
    "Guidance",
    "Measurement",
    "ReadOptions",
    "RunOptions",
    "TargetGrid",
    "TerrafineError",
    "__version__",
    "build_dataset",
    "build_height_dataset",
    "build_pair_dataset",
    "campaign_statistics",
    "campaign_status",
    "estimate_height",
    "evaluate",
    "fetch",
    "geocode_radar",
    "map_impervious",
    "map_radar",
    "measure_change",
    "measure_product",
    "new_campaign",
    "pack_terrain",
    "plan_campaign",
    "publish_campaign",
    "retry_campaign",
    "run_campaign",
    "sample_campaign",
    "sharpen_dem",
    "sharpen_image",
    "train",
    "view",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'terrafine' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
