"""Slope, gradient, curvatures, roughness and topographic position in numpy, compared cell by cell.

Every function takes elevation (y, x) in metres with NaN where nodata, and `pixel_size_m` (2, y): metres along y and
along x of a cell in each row. The result is NaN on the outer ring and wherever any of the nine cells is nodata.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from terrafine.evaluation.elevation.neighbours import neighbour, nodata_aware, ring
from terrafine.physics.gradient import Method, central_difference

__all__ = [
    "HALO",
    "MEASURES",
    "Agreement",
    "Method",
    "TerrainStats",
    "curvatures",
    "derive",
    "gradient",
    "roughness",
    "slope_degrees",
    "tpi",
]

F64 = NDArray[np.float64]

HALO = 1  # cells around a window that the derivatives of its inside depend on

MEASURES = {
    "slope": "degree",
    "aspect": "m/m",
    "plan_curvature": "1/100 m",
    "profile_curvature": "1/100 m",
    "roughness": "m",
    "tpi": "m",
}


def gradient(z: NDArray[Any], pixel_size_m: F64, method: Method = "horn") -> tuple[F64, F64]:
    """Rise per metre toward growing column and toward growing row; two (y, x).

    Horn 1981 (doi:10.1109/PROC.1981.11918) weights six cells; Zevenbergen & Thorne 1987
    (doi:10.1002/esp.3290120107) takes the central difference.
    """
    z, nodata = nodata_aware(z)
    gx = central_difference(lambda across, along: neighbour(z, across, along), method)
    gy = central_difference(lambda across, along: neighbour(z, along, across), method)
    size = pixel_size_m[:, 1:-1, None]
    return ring(gx / size[1] + nodata), ring(gy / size[0] + nodata)


def slope_degrees(z: NDArray[Any], pixel_size_m: F64, method: Method = "horn") -> F64:
    """Angle of the steepest descent from the horizontal, degrees; (y, x)."""
    gx, gy = gradient(z, pixel_size_m, method)
    return np.degrees(np.arctan(np.hypot(gx, gy)))


def curvatures(z: NDArray[Any], pixel_size_m: F64) -> tuple[F64, F64]:
    """Plan and profile curvature in 1/100 m, positive where convex; two (y, x).

    Second derivatives across and along the slope from the quadric of Zevenbergen & Thorne 1987
    (doi:10.1002/esp.3290120107); nothing on a flat. They are xdem's directional tangential and profile curvatures,
    which stay bounded where the contour curvature (÷ slope) does not, so that an RMSE of them means something.
    """
    z, nodata = nodata_aware(z)
    dy, dx = pixel_size_m[0, 1:-1, None], pixel_size_m[1, 1:-1, None]
    centre = neighbour(z, 0, 0)
    zx, zy = (
        (neighbour(z, 0, 1) - neighbour(z, 0, -1)) / (2 * dx),
        (neighbour(z, 1, 0) - neighbour(z, -1, 0)) / (2 * dy),
    )
    zxx = (neighbour(z, 0, 1) - 2 * centre + neighbour(z, 0, -1)) / dx**2
    zyy = (neighbour(z, 1, 0) - 2 * centre + neighbour(z, -1, 0)) / dy**2
    zxy = (neighbour(z, 1, 1) - neighbour(z, 1, -1) - neighbour(z, -1, 1) + neighbour(z, -1, -1)) / (4 * dx * dy)
    g2 = zx**2 + zy**2
    flat = g2 == 0
    g2 = np.where(flat, 1.0, g2)
    plan = np.where(flat, 0.0, -(zxx * zy**2 - 2 * zxy * zx * zy + zyy * zx**2) / g2)
    profile = np.where(flat, 0.0, -(zxx * zx**2 + 2 * zxy * zx * zy + zyy * zy**2) / g2)
    return ring(100 * plan + nodata), ring(100 * profile + nodata)


def roughness(z: NDArray[Any]) -> F64:
    """Highest minus lowest of the nine cells, metres (Dartnell 2000; as gdaldem and xdem); (y, x)."""
    z, nodata = nodata_aware(z)
    cells = [neighbour(z, dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    high, low = cells[0].copy(), cells[0].copy()
    for c in cells[1:]:
        np.fmax(high, c, out=high)
        np.fmin(low, c, out=low)
    return ring(high - low + nodata)


def tpi(z: NDArray[Any]) -> F64:
    """Cell minus mean of its eight neighbours, metres (Weiss 2001; as gdaldem and xdem); (y, x)."""
    z, nodata = nodata_aware(z)
    others = [neighbour(z, dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    centre = neighbour(z, 0, 0)
    # Differences first: a flat must give exactly nothing.
    return ring(sum(centre - other for other in others) / 8 + nodata)


@dataclass(frozen=True)
class Agreement:
    """Sums over pairs of samples, to RMSE and 1 − r²; merges by adding about a common origin (Chan et al. 1979)."""

    n: int = 0
    mean_c: float = 0.0
    mean_r: float = 0.0
    cc: float = 0.0
    rr: float = 0.0
    cr: float = 0.0

    @classmethod
    def of(cls, candidate: NDArray[Any], reference: NDArray[Any]) -> Agreement:
        """Of two equal-shaped arrays; pairs with a NaN are left out."""
        both = np.isfinite(candidate) & np.isfinite(reference)
        whole = bool(both.all())
        c, r = (np.ravel(v if whole else v[both]).astype(np.float64) for v in (candidate, reference))
        if c.size == 0:
            return cls()
        mc, mr = float(c.mean()), float(r.mean())
        c -= mc
        r -= mr
        # einsum sums in one fixed order, whatever the number of threads.
        cc, rr, cr = (float(np.einsum("i,i->", a, b)) for a, b in ((c, c), (r, r), (c, r)))
        return cls(c.size, mc, mr, cc, rr, cr)

    def merge(self, other: Agreement) -> Agreement:
        """Both sets of pairs as one."""
        if not self.n or not other.n:
            return other if not self.n else self
        n = self.n + other.n
        c, r = other.mean_c - self.mean_c, other.mean_r - self.mean_r
        w = self.n * other.n / n
        return Agreement(
            n,
            self.mean_c + c * other.n / n,
            self.mean_r + r * other.n / n,
            self.cc + other.cc + w * c * c,
            self.rr + other.rr + w * r * r,
            self.cr + other.cr + w * c * r,
        )

    @property
    def bias(self) -> float | None:
        """Mean of candidate minus reference."""
        return self.mean_c - self.mean_r if self.n else None

    @property
    def rmse(self) -> float | None:
        """Root of the mean squared difference."""
        if not self.n:
            return None
        return math.sqrt(max((self.cc + self.rr - 2 * self.cr) / self.n, 0.0) + (self.mean_c - self.mean_r) ** 2)

    @property
    def fuv(self) -> float | None:
        """Fraction of unexplained variance, 1 − r² (squared Pearson correlation); None where either is constant."""
        if not self.n or self.cc <= 0 or self.rr <= 0:
            return None
        return min(max(1.0 - self.cr**2 / (self.cc * self.rr), 0.0), 1.0)


def _vector(parts: tuple[Agreement, Agreement]) -> dict[str, Any]:
    """Of a vector: length of the difference, and variances pooled over its two components."""
    x, y = parts
    if not x.n:
        return {"n": 0, "bias": None, "rmse": None, "fuv": None}
    cc, rr, cr = x.cc + y.cc, x.rr + y.rr, x.cr + y.cr
    fuv = min(max(1.0 - cr**2 / (cc * rr), 0.0), 1.0) if cc > 0 and rr > 0 else None
    return {
        "n": x.n,
        "bias": math.hypot(x.bias or 0.0, y.bias or 0.0),
        "rmse": math.hypot(x.rmse or 0.0, y.rmse or 0.0),
        "fuv": fuv,
    }


@dataclass(frozen=True)
class TerrainStats:
    """Agreement of every measure of MEASURES over blocks; immutable, mergeable.

    Aspect is compared as the gradient vector (rise per metre toward x and y): RMSE is the length of the difference,
    so north at 359° and at 1° agree, and a flat, which has no aspect, has no weight. Its `bias` is the length of the
    mean difference.
    """

    parts: Mapping[str, Agreement] = field(default_factory=dict)

    def add(
        self, candidate: Mapping[str, F64], reference: Mapping[str, F64], inner: tuple[slice, slice]
    ) -> TerrainStats:
        """Add the cells of `inner`; both as `derive` gives them, from arrays that reach HALO cells farther."""
        new = {name: Agreement.of(candidate[name][inner], reference[name][inner]) for name in candidate}
        return self.merge(TerrainStats(new))

    def merge(self, other: TerrainStats) -> TerrainStats:
        """Both sets of cells as one."""
        names = [*self.parts, *(n for n in other.parts if n not in self.parts)]
        empty = Agreement()
        return TerrainStats({n: self.parts.get(n, empty).merge(other.parts.get(n, empty)) for n in names})

    def summary(self) -> dict[str, dict[str, Any]]:
        """The `measures` of results.json: {name: {unit, n, bias, rmse, fuv}}."""
        empty = Agreement()
        out: dict[str, dict[str, Any]] = {}
        for name, unit in MEASURES.items():
            if name == "aspect":
                values = _vector((self.parts.get("gx", empty), self.parts.get("gy", empty)))
            else:
                a = self.parts.get(name, empty)
                values = {"n": a.n, "bias": a.bias, "rmse": a.rmse, "fuv": a.fuv}
            out[name] = {"unit": unit} | values
        return out


def derive(z: NDArray[Any], pixel_size_m: F64, method: Method = "horn") -> dict[str, F64]:
    """Every surface that TerrainStats compares: slope, gx, gy, plan and profile curvature, roughness, tpi; (y, x)."""
    gx, gy = gradient(z, pixel_size_m, method)
    plan, profile = curvatures(z, pixel_size_m)
    return {
        "slope": np.degrees(np.arctan(np.hypot(gx, gy))),
        "gx": gx,
        "gy": gy,
        "plan_curvature": plan,
        "profile_curvature": profile,
        "roughness": roughness(z),
        "tpi": tpi(z),
    }
