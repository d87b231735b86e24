"""Interface of a system: how to build its network, train it, and run it in the engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

    from terrafine.nn.model import Model
    from terrafine.nn.spec import ModelSpec
    from terrafine.nn.task import Training
    from terrafine.raster.products.model import SensorModel

__all__ = ["GROWTH_SLOPE", "REFERENCE_SLOPE", "ROUNDING_M", "Options", "System", "TrainingBatch", "network_of"]

Network = TypeVar("Network", bound="nn.Module")

REFERENCE_SLOPE = 0.15
"""Tangent of the slope at which the level of a product's noise is given to a network, `TrainingBatch.sensor`."""

GROWTH_SLOPE = 0.3
"""Tangent of the slope over which the relative growth of that noise is given."""

ROUNDING_M = 0.01
"""Difference between a block mean and the input, metres, that counts as rounding of float32 heights."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a model run; the engine records them, and the same options give the same output.

    Attributes
    ----------
    consistency
        `hard`: block means equal the input; `soft`: within `tolerance_m`; `product`: the product's cells, modelled from
        the output, equal the input within its noise; `none`: the network's output as it is.
    tolerance_m
        Tolerance of `soft`, metres.
    self_ensemble
        Whether to average over the eight reflections and rotations: exactly equivariant, at eight times the cost.
    uncertainty
        Whether to output `elevation_sigma` too, where the model has it.
    engine
        `torch`, `onnx` or `openvino`.
    threads
        Number of threads of the engine; None leaves the number to it.
    device
        Where the model computes, as `terrafine.nn.device.find_device` resolves it.
    precision
        Of the network's own convolutions, `float32` or `bfloat16`; heights and fixed filters are float32 in any case.
    outputs
        Bands requested from a model that offers others than its spec lists; empty for those of the spec.
    sensor
        Sensor model of the input's product, for a model that uses it; None for others.
    dates
        Number of dates whose bands the model gets, for a model that combines dates.
    """

    consistency: str = "hard"
    tolerance_m: float = 1.0
    self_ensemble: bool = False
    uncertainty: bool = False
    engine: str = "torch"
    threads: int | None = None
    device: str = "cpu"
    precision: str = "float32"
    outputs: tuple[str, ...] = ()
    sensor: SensorModel | None = None
    dates: int = 1

    @property
    def residual_limit_m(self) -> float | None:
        """Largest difference between a block mean of the output and the input that may be published; None for any."""
        return {"hard": ROUNDING_M, "soft": self.tolerance_m + ROUNDING_M}.get(self.consistency)


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Coarse and fine heights of a batch of patches.

    Attributes
    ----------
    coarse
        Coarse heights in metres, (n, 1, y, x).
    fine
        Fine heights in metres, (n, 1, k·y, k·x).
    pixel_size_m
        Metres along y and x of the coarse cells, (n, 2, y, 1).
    scale
        Fine cells along a coarse cell, k.
    guides
        Band -> (n, 2, k·y, k·x): its value in the band's unit, and 1 where observed; elsewhere both are 0.
    sensor
        (n, 6, 1, 1), how the coarse cells differ from block means, `terrafine.systems.ridgeline2.network.CONDITIONS`;
        None for a recipe without products.
    known
        (n, 1, y, x), 1 where a coarse cell was observed and 0 where it was filled; None where all were observed.
    """

    coarse: Tensor
    fine: Tensor
    pixel_size_m: Tensor
    scale: int
    guides: Mapping[str, Tensor] = field(default_factory=dict)
    sensor: Tensor | None = None
    known: Tensor | None = None


@dataclass(frozen=True, slots=True)
class System:
    """One system; every callable member is a plain function of its folder.

    Attributes
    ----------
    name
        Name of the system, which is that of its folder.
    summary
        Description in one line.
    scales
        Scales that its models serve; weights of several scales are described by the last one.
    adapt
        Function (spec, network, options) -> Model.
    describe
        Function (network, network arguments, scale) -> ModelSpec without provenance.
    build
        Function (network arguments, scale) -> the torch network; None for a system without weights.
    training
        How the system is trained; None for a system without weights.
    variants
        Names of the models that need no weights.
    without
        Function (spec, band) -> spec of the same weights for an input without that band, or None where they need it.
    domain
        Of a shipped model by its name: quantiles of each band in training by their shares, `{"0.05": 0.03, ...}`.
        Weights whose provenance states a `domain` use that.
    seen
        Of a shipped model by its name: the ground and the images of its training, in words. Weights whose provenance
        states `seen` use that.
    resolved
        Of a shipped model by its name: the effective resolution that was measured, in words that follow "effective
        resolution". Weights whose provenance states `effective_resolution_m` use that.
    uses_product
        Whether its models use the sensor model of the input's product, `Options.sensor`.
    combines_dates
        Whether its models combine several dates of one place, `Options.dates`.
    verb
        Verb of the command line that runs its models: `dem` from elevation, `height` from an image, `map` to classes.
    network
        What the network arguments of a recipe or a spec may be, as `terrafine.schema.types.declared` takes it, such as
        the class of the network; None where that is not declared.
    """

    name: str
    summary: str
    scales: tuple[int, ...]
    adapt: Callable[[ModelSpec, nn.Module | None, Options], Model]
    describe: Callable[[nn.Module | None, Mapping[str, Any], int], ModelSpec]
    build: Callable[[Mapping[str, Any], int], nn.Module] | None = None
    training: Training | None = None
    variants: tuple[str, ...] = ()
    without: Callable[[ModelSpec, str], ModelSpec | None] | None = None
    domain: Mapping[str, Mapping[str, Mapping[str, float]]] = field(default_factory=dict)
    seen: Mapping[str, str] = field(default_factory=dict)
    resolved: Mapping[str, str] = field(default_factory=dict)
    uses_product: bool = False
    combines_dates: bool = False
    verb: str = "dem"
    network: Any = None


def network_of(found: nn.Module | None, kind: type[Network]) -> Network:
    """Return a network as the type that its system built.

    Parameters
    ----------
    found
        Network that the engine or the training loop gives to the system.
    kind
        Type that the system expects.

    Returns
    -------
    Network
        The same network.

    Raises
    ------
    TypeError
        For a network of another type, or none.
    """
    if not isinstance(found, kind):
        raise TypeError(f"expected a {kind.__name__}, found {type(found).__name__}")
    return found
