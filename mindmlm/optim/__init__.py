"""Optimizers, learning-rate schedules, loss scaling."""
