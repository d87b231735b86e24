"""Scale of σ for products with noise, measured on the real pair that is kept for tuning, into a weights file.

    python -m benchmarks.real.calibrate WEIGHTS [--unseen EARLIER_WEIGHTS] [--data DIR]

The training calibrates σ on simulated patches. Between two real sensors there is more: registration, dates, what either
sensor measures. So on the held-out rows of the pair `borders`, which is kept for tuning, the factor that makes 68 % of
the errors lie within σ is measured, and those for 90 and 95 %. They apply wherever the product has noise. Held-out rows
are a small area: with --unseen, weights that were trained on no part of the pair, each factor is multiplied by what
theirs is on the whole pair relative to these rows.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.command import data_of, parser
from benchmarks.real.dem import modelled
from benchmarks.real.pairs import PAIRS, Pair, load
from terrafine.nn.weights import load as load_weights
from terrafine.nn.weights import save

LEVELS = {"0.68": 0.68, "0.90": 0.90, "0.95": 0.95}


def quantiles(data: Path, weights: Path, pairs: list[Pair]) -> list[dict[str, float]]:
    """Quantiles of |error| / σ on the rows of each pair, which are all of one coarse file."""
    heights, sigma, _ = modelled(data / pairs[0].coarse, pairs[0], str(weights), pairs[0].product)
    found = []
    for pair in pairs:
        ground = load(data, pair)
        relative = np.abs(ground.error(heights)) / np.maximum(ground.sampled(sigma), 1e-6)
        found.append({level: float(np.nanquantile(relative, share)) for level, share in LEVELS.items()})
    return found


def main() -> None:
    """Parse, measure, write."""
    made = parser(__doc__, "real_calibrate")
    made.add_argument("weights", type=Path)
    made.add_argument("--unseen", type=Path, help="weights that were trained on no part of the pair")
    args = made.parse_args()
    spec, tensors = load_weights(args.weights)
    plain = {name: value for name, value in spec.calibration.items() if not name.startswith("product_")}
    save(args.weights, tensors, replace(spec, calibration=plain))
    with data_of(args) as data:
        pair = PAIRS["borders"]
        (found,) = quantiles(data, args.weights, [pair])
        if args.unseen:
            rows, whole = quantiles(data, args.unseen, [pair, replace(pair, rows=(0.0, 1.0))])
            found = {level: value * whole[level] / rows[level] for level, value in found.items()}
    middle = found["0.68"]
    factors = {"product_sigma": plain.get("sigma", 1.0) * middle}
    factors |= {f"product_{level}": value / middle for level, value in found.items()}
    save(args.weights, tensors, replace(spec, calibration=plain | factors))
    print(", ".join(f"{name} {value:.3f}" for name, value in factors.items()))


if __name__ == "__main__":
    main()
