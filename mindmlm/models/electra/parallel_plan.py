"""ELECTRA is not cut: each rank has all of it (`config/checks/electra.py` says why)."""

from mindmlm.models.plan import ParallelPlan

NOT_CUT = ParallelPlan(cut_axes={})
