"""Measured ratios: limpide beside PyTorch, scikit-learn and polars, in one run on one machine."""
