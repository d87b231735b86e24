# ---
# jupyter:
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # An accuracy report
#
# Several surfaces are compared with a reference on the same cells, and the result is read from Python. The coarse
# input is simulated by block means.
#
# Needs `pip install 'terrafine[evaluate]'`.

# %%
import json
import os
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt

import terrafine

DATA = Path(os.environ.get("TERRAFINE_DEMO", "../../demo/data"))
WORK = Path(tempfile.mkdtemp())
coarse, truth = DATA / "sample_120m.tif", DATA / "sample_30m.tif"

# %%
for model in ("bicubic", "srcnn", "ridgeline"):
    terrafine.sharpen_dem(
        coarse,
        WORK / f"{model}.tif",
        scale=4,
        model=model,
        consistency="none" if model == "bicubic" else None,
        uncertainty=model == "ridgeline",
    )

# %% [markdown]
# ## The comparison
#
# Bicubic and back-projected bicubic of the coarse input are added by `coarse=`. Hydrology is left out here, because it
# takes the most time.

# %%
candidates = [WORK / f"{m}.tif" for m in ("srcnn", "ridgeline", "bicubic")]
terrafine.evaluate(candidates, truth, coarse=coarse, hydrology=False, out=WORK / "report", progress=False)
results = json.loads((WORK / "report" / "results.json").read_text(encoding="utf-8"))
print(sorted(results))

# %% [markdown]
# ## A table of the main errors
#
# `results.json` has every number that the page shows; each surface is an entry with its blocks of metrics.


# %%
def rows(node: object, name: str = "") -> dict[str, float]:
    """RMSE of every surface, wherever it stands in the record."""
    found: dict[str, float] = {}
    if isinstance(node, dict):
        block = node.get("elevation")
        if isinstance(block, dict) and isinstance(block.get("rmse"), (int, float)):
            found[str(node.get("name", name))] = float(block["rmse"])
        for key, value in node.items():
            found |= rows(value, key)
    elif isinstance(node, list):
        for number, value in enumerate(node):
            found |= rows(value, f"{name} {number}")
    return found


errors = dict(sorted(rows(results).items(), key=lambda item: item[1]))
for name, rmse in errors.items():
    print(f"{name:28s} RMSE {rmse:6.2f} m")
assert errors

# %%
figure, axis = plt.subplots(figsize=(7, 0.5 + 0.45 * len(errors)), constrained_layout=True)
axis.barh(list(errors), list(errors.values()), color="#2f7d5f")
axis.invert_yaxis()
axis.set_xlabel("RMSE, m")

# %% [markdown]
# ## A gate
#
# Limits in a TOML file turn the report into a test: the command line ends with exit code 17, and Python raises
# `GateError`, where one is not kept.

# %%
gate = WORK / "gate.toml"
gate.write_text("[max]\nelevation.rmse = 0.5\n", encoding="utf-8")
checked = terrafine.evaluate(WORK / "ridgeline.tif", truth, coarse=coarse, hydrology=False, gate=gate, progress=False)
try:
    checked.raise_unless_passed()
except terrafine.TerrafineError as error:
    print(type(error).__name__, error)
