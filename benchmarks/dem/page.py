"""The generated sections on DEM super-resolution: README, model cards and the pages dem_*, jiao2020, cross_source."""

from __future__ import annotations

from typing import Any

from benchmarks.markdown import Section, result, table

SCALES = ("x2", "x3", "x4")
BASES = ("bicubic", "back-projected bicubic")


def ratios(methods: list[str], record: dict[str, Any]) -> str:
    """RMSE, MAE, slope RMSE and NMAD of each method at each scale, relative to both interpolations."""
    rows = []
    for scale in SCALES:
        known = record.get(scale, {}).get("ratios", {})
        for method in methods:
            if method in known:
                cells = [f"{known[method][b][m]:.3f}" for b in BASES for m in ("rmse", "mae", "slope_rmse", "nmad")]
                rows.append([f"×{scale[1]}", method, *cells])
    head = [
        "",
        "method",
        *(f"{m} / {b}" for b in ("bicubic", "back-projected") for m in ("RMSE", "MAE", "slope", "NMAD")),
    ]
    return table(head, rows)


def by_file(method: str, record: dict[str, Any]) -> str:
    """RMSE in metres at ×4 of one method beside the interpolations, file by file, with coverage where it has σ."""
    files = record["x4"]["files"]
    covered = any("coverage_68" in v for v in files[method].values())
    rows = []
    for name, mine in files[method].items():
        cells = [f"{files[m][name]['rmse']:.3f}" for m in (*BASES, method)]
        cells += [f"{files[m][name]['slope_rmse']:.2f}" for m in (*BASES, method)]
        cells += [f"{100 * mine[c]:.0f} %" for c in ("coverage_68", "coverage_90")] if covered else []
        rows.append([name, *cells])
    head = ["file, ×4", *(f"RMSE {m}, m" for m in (*BASES, method)), *(f"slope {m}, °" for m in (*BASES, method))]
    return table(head + (["within 68 %", "within 90 %"] if covered else []), rows)


def coverage(record: dict[str, Any]) -> str:
    """Mean over the files of the share within the stated intervals."""
    rows = []
    for scale in SCALES:
        files = record.get(scale, {}).get("files", {}).get("ridgeline", {}).values()
        if files and all("coverage_68" in f for f in files):
            shares = [100 * sum(f[c] for f in files) / len(files) for c in ("coverage_68", "coverage_90")]
            rows.append([f"×{scale[1]}", *(f"{s:.1f} %" for s in shares)])
    return table(["", "within the 68 % interval", "within the 90 % interval"], rows)


def card(method: str) -> Section:
    """The section of a model card."""

    def text() -> str:
        record = result("dem_accuracy")
        if method not in record.get("x4", {}).get("files", {}):
            return ""
        out = "`python -m benchmarks.dem.accuracy`: ratios, geometric mean over the six files of `dem/test`.\n\n"
        out += ratios([method], record) + "\n" + by_file(method, record)
        return out + ("\nMean over the files:\n\n" + coverage(record) if method == "ridgeline" else "")

    return text


def accuracy() -> str:
    """Every method at every scale."""
    record = result("dem_accuracy")
    methods = ["bicubic a=-0.75", "lanczos", "back-projected bicubic", "srcnn", "drn", "ridgeline", "ridgeline2"]
    return ratios(methods, record) if record else ""


def summary() -> str:
    """The numbers of the README: one line per scale, and what they do not show."""
    record = result("dem_accuracy")
    if not record:
        return ""
    methods = (*BASES, "ridgeline")
    rows = [
        [f"×{scale[1]}", *(f"{record[scale]['ratios'][m]['bicubic']['rmse']:.3f}" for m in methods)] for scale in SCALES
    ]
    count = len(record["x4"]["files"]["ridgeline"])
    return (
        f"RMSE relative to bicubic on {count} DEMs held out of training and model selection, geometric mean. These are "
        "simulated inputs: the coarse DEM is the exact block mean of the truth.\n\n"
    ) + table(["scale", *methods], rows)


def interpolation() -> str:
    """The table of the interpolations."""
    record = result("dem_accuracy")
    names = ["bicubic", "bicubic a=-0.75", "lanczos", *(f"back-projected bicubic{a}" for a in ("", " a=-0.75"))]
    return ratios(names, record) if record else ""


