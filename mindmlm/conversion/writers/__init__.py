"""Writers: one a format; what they write appears whole or not at all."""
