"""What a user asks of `sharpen_dem`: the model that serves it, its scale and its plan."""

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

__all__ = ["DemRequest"]


@dataclass(frozen=True, slots=True)
class DemRequest:
    """The options that a model is found and planned with.

    `product` is what the user states, and what the input is once it has been opened. `model` and `consistency` are None
    where the user leaves them to the product.
    """

    scale: int | None
    model: str | None
    consistency: str | None
    tolerance_m: float
    uncertainty: bool
    self_ensemble: bool
    run: RunOptions
    product: Product | None = None

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
        Request whose `model` and `product` are set.
        """
        product = resolved.product
        noisy = not product.sensor.exact and resolved.known
        model = self.model or ("pimsr" if guided else "ridgeline2" if noisy else "ridgeline")
        return replace(self, model=model, product=product)

    def find(self, scale: int, threads: int | None) -> ModelRef:
        """The model that serves them."""
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
        """Refuse a model or a scale that is not there, before anything is read."""
        from terrafine.systems import named_models

        named_models(self.model or "ridgeline")
        if self.scale is not None:
            self.find(self.scale, self.run.threads)

    def scale_or(self, otherwise: int) -> int:
        """The scale asked for, that of a weights file, or the one given."""
        if self.scale is not None:
            return self.scale
        if self.model is not None and Path(self.model).suffix:
            from terrafine.nn.weights import read_spec

            return read_spec(self.model).scale
        return otherwise

    def plan(self, shape: tuple[int, int], ref: ModelRef, guides: int = 0) -> Plan:
        """How an input of that shape (y, x) is divided; raises ResourceError."""
        from terrafine.inference.planner import make_plan
        from terrafine.workflows.provenance import bytes_per_cell

        return make_plan(
            shape,
            ref.spec,
            memory_bytes=self.run.memory_bytes,
            tile=self.run.tile,
            guides=guides,
            bytes_per_cell=bytes_per_cell(ref, 4096),
            device_bytes=device_bytes(self.run.device),
        )
