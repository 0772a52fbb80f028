"""BERT (Devlin et al. 2018) for one device; `parallel_plan` says how it may be cut."""
