"""What a user asks of `sharpen_dem`: the model that serves it, its scale and its plan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from terrafine.workflows.device import device_bytes
from terrafine.workflows.options import RunOptions

if TYPE_CHECKING:
    from terrafine.inference.plan import Plan
    from terrafine.raster.products import Product
    from terrafine.systems import ModelRef

__all__ = ["DemRequest"]


@dataclass(frozen=True, slots=True)
class DemRequest:
    """The options that a model is found and planned with.

    `product` is what the user states, and what the input is once it has been opened.
    """

    scale: int | None
    model: str
    consistency: str
    tolerance_m: float
    uncertainty: bool
    self_ensemble: bool
    run: RunOptions
    product: Product | None = None

    def find(self, scale: int, threads: int | None) -> ModelRef:
        """The model that serves them."""
        from terrafine.systems import find_model

        return find_model(
            self.model,
            scale,
            consistency=self.consistency,
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

        named_models(self.model)
        if self.scale is not None:
            self.find(self.scale, self.run.threads)

    def scale_or(self, otherwise: int) -> int:
        """The scale asked for, that of a weights file, or the one given."""
        if self.scale is not None:
            return self.scale
        if Path(self.model).suffix:
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
