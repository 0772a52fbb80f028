"""Helpers that tests, benchmarks and users share. Nothing in the product imports them."""
