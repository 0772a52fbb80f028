"""A small BERT in many parallel layouts: the options of each, for proofs that they agree.

Every layout trains on the same 24 rows a step. No number of ranks divides the vocabulary (71), so
its cuts are uneven; 3 ranks divide 96 and 33, but not 64, so ZeRO-1 leaves much whole there.
"""

from typing import Any

GLOBAL_BATCH = 24
STEPS = 20
MODEL = (
    "model.model_config.num_hidden_layers=4",
    "model.model_config.hidden_size=64",
    "model.model_config.num_attention_heads=4",
    "model.model_config.intermediate_size=96",
    "model.model_config.vocab_size=71",
    "model.model_config.max_position_embeddings=33",
    "model.model_config.hidden_dropout_prob=0.1",
    "model.model_config.attention_probs_dropout_prob=0.1",
    "train_dataset.max_seq_length=32",
    f"runner_config.max_steps={STEPS}",
    "context.device_target=CPU",
)


def options(
    dp: int = 1,
    tp: int = 1,
    pp: int = 1,
    micro: int = 1,
    zero: bool = False,
    vocabulary: bool = False,
    recompute: bool = False,
    clip: bool = True,
) -> tuple[str, ...]:
    """Options of a configuration for a layout.

    Args:
        dp, tp, pp: degrees of data, model and pipeline parallelism.
        micro: micro-batches of a step.
        zero: divide the optimizer state.
        vocabulary: cut the word embedding by rows.
        recompute: run layers again in the backward pass.
        clip: clip the gradient's norm to 1.
    """
    values: dict[str, Any] = {
        "use_parallel": dp * tp * pp > 1,
        "runner_config.batch_size": GLOBAL_BATCH // (dp * micro),
        "parallel_config.data_parallel": dp,
        "parallel_config.model_parallel": tp,
        "parallel_config.pipeline_stage": pp,
        "parallel_config.micro_batch_num": micro,
        "parallel_config.optimizer_shard": zero,
        "parallel_config.vocab_emb_dp": not vocabulary,
        "recompute_config.recompute": recompute,
        "runner_wrapper.max_grad_norm": 1.0 if clip else "null",
    }
    return (*MODEL, *(f"{key}={value}" for key, value in values.items()))


LAYOUTS = {
    "one": options(),
    "one_in_four": options(micro=4),
    "one_recompute": options(recompute=True),
    "dp2": options(dp=2),
    "dp2_zero": options(dp=2, zero=True),
    "dp2_unclipped": options(dp=2, clip=False),
    "dp2_zero_unclipped": options(dp=2, zero=True, clip=False),
    "tp2": options(tp=2),
    "tp2_vocabulary": options(tp=2, vocabulary=True),
    "pp2": options(pp=2, micro=4),
    "pp2_recompute": options(pp=2, micro=4, recompute=True),
    "dp3": options(dp=3),
    "dp3_zero": options(dp=3, zero=True),
    "pp3": options(pp=3, micro=4),
    "dp4": options(dp=4),
    "dp4_zero": options(dp=4, zero=True),
    "tp4": options(tp=4),
    "tp4_vocabulary": options(tp=4, vocabulary=True),
    "pp4": options(pp=4, micro=4),
    "dp2_tp2": options(dp=2, tp=2),
    "dp2_tp2_zero_vocabulary": options(dp=2, tp=2, zero=True, vocabulary=True),
    "dp2_pp2": options(dp=2, pp=2, micro=4),
    "dp2_pp2_zero": options(dp=2, pp=2, micro=2, zero=True),
    "tp2_pp2": options(tp=2, pp=2, micro=2),
    "tp2_pp2_vocabulary": options(tp=2, pp=2, micro=4, vocabulary=True),
}
