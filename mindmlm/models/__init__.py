"""Models, written for one device."""
