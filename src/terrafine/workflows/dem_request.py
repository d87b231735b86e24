"""The request of a user of `sharpen_dem`: the model that serves it, its scale and its plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.workflows.device import device_bytes
from terrafine.workflows.options import RunOptions

if TYPE_CHECKING:
    from terrafine.inference.plan import Plan
    from terrafine.raster.products import Product, Resolved
    from terrafine.systems import ModelRef
    from terrafine.workflows.outputs.streams import Hydrology

__all__ = ["DemRequest"]


@dataclass(frozen=True, slots=True)
class DemRequest:
    """The options that determine the model and the plan of a run.

    Attributes
    ----------
    scale
        Output cells per side of an input cell; None for the default.
    model
        Name of a model, or path of a weights file; None until the product settles it.
    consistency, tolerance_m
        As in `sharpen_dem`; a consistency of None is left to the product.
    uncertainty, self_ensemble
        As in `sharpen_dem`.
    run
        Options of the run.
    product
        The product that the user states, or that was recognised when the input was opened.
    hydro
        Streams and basins that are written beside the DEM; None for none.
    """

    scale: int | None
    model: str | None
    consistency: str | None
    uncertainty: bool
    self_ensemble: bool
    run: RunOptions
    product: Product | None = None
    tolerance_m: float = 1.0
    hydro: Hydrology | None = None

    def settled(self, resolved: Resolved, *, guided: bool) -> DemRequest:
        """The request with the product of the opened input, and the model that follows from it.

        Parameters
        ----------
        resolved
            The product of the input and how it was found.
        guided
            Whether radar or images guide the model.

        Returns
        -------
        DemRequest
            The same request with `model` and `product` set.
        """
        product = resolved.product
        noisy = not product.sensor.exact and resolved.known
        model = self.model or ("pimsr" if guided else "ridgeline2" if noisy else "ridgeline")
        return replace(self, model=model, product=product)

    def find(self, scale: int, threads: int | None) -> ModelRef:
        """Find the model that serves the request.

        Parameters
        ----------
        scale
            Output cells per side of an input cell.
        threads
            CPU threads of the engine; None for all.

        Returns
        -------
        ModelRef
            The model.

        Raises
        ------
        NoModelError, WeightsError, UsageError, MissingExtraError
            As `terrafine.systems.find_model`.
        """
        from terrafine.systems import find_model

        return find_model(
            self.model or "ridgeline",
            scale,
            consistency=self.consistency,
            sensor=None if self.product is None else self.product.sensor,
            tolerance_m=self.tolerance_m,
            self_ensemble=self.self_ensemble,
            uncertainty=self.uncertainty,
            engine=self.run.engine,
            threads=threads,
            device=self.run.device,
            precision=self.run.precision,
        )

    def refuse_early(self) -> None:
        """Check before anything is read that the model and the stated scale exist.

        Raises
        ------
        NoModelError, WeightsError, UsageError
            As `terrafine.systems.find_model`.
        """
        from terrafine.systems import named_models

        named_models(self.model or "ridgeline")
        if self.scale is not None:
            self.find(self.scale, self.run.threads)

    def scale_or(self, otherwise: int) -> int:
        """Return the stated scale, else that of a weights file, else a default.

        Parameters
        ----------
        otherwise
            The default.

        Returns
        -------
        int
            Output cells per side of an input cell.

        Raises
        ------
        WeightsError
            If the weights file cannot be read.
        """
        if self.scale is not None:
            return self.scale
        if self.model is not None and Path(self.model).suffix:
            from terrafine.nn.weights import read_spec

            return read_spec(self.model).scale
        return otherwise

    def plan(self, shape: tuple[int, int], ref: ModelRef, guides: int = 0) -> Plan:
        """Plan how an input is divided into tiles and shards.

        Parameters
        ----------
        shape
            Rows and columns (y, x) of the input.
        ref
            The model.
        guides
            Number of guide bands that the model reads.

        Returns
        -------
        Plan
            The plan.

        Raises
        ------
        ResourceError
            If the run needs more memory than allowed.
        """
        from terrafine.inference.planner import make_plan
        from terrafine.workflows.outputs.provenance import bytes_per_cell

        return make_plan(
            shape,
            ref.spec,
            memory_bytes=self.run.memory_bytes,
            tile=self.run.tile,
            guides=guides,
            bytes_per_cell=bytes_per_cell(ref, 4096),
            device_bytes=device_bytes(self.run.device),
        )
