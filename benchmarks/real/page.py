"""The generated sections on real pairs: the page real_dem and the table of the README."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Section, result, table

README_METHODS = ("smoothed bicubic", "ridgeline", "ridgeline2")


def _pairs(*, tuning: bool) -> dict[str, Any]:
    found: dict[str, Any] = result("real_dem").get("pairs", {})
    return {name: pair for name, pair in found.items() if pair["tuning"] is tuning}


def _rows(pairs: dict[str, Any]) -> list[list[str]]:
    rows = []
    for name, pair in pairs.items():
        for method, row in pair["methods"].items():
            ratios, (low, high) = row["ratios"], row["intervals"]["height"]
            covered = [f"{100 * row[c]:.0f} %" if c in row else "" for c in ("coverage_68", "coverage_90")]
            rows.append(
                [
                    f"{name} ×{pair['scale']}",
                    method,
                    f"{row['rmse']:.2f}",
                    f"{ratios['rmse']:.3f} ({low:.3f} to {high:.3f})",
                    *(f"{ratios[m]:.3f}" for m in ("nmad", "slope_rmse", "curvature_rmse")),
                    f"{100 * row['d8_same']:.1f} %",
                    f"{row['streams_f1']:.3f}",
                    *covered,
                ]
            )
    return rows


def full() -> str:
    """Every method on every pair, the one for tuning last."""
    head = ["pair", "method", "RMSE, m", "RMSE / bicubic (95 %)", "NMAD / bicubic", "slope / bicubic"]
    head += ["curvature / bicubic", "same D8 direction", "streams F1", "within 68 %", "within 90 %"]
    return table(head, _rows(_pairs(tuning=False)) + _rows(_pairs(tuning=True)))


def short() -> str:
    """RMSE and slope RMSE relative to bicubic on the pairs that nothing was tuned on."""
    rows = []
    for name, pair in _pairs(tuning=False).items():
        cells = [
            f"{pair['methods'][m]['ratios']['rmse']:.2f} / {pair['methods'][m]['ratios']['slope_rmse']:.2f}"
            for m in README_METHODS
        ]
        rows.append([f"{name}, {pair['product']} ×{pair['scale']}", *cells])
    return table(["pair", *README_METHODS], rows)


SECTIONS: dict[str, Section] = {"real_dem": full, "real_dem_short": short}
