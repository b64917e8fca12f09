"""The mathematics of networks: forward and hand-written backward, side by side."""
