"""Engines run a network: each forwards, differentiates, traces and trains."""
