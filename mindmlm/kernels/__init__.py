"""Fused operators in C++ for training and generating on a CPU; compiled on the machine they run on.

Each has a plain twin of MindSpore's operators with the same result, which is used where there is no
compiler, no CPU target, or ``MINDMLM_KERNELS=0``.
"""

from mindmlm.kernels.operators import kernel, kernels_in_use

__all__ = ["kernel", "kernels_in_use"]
