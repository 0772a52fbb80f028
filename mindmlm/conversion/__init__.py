"""Checkpoints of other libraries: reading them, writing them, and starting from them."""
