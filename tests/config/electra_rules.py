"""Rules of ELECTRA, for test_checks.py."""

MODEL = "model.model_config."
ELECTRA = [
    f"{MODEL}type=ElectraConfig",
    "model.arch.type=ElectraForPreTraining",
    "trainer.type=ReplacedTokenDetectionTrainer",
]
PARALLEL = [*ELECTRA, "use_parallel=True"]
# Each is refused with the reason; data parallelism is the layout that is left.
DIVISIONS = {
    "parallel_config.model_parallel": ("2", "ELECTRA is not cut into slices"),
    "parallel_config.pipeline_stage": ("2", "ELECTRA is not cut into stages"),
    "parallel.parallel_mode": ("1", "has no graph for ELECTRA"),
    "recompute_config.recompute": ("True", "are not computed again"),
}

# As in test_checks.py: check -> (options refused, key named, part of the message, options allowed)
ELECTRA_RULES = {
    "electra_is_whole": (
        [*PARALLEL, "parallel_config.model_parallel=2"],
        "parallel_config.model_parallel",
        "ELECTRA is not cut into slices",
        [*PARALLEL, "parallel_config.data_parallel=2", "parallel_config.optimizer_shard=True"],
    ),
    "generator_has_heads": (
        [*ELECTRA, f"{MODEL}hidden_size=400", f"{MODEL}generator_hidden_size=0.5"],
        f"{MODEL}generator_hidden_size",
        "a generator of width 200, which its 3 attention heads",
        [*ELECTRA, f"{MODEL}hidden_size=384", f"{MODEL}generator_hidden_size=0.5"],
    ),
}
