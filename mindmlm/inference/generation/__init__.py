"""Going on from a prompt: what is decided about tokens, without a device. Pure numpy."""
