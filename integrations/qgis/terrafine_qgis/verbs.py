"""The algorithms as a table: which options of `terrafine` each offers, and how QGIS asks for them.

Pure Python, without QGIS: the tests compare every row with the options of the command line.
"""

from __future__ import annotations

from dataclasses import dataclass, field

NUMBER, INTEGER, FLAG, TEXT, CHOICE, FILE, RASTER, RASTERS, VECTOR, CRS, EXTENT = (
    "number",
    "integer",
    "flag",
    "text",
    "choice",
    "file",
    "raster",
    "rasters",
    "vector",
    "crs",
    "extent",
)


@dataclass(frozen=True)
class Parameter:
    """One option of a verb as QGIS asks for it.

    Parameters
    ----------
    name
        Name of the QGIS parameter, in capitals.
    option
        The option of the command line; empty for what is given by position.
    kind
        One of the constants of this module.
    label
        What the dialog calls it.
    choices
        Values of a CHOICE.
    default
        Value that the dialog starts with; None leaves the option out.
    minimum
        Least value of a number.
    required
        Whether it must be given.
    advanced
        Whether the dialog folds it away.
    prefix
        Put before the value, as `vv=` of `--guide vv=FILE`.
    twice
        Whether the option takes the value for x and for y.
    """

    name: str
    option: str
    kind: str
    label: str
    choices: tuple[str, ...] = ()
    default: object = None
    minimum: float | None = None
    required: bool = False
    advanced: bool = False
    prefix: str = ""
    twice: bool = False


@dataclass(frozen=True)
class Verb:
    """One algorithm.

    Parameters
    ----------
    name
        Name of the verb and of the algorithm.
    title
        What the toolbox calls it.
    inputs
        What is given by position, in this order.
    options
        Every option that the dialog offers.
    output
        Label of the main output: a GeoTIFF, or a folder where `report` is set.
    style
        How the result is drawn: hillshade, classes, colours, backscatter, or empty.
    report
        Whether the output is a folder with an `index.html`.
    replaces
        Whether the verb takes `--overwrite`, which is passed because QGIS asks before a file is replaced.
    output_option
        The option before the output; empty where the output comes last.
    help
        Text beside the dialog.
    """

    name: str
    title: str
    inputs: tuple[Parameter, ...]
    options: tuple[Parameter, ...]
    output: str
    style: str
    help: str
    report: bool = False
    replaces: bool = True
    output_option: str = ""
    tags: tuple[str, ...] = field(default=())


def _model() -> Parameter:
    return Parameter("MODEL", "--model", TEXT, "Model or weights file (empty: chosen by the input)", advanced=True)


_RUNNING = (
    Parameter("NODATA", "--nodata", NUMBER, "Nodata value, where the file does not state it", advanced=True),
    Parameter("ASSUME_CRS", "--assume-crs", CRS, "CRS, where the file has none or a wrong one", advanced=True),
    Parameter("DEVICE", "--device", TEXT, "Device: cpu, cuda, cuda:N or mps (empty: automatic)", advanced=True),
    Parameter("MEMORY", "--memory", TEXT, "Memory limit, for example 4GB (empty: the machine's)", advanced=True),
    Parameter("THREADS", "--threads", INTEGER, "CPU threads (empty: all)", minimum=1, advanced=True),
    Parameter("RESTART", "--restart", FLAG, "Start from scratch instead of resuming", advanced=True),
)
_HEIGHTS = (
    Parameter(
        "VERTICAL_DATUM", "--vertical-datum", TEXT, "Vertical datum, if the file does not state it", advanced=True
    ),
    Parameter("ELEVATION_UNIT", "--elevation-unit", TEXT, "Unit of the heights: m, ft or us-ft", advanced=True),
)
_SENSORS_10M = ("sentinel2", "sentinel2-offset", "reflectance")
_SENSORS = ("sentinel2", "sentinel2-offset", "landsat-l1", "landsat-l2", "reflectance")
_OPTICAL = (
    Parameter("SENSOR", "--sensor", CHOICE, "Sensor (empty: found from the file)", _SENSORS_10M, advanced=True),
    Parameter("MAX_BRIGHT", "--max-bright", NUMBER, "Largest share that may look like cloud", minimum=0, advanced=True),
    Parameter("BANDS", "--band", TEXT, "Bands by name, for example: red=3 green=2 blue=1", advanced=True),
)

