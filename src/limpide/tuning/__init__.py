"""Searching: which values of a recipe's knobs do best, found without letting luck win."""
