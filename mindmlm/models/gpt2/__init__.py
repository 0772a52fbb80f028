"""GPT-2 (Radford et al. 2019) for one device; `parallel_plan` says how it may be cut."""
