"""ModelSpec: declaration of a model for the engine, stored inside its weights file."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from terrafine.errors import WeightsError
from terrafine.schema.check import filled
from terrafine.schema.files import parse_json
from terrafine.schema.json_schema import DIALECT, schema_of
from terrafine.schema.types import Items, Matches, Name, Within, shown

__all__ = ["SPEC_FORMAT", "ModelSpec"]

SPEC_FORMAT = 1
_PRODUCT = "product_"  # before the names of a calibration that holds for products with noise
Band = Annotated[str, Matches(r"[a-z][a-z0-9_]{0,39}", "the name of a band, as elevation")]
Bands = Annotated[tuple[Band, ...], Items(1, 16)]
Scale = Annotated[int, Within(1, 64)]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Declaration of a model: its inputs and outputs, the halo that a tile needs, and its origin.

    Attributes
    ----------
    system
        Folder of `terrafine.systems` that builds the network.
    name
        Name by which a user requests it, e.g. `ridgeline`.
    version
        Version of the weights, e.g. `1.0`.
    inputs
        Bands that it requires, on the coarse grid.
    outputs
        Bands that it produces, on the grid subdivided by `scale`.
    scale
        Output cells along one side of an input cell.
    halo
        Input cells around a tile that its inner output depends on (the receptive radius).
    multiple
        Number that input tile sides and origins must be multiples of.
    tiling
        `exact`: with the halo, tiled equals whole; `blend`: overlapping tiles are blended.
    tile
        Preferred inner tile side, input cells.
    network
        Keyword arguments that rebuild the network.
    tolerance_m
        How far a mirrored or rotated input changes the mirrored or rotated output: the largest RMS, in metres, over
        held-out patches.
    calibration
        `sigma`: factor from the network's σ to the published one; `0.68`, `0.90`, `0.95`: multiples of the published σ
        that cover that share of held-out errors.
    provenance
        Recipe, data, licence, scores: free text and numbers, shown by `terrafine info`.
    scales
        All scales that the same weights serve, where there are several; else empty.
    guides
        Bands that it can use, on the grid subdivided by `scale`; any of them may be missing.
    relative
        A tile determines its outputs only up to a plane: where tiles are blended, the planes are first solved jointly.

    Raises
    ------
    WeightsError
        For values that the engine cannot use.
    """

    system: Name
    name: Name
    version: Annotated[str, Matches(r"[A-Za-z0-9.+_-]{1,40}", "a version such as 1.0")]
    inputs: Bands
    outputs: Bands
    scale: Scale
    halo: Annotated[int, Within(0, 4_096)]
    multiple: Annotated[int, Within(1, 1_024)] = 1
    tiling: Literal["exact", "blend"] = "exact"
    tile: Annotated[int, Within(1, 16_384)] = 256
    network: Mapping[str, Any] = field(default_factory=dict)
    tolerance_m: Annotated[float, Within(0, 1e6)] = 0.0
    calibration: Annotated[Mapping[str, Annotated[float, Within(0, 1e6)]], Items(0, 100)] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    scales: Annotated[tuple[Scale, ...], Items(0, 16)] = ()
    guides: Annotated[tuple[Band, ...], Items(0, 16)] = ()
    relative: bool = False

    def __post_init__(self) -> None:
        problems = [
            text
            for bad, text in (
                (not self.inputs, "inputs is empty"),
                (not self.outputs, "outputs is empty"),
                (self.scale < 1, f"scale is {self.scale}, expected 1 or more"),
                (self.halo < 0, f"halo is {self.halo}, expected 0 or more"),
                (self.multiple < 1, f"multiple is {self.multiple}, expected 1 or more"),
                (self.tile < self.multiple, f"tile {self.tile} is below multiple {self.multiple}"),
                (
                    self.multiple > 0 and self.tile % self.multiple != 0,
                    f"tile {self.tile} is not a multiple of {self.multiple}",
                ),
                (self.tiling not in ("exact", "blend"), f"tiling is {self.tiling!r}"),
            )
            if bad
        ]
        if problems:
            raise WeightsError(f"model spec {self.name!r} cannot be used: {'; '.join(problems)}")

    def calibration_for(self, *, noisy: bool) -> dict[str, float]:
        """Return the calibration of σ for exact block means, or for a product with noise where the weights have one.

        Parameters
        ----------
        noisy
            Whether the input is a product with noise.

        Returns
        -------
        dict[str, float]
            As `calibration`, without the names that begin with `product_`.
        """
        product = {n.removeprefix(_PRODUCT): v for n, v in self.calibration.items() if n.startswith(_PRODUCT)}
        plain = {n: v for n, v in self.calibration.items() if not n.startswith(_PRODUCT)}
        return product if noisy and product else plain

    def to_json(self) -> str:
        """Return canonical JSON (sorted keys, no spaces), so that equal specs give equal text."""
        record = {"format": SPEC_FORMAT, **dataclasses.asdict(self)}
        return json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """Return the JSON Schema (draft 2020-12) of `to_json`, made from the fields of this class.

        Returns
        -------
        dict[str, Any]
            The schema that the package ships as `nn/model_spec.schema.json`. It states types, bounds and names; that
            `tile` is a multiple of `multiple` is checked by the class alone.
        """
        schema = schema_of(cls)
        version = {"const": SPEC_FORMAT, "description": "Version of this format."}
        return {
            "$schema": DIALECT,
            "title": "Terrafine model spec",
            "description": "What an engine must know of a model: metadata `terrafine` of .safetensors and .onnx files.",
            **schema,
            "properties": {"format": version, **schema["properties"]},
            "required": ["format", *schema["required"]],
        }

    @classmethod
    def from_json(cls, text: str, *, where: str = "model spec") -> ModelSpec:
        """Read a spec from the text of `to_json`.

        Parameters
        ----------
        text
            JSON text.
        where
            Source of the text, for error messages.

        Returns
        -------
        ModelSpec
            The spec.

        Raises
        ------
        WeightsError
            For anything that is not a spec of a known format.
        """
        record = parse_json(text, where, WeightsError, "a Terrafine model")
        if not isinstance(record, dict) or record.pop("format", None) != SPEC_FORMAT:
            raise WeightsError(f"{where}: expected a spec of format {SPEC_FORMAT}; update Terrafine or the file")
        known = {f.name for f in dataclasses.fields(cls)}
        if extra := sorted(set(record) - known):
            raise WeightsError(f"{where}: unknown spec fields {shown(extra)}; the file is newer than this Terrafine")
        try:
            return cls(**filled(cls, record, f"{where}: [spec]", WeightsError))
        except WeightsError as e:
            raise WeightsError(f"{where}: {str(e).removeprefix(f'{where}: ')}") from e