def speed() -> str:
    """Rates and memory."""
    record = result("dem_speed")
    if not record:
        return ""
    timed = record["speed"]
    rows = []
    for name in ("ridgeline", "drn", "gdal cubic"):
        r = timed[name]
        outside = f"{100 * r['outside_network']:.0f} %" if "outside_network" in r else ""
        cells = "×".join(map(str, r["input_cells"]))
        rows.append([name, cells, f"{r['output_pixels_per_second'] / 1e6:.2f}", outside, f"{r['peak_mb']:.0f}"])
    out = f"{record['machine']['cpu']}, {record['threads']} threads, ×4, "
    out += "from file to published file, medians of one run.\n\n"
    out += table(["", "input cells", "output Mpx/s", "outside the network", "peak MB"], rows)
    out += f"\nRidgeline gives {timed['ridgeline_over_drn']:.1f} times the output pixels per second of drn on the same "
    out += (
        f"engine, and takes {timed['ridgeline_time_over_gdal']:.1f} times as long as GDAL's cubic warp with the same "
    )
    out += "output options.\n"
    for r in record["memory"]:
        out += f"Peak memory for {r['output_side']:,}² output cells: {r['peak_mb']:.0f} MB.\n"
    return out


def peers() -> str:
    """Accuracy at ×3 beside the public VDSR4DEM, and how it was read."""
    record = result("dem_peers")
    if not record:
        return ""
    known, bases = record["x3"]["ratios"], ("bicubic", "back-projected bicubic", "drn")
    rows = [
        [name, *(f"{by[b][m]:.3f}" for b in bases for m in ("rmse", "mae", "nmad", "slope_rmse"))]
        for name, by in known.items()
    ]
    out = table(["×3", *(f"{m} / {b}" for b in bases for m in ("RMSE", "MAE", "NMAD", "slope"))], rows)
    files = record["x3"]["files"]
    stems = list(files["bicubic"])
    for metric, unit in (("rmse", "RMSE, m"), ("mae", "MAE, m"), ("nmad", "NMAD, m"), ("slope_rmse", "slope RMSE, °")):
        rows = [[name, *(f"{by[f][metric]:.3f}" for f in stems)] for name, by in files.items()]
        out += "\n" + table([unit, *stems], rows)
    readings = record["protocol"]["readings"]
    return out + "\n" + "".join(f"- `{name}` reads it as: {reading}.\n" for name, reading in readings.items())


def readings() -> str:
    """Every reading of VDSR4DEM on training terrain."""
    record = result("dem_peers")
    if not record:
        return ""
    found = record["readings"]
    stems = list(next(iter(found.values())))
    rows = [[name, *(f"{by[f]:.3f}" for f in stems)] for name, by in found.items()]
    return table(["RMSE / bicubic, windows of dem/train", *stems], rows)


def peers_speed() -> str:
    """Rates of the networks alone."""
    record = result("dem_peers")
    if not record:
        return ""
    rows = [
        [name, f"{r['weights']:,}", f"{r['output_pixels_per_second'] / 1e6:.2f}", f"{r['over_drn']:.2f}"]
        for name, r in record["speed"].items()
    ]
    out = f"{record['machine']['cpu']}, {record['threads']} thread(s), medians of one run.\n\n"
    return out + table(["×3", "weights", "output Mpx/s", "times drn"], rows)


def learning() -> str:
    """Scores of the same small network after training on parts of the terrain."""
    record = result("dem_learning")
    head = ["training terrains", "held out: RMSE / bicubic", "held out: slope / bicubic", "own terrain: RMSE / bicubic"]
    rows = [
        [
            str(row["terrains"]),
            *(f"{row['held_out'][m]:.4f}" for m in ("to_bicubic", "slope_to_bicubic")),
            f"{row['train_to_bicubic']:.4f}",
        ]
        for row in sorted(record.get("rows", {}).values(), key=lambda r: int(r["terrains"]))
    ]
    return table(head, rows)


def ablation() -> str:
    """Each variant's scores on held-out terrain, and what it loses against the recipe."""
    record = result("ablation_ridgeline")
    if not record:
        return ""
    full = record["variants"].get("full", {}).get("scores")
    kinds = sorted(next(iter(record["variants"].values()))["scores"], key=len)  # block mean first
    rows = []
    order = sorted(
        record["variants"].values(),
        key=lambda r: (not r["label"].startswith("the recipe"), r["scores"][kinds[0]]["to_bicubic"]),
    )
    for r in order:
        cells = [f"{r['scores'][k]['to_bicubic']:.4f}" for k in kinds]
        cells.append(f"{r['scores'][kinds[0]]['slope_to_bicubic']:.4f}")
        if full:
            change = r["scores"][kinds[0]]["to_bicubic"] / full[kinds[0]]["to_bicubic"] - 1
            cells.append(f"{100 * change:+.1f} %")
        rows.append([r["label"].replace("|", "\\|"), f"{r['weights']:,}", *cells])
    head = ["variant", "weights", *(f"RMSE / bicubic, {k}" for k in kinds), f"slope / bicubic, {kinds[0]}"]
    out = f"×4, {record['steps']} steps each, held-out terrain of the recipe.\n\n"
    return out + table(head + ([f"RMSE against the recipe, {kinds[0]}"] if full else []), rows)