DEM = Verb(
    "dem",
    "Finer elevation model (DEM)",
    inputs=(Parameter("INPUT", "", RASTERS, "Coarse elevation model; several are one mosaic", required=True),),
    options=(
        Parameter(
            "SCALE", "--scale", CHOICE, "Scale: output cells along a side of an input cell", ("2", "3", "4"), "4"
        ),
        Parameter("UNCERTAINTY", "--uncertainty", FLAG, "Second band: standard error in metres"),
        Parameter("HYDRO", "--hydro", FLAG, "Also streams, basins, filled DEM and flow directions beside the output"),
        Parameter(
            "STREAM_AREA",
            "--stream-area",
            NUMBER,
            "Contributing area at which streams begin, km² (empty: by the extent)",
            minimum=0,
            advanced=True,
        ),
        Parameter("PRODUCT", "--product", TEXT, "Product of the input, for example srtm1 (empty: recognised)"),
        Parameter("TARGET_CRS", "--t-srs", CRS, "Output CRS (empty: as the input)"),
        Parameter("RESOLUTION", "--tr", NUMBER, "Output cell size, in units of the output CRS", minimum=0, twice=True),
        Parameter(
            "GUIDE_VV", "--guide", RASTERS, "Guide: Sentinel-1 VV, one or more dates", prefix="vv=", advanced=True
        ),
        Parameter(
            "GUIDE_VH", "--guide", RASTERS, "Guide: Sentinel-1 VH, one or more dates", prefix="vh=", advanced=True
        ),
        Parameter("GUIDE_INCIDENCE", "--guide", RASTER, "Guide: incidence angle", prefix="incidence=", advanced=True),
        Parameter("ORBIT", "--orbit", CHOICE, "Orbit of the radar guide", ("ascending", "descending"), advanced=True),
        Parameter("HEADING", "--heading", NUMBER, "Heading of the radar's track, degrees", advanced=True),
        Parameter("GUIDE_UNIT", "--guide-unit", CHOICE, "Unit of the radar guide", ("dB", "linear"), advanced=True),
        Parameter(
            "CONSISTENCY", "--consistency", CHOICE, "Consistency", ("hard", "soft", "product", "none"), advanced=True
        ),
        Parameter(
            "TOLERANCE", "--tolerance", NUMBER, "Tolerance of soft consistency, metres", minimum=0, advanced=True
        ),
        _model(),
        Parameter("SELF_ENSEMBLE", "--self-ensemble", FLAG, "Mean over 8 mirrored and rotated inputs", advanced=True),
        Parameter("BANDS", "--band", TEXT, "Band of the heights, for example: elevation=1", advanced=True),
        Parameter(
            "PIXEL_SIZE",
            "--pixel-size",
            NUMBER,
            "Cell size in metres, if the file has no CRS",
            minimum=0,
            advanced=True,
        ),
        *_HEIGHTS,
        *_RUNNING,
    ),
    output="Finer elevation model",
    style="hillshade",
    help="Writes a DEM that is 2, 3 or 4 times finer, as a Cloud-Optimized GeoTIFF in metres. The product of the "
    "input (SRTM, Copernicus, ...) is recognised or stated, and the result is held to the input within its noise. A "
    "run that was cut off is resumed by running it again with the same output.",
    tags=("elevation", "super-resolution", "SRTM", "Copernicus", "Sentinel-1", "terrain", "hydrology"),
)

HEIGHT = Verb(
    "height",
    "Relief from one image",
    inputs=(Parameter("INPUT", "", RASTERS, "Sentinel-2 or Landsat image; several are one mosaic", required=True),),
    options=(
        Parameter("ANCHOR", "--anchor", RASTER, "Coarse DEM that makes the heights absolute"),
        Parameter("UNCERTAINTY", "--uncertainty", FLAG, "Second band: standard error in metres"),
        Parameter("SENSOR", "--sensor", CHOICE, "Sensor (empty: found from the file)", _SENSORS, advanced=True),
        *_OPTICAL[1:],
        _model(),
        *_HEIGHTS,
        *_RUNNING,
    ),
    output="Relief or heights",
    style="hillshade",
    help="Estimates relief from red, green and blue of one optical image. Without a coarse DEM the heights are above "
    "an unstated level. The network has seen a few scenes: any coarse DEM is better than the image alone.",
    tags=("elevation", "Landsat", "Sentinel-2"),
)

