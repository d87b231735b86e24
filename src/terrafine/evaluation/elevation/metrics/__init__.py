"""The metrics of elevation models, one module each; see `terrafine.evaluation.metrics`."""
