"""From a configuration to the parts of the data layer; `mindmlm.build` puts the run together."""
