"""Accelerators, as a planner sees them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """A card and its connections.

    Args:
        tflops: 10**12 float operations a second of matrix products in the model's `compute_dtype`.
        efficiency: share of it that training reaches.
        bandwidth: 10**9 bytes a second that a card sends to another one of its machine.
        network: ... to one of another machine.
        per_machine: cards of a machine.
    """

    tflops: float
    efficiency: float = 0.4
    bandwidth: float = 30.0
    network: float = 12.5
    per_machine: int = 8

    @property
    def speed(self) -> float:
        """Float operations a second."""
        return self.tflops * 1e12 * self.efficiency


# What the makers' data sheets say of 16-bit matrix products and links; nothing here was measured.
DEVICES = {
    "ascend910": Device(tflops=256.0),
    "ascend910b": Device(tflops=376.0, bandwidth=56.0, network=25.0),
    "cpu": Device(tflops=0.05, efficiency=0.5, bandwidth=0.25, network=0.1),
}