MAP = Verb(
    "map",
    "Impervious surface map",
    inputs=(Parameter("INPUT", "", RASTERS, "Sentinel-2 image with 10 m cells", required=True),),
    options=(
        Parameter("THRESHOLD", "--threshold", NUMBER, "Probability from which a cell is impervious", minimum=0),
        Parameter("PROBABILITY", "--probability", FLAG, "Also write the probability, beside the map"),
        Parameter("SIGMA", "--sigma", FLAG, "The same, with its spread over 8 mirrors and turns", advanced=True),
        Parameter("REGION", "--region", VECTOR, "Polygons: areas by region, as a CSV beside the map"),
        Parameter("REGION_NAME", "--region-name", TEXT, "Field that names the regions (empty: the first)"),
        *_OPTICAL,
        _model(),
        *_RUNNING,
    ),
    output="Impervious surface",
    style="classes",
    help="Maps impervious surface on a 1 m grid from a Sentinel-2 image: 1 impervious, 0 other, 255 unknown. The "
    "shipped weights have seen one city and are no better than −NDVI on others; train on your own region before you "
    "rely on an area.",
    tags=("city", "land cover", "Sentinel-2", "urban"),
)

IMAGE = Verb(
    "image",
    "Finer Sentinel-2 image",
    inputs=(Parameter("INPUT", "", RASTERS, "Sentinel-2 image with 10 m cells", required=True),),
    options=(
        Parameter("SCALE", "--scale", INTEGER, "Scale: output cells along a side of an input cell", minimum=1),
        *_OPTICAL,
        _model(),
        *_RUNNING,
    ),
    output="Finer image",
    style="colours",
    help="Writes red, green and blue of a Sentinel-2 image on a finer grid, reflectance kept. What is finer than the "
    "input is the model's guess.",
    tags=("super-resolution", "Sentinel-2"),
)

RADAR = Verb(
    "radar",
    "Radar geometry of a DEM",
    inputs=(Parameter("INPUT", "", RASTERS, "Elevation model; several are one mosaic", required=True),),
    options=(
        Parameter("ORBIT", "--orbit", CHOICE, "Direction of the pass", ("ascending", "descending"), required=True),
        Parameter("INCIDENCE", "--incidence", TEXT, "Incidence in degrees or a raster (empty: mid-swath)"),
        Parameter("HEADING", "--heading", NUMBER, "Heading of the track, degrees", advanced=True),
        Parameter("LATITUDE", "--latitude", NUMBER, "Latitude, if the DEM has no CRS", advanced=True),
        Parameter("BANDS", "--band", TEXT, "Band of the heights, for example: elevation=1", advanced=True),
        Parameter(
            "PIXEL_SIZE",
            "--pixel-size",
            NUMBER,
            "Cell size in metres, if the file has no CRS",
            minimum=0,
            advanced=True,
        ),
        _HEIGHTS[1],
        *_RUNNING[:2],
    ),
    output="Radar geometry",
    style="backscatter",
    help="Writes what Sentinel-1 sees of a DEM, in four bands: local incidence, layover, shadow and simulated "
    "backscatter of uniform ground.",
    tags=("Sentinel-1", "layover", "shadow", "backscatter"),
)

EVALUATE = Verb(
    "evaluate",
    "Accuracy report",
    inputs=(
        Parameter("INPUT", "", RASTERS, "Candidates to compare", required=True),
        Parameter("REFERENCE", "--reference", RASTER, "Reference", required=True),
    ),
    options=(
        Parameter("COARSE", "--coarse", RASTER, "What the candidates were made from: adds bicubic"),
        Parameter("MASKS", "--mask", RASTERS, "Masks: cells other than 0 are left out"),
        Parameter("CLASSES", "--classes", RASTER, "Integers to break the errors down by", advanced=True),
        Parameter("KIND", "--as", CHOICE, "What the files are", ("elevation", "classes", "image"), advanced=True),
        Parameter("GATE", "--gate", FILE, "Limits on the results, a TOML file", advanced=True),
        Parameter(
            "NO_COREGISTRATION",
            "--no-coregistration",
            FLAG,
            "Do not shift candidates onto the reference",
            advanced=True,
        ),
        Parameter("NO_HYDROLOGY", "--no-hydrology", FLAG, "Leave streams, watersheds and floods out"),
        Parameter("BANDS", "--band", TEXT, "Bands by name, for example: elevation=2", advanced=True),
        *_HEIGHTS,
        _RUNNING[1],
    ),
    output="Folder of the report",
    style="",
    report=True,
    replaces=False,
    output_option="-o",
    help="Compares elevation models, class maps or images with a reference on the same cells, and writes a report: "
    "errors by slope and terrain, streams and floods, spectrum, profiles. With the coarse input, bicubic stands beside "
    "the candidates.",
    tags=("accuracy", "validation", "RMSE", "coregistration"),
)

