"""Several processes that train one model: layout, cuts, collectives, pipeline, ZeRO-1."""