def cross() -> str:
    """Ratios for coarse inputs that no model was trained on."""
    record = result("cross_source")
    out = ""
    for scale in SCALES:
        rows = [
            [kind, method, *(f"{by[b][m]:.3f}" for b in BASES for m in ("rmse", "mae", "nmad", "slope_rmse"))]
            for kind, part in record.get(scale, {}).items()
            for method, by in part["ratios"].items()
        ]
        if rows:
            heads = (f"{m} / {b}" for b in ("bicubic", "back-projected") for m in ("RMSE", "MAE", "NMAD", "slope"))
            out += table([f"×{scale[1]}, coarse input", "method", *heads], rows)
    return out


def each_file() -> str:
    """RMSE and slope RMSE of Ridgeline at ×4 beside the interpolations, file by file, and what its σ covers."""
    record = result("dem_accuracy")
    if "ridgeline" not in record.get("x4", {}).get("files", {}):
        return ""
    return by_file("ridgeline", record) + "\nMean over the files:\n\n" + coverage(record)


def evaluate_memory() -> str:
    """Peak of `terrafine evaluate`."""
    r = result("evaluate_memory")
    if not r:
        return ""
    return (
        f"A pair of {r['side']:,} × {r['side']:,} cells, report and page included: peak {r['peak_mb']:,.0f} MB "
        f"({r['limit_mb']:,} are allowed), {r['seconds']:.0f} s on {r['machine']['cores']} cores of "
        f"{r['machine']['cpu']}.\n"
    )


def half_pixel() -> str:
    """What a slip does to bicubic, beside what the paper prints."""
    record = result("jiao2020")
    if not record:
        return ""
    slips = {s: record[s]["half_pixel"] for s in SCALES}
    rows = [
        [f"PSNR of bicubic, {name}, dB", *(f"{slips[s][name]['psnr']:.2f}" for s in SCALES)] for name in slips["x4"]
    ]
    printed = record["paper_printed"]["psnr"]
    rows += [[f"*PSNR of {who} in the paper, dB*", *(f"*{v:.2f}*" for v in printed[who])] for who in ("bicubic", "drn")]
    rows.append(["RMSE of bicubic, in register, m", *(f"{slips[s]['in register']['rmse']:.2f}" for s in SCALES)])
    wrong = [slips[s]["corner for centre"] for s in SCALES]
    rows.append(["RMSE of bicubic, corner for centre, m", *(f"{r['rmse']:.2f}" for r in wrong)])
    rows.append(["its inflation", *(f"{r['inflation']:.1f}" for r in wrong)])
    taken = [f"{100 * r['back_projected_gain']:.0f} %" for r in wrong]
    rows.append(["RMSE taken back from it by back-projected bicubic, which learns nothing", *taken])
    gains = [
        f"*{100 * (1 - 10 ** ((b - d) / 20)):.0f} %*" for b, d in zip(printed["bicubic"], printed["drn"], strict=True)
    ]
    rows.append(["*RMSE taken back by the network in the paper, from its PSNR*", *gains])
    return table(["", "×2", "×3", "×4"], rows)


def paper_protocol() -> str:
    """The paper's Tables 1 to 3 on our area, and the same methods in register over the whole file."""
    record = result("jiao2020")
    out = ""
    for scale in SCALES if record else ():
        keys = ("psnr", "mae", "rmse", "min", "max", "sd", "valleys_f1", "ridges_f1")
        exact = record[scale]["registration_exact"]
        rows = []
        for name, row in record[scale]["paper_protocol"].items():
            cells = [f"{row[key]:.3f}" if key in row else "" for key in keys]
            cells += [f"{exact[name][key]:.3f}" if name in exact else "" for key in ("rmse", "slope_rmse")]
            rows.append([name, *cells])
        heads = ("PSNR, dB", "MAE, m", "RMSE, m", "min, m", "max, m", "SD, m", "valleys F1", "ridges F1")
        out += table([f"×{scale[1]}", *heads, "RMSE, whole file, m", "slope RMSE, °"], rows) + "\n"
    return out.removesuffix("\n")


SECTIONS: dict[str, Section] = {
    "jiao_half_pixel": half_pixel,
    "jiao_tables": paper_protocol,
    "accuracy": accuracy,
    "summary": summary,
    "speed": speed,
    "interpolation": interpolation,
    "each_file": each_file,
    "dem_peers": peers,
    "dem_peers_speed": peers_speed,
    "dem_peers_readings": readings,
    "ablation_ridgeline": ablation,
    "dem_learning": learning,
    "cross_source": cross,
    "evaluate_memory": evaluate_memory,
    **{m: card(m) for m in ("srcnn", "drn", "ridgeline")},
}