FETCH = Verb(
    "fetch",
    "Fetch free satellite data",
    inputs=(
        Parameter(
            "COLLECTION",
            "",
            CHOICE,
            "Collection",
            ("sentinel-2", "sentinel-1", "landsat", "copernicus-dem"),
            "sentinel-2",
            required=True,
        ),
        Parameter("AREA", "--aoi", EXTENT, "Area", required=True),
    ),
    options=(
        Parameter("DATES", "--dates", TEXT, "Dates, as 2023-04/2023-10 (not of an elevation model)"),
        Parameter(
            "COMPOSITE", "--composite", CHOICE, "How dates are merged", ("median", "geomedian", "best-clear"), "median"
        ),
        Parameter("BAND_NAMES", "--bands", TEXT, "Bands, as red,green,blue (empty: all)"),
        Parameter("CELL", "--cell", NUMBER, "Cell size in metres (empty: the product's)", minimum=0),
        Parameter("TARGET_CRS", "--t-srs", CRS, "Output CRS (empty: UTM zone of the centre)"),
        Parameter("ORBIT", "--orbit", CHOICE, "Orbit, for Sentinel-1", ("ascending", "descending")),
        Parameter("MAX_CLOUD", "--max-cloud", NUMBER, "Cloud in a scene at most, per cent", minimum=0),
        Parameter("MIN_CLEAR", "--min-clear", NUMBER, "Clear share inside the area", minimum=0, advanced=True),
        Parameter("SERVICE", "--service", TEXT, "Service or its TOML file (empty: one that has it)", advanced=True),
        Parameter("MEMORY", "--memory", TEXT, "Memory limit, for example 4GB", advanced=True),
        Parameter("RESTART", "--restart", FLAG, "Start from scratch instead of resuming", advanced=True),
    ),
    output="Composite",
    replaces=False,
    style="colours",
    help="Fetches free satellite data of an area from a public catalogue and merges its dates into one raster, with "
    "the lineage beside it. It opens network connections, outside the settings of QGIS for proxies. A run that was cut "
    "off is resumed by running it again with the same output.",
    tags=("download", "STAC", "Sentinel-2", "Sentinel-1", "Landsat", "Copernicus", "composite"),
)

VERBS = (DEM, HEIGHT, MAP, IMAGE, RADAR, EVALUATE, FETCH)

LEFT_OUT = {
    "dem": {
        "--preview": "QGIS draws the result itself",
        "--sun": "with image guides, which the dialog does not offer",
        "--engine": "torch serves every installation",
        "--precision": "the default is right unless memory is short",
    },
    "height": {"--preview": "QGIS draws the result itself"},
    "map": {"--preview": "QGIS draws the result itself", "--stack": "the dialog takes one image"},
    "image": {"--preview": "QGIS draws the result itself"},
    "radar": {},
    "fetch": {
        "--offset": "resolved for each item",
        "--mask": "clouds are left out",
        "--connections": "the default is kind to public services",
        "--timeout": "the default serves slow links",
        "--attempts": "the default serves slow links",
        "--max-scenes": "the default keeps a typing error from a large download",
        "--dem": "of sentinel-1-grd, which the dialog does not offer",
        "--geoid": "of sentinel-1-grd, which the dialog does not offer",
    },
    "evaluate": {
        "--coregistration": "the default; the dialog offers --no-coregistration",
        "--hydrology": "the default; the dialog offers --no-hydrology",
        "--slope": "Horn unless stated on the command line",
        "--stream-area": "by the extent",
        "--stage": "the default floods",
        "--hydrology-memory": "the default limit",
        "--sigma-multiple": "read from the candidate's tags",
        "--class-name": "read from the files",
        "--divide-by": "by the type of the files",
    },
}
"""Options of the command line that no dialog offers, with the reason."""

LEFT_OUT_EVERYWHERE = {
    "--help": "the text beside the dialog",
    "--quiet": "the log needs progress and summary",
    "--dask": "clusters are for the command line",
    "--tile": "chosen by the plan",
    "--allow-folder": "layers of QGIS are local files",
    "--allow-remote": "layers of QGIS are local files",
    "--overwrite": "always passed for a raster: QGIS asks before a file is replaced",
    "--no-overwrite": "as --overwrite",
    "--creation-option": "the default compression serves QGIS",
    "--output": "the same as the output",
    "--out": "the same as the output",
    "--json": "the report is read by people",
    "--log-file": "QGIS has its own log",
    "--verbose": "QGIS has its own log",
}
