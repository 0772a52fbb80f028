"""Keys of the network, the head, the task and the way of writing on."""

from typing import Any

from mindmlm.config.from_mindformers.changes import Conversion

_MODEL, _ARCH, _TRAINER = "model.model_config", "model.arch.type", "trainer.type"
_ALWAYS_32 = "weights, layer norms and softmax are always float32"
_HEADS = {
    "BertForPreTraining": "BertForMaskedLM",
    "BertForMaskedLM": "BertForMaskedLM",
    "BertModel": "BertForMaskedLM",
    "BertForQuestionAnswering": "BertForQuestionAnswering",
    "GPT2LMHeadModel": "GPT2LMHeadModel",
}
_TASKS = {
    "BertForMaskedLM": "MaskedLanguageModelingTrainer",
    "BertForQuestionAnswering": "QuestionAnsweringTrainer",
    "GPT2LMHeadModel": "CausalLanguageModelingTrainer",
}
_ACTIVATIONS = {"gelu": "gelu_tanh", "fast_gelu": "gelu_tanh", "relu": "relu"}
_DTYPES = {"fp16": "float16", "fp32": "float32", "bf16": "bfloat16"}
_DEAD = {
    "batch_size": "the batch comes from runner_config",
    "use_one_hot_embeddings": "an embedding is looked up",
    "num_labels": "the heads here have none",
    "is_training": "run_mode says it",
    "use_past": "text generation always keeps keys and values",
    "dtype": _ALWAYS_32,
    "param_init_type": _ALWAYS_32,
    "layernorm_dtype": _ALWAYS_32,
    "layernorm_compute_type": _ALWAYS_32,
    "softmax_dtype": _ALWAYS_32,
    "softmax_compute_type": _ALWAYS_32,
    "eos_token": "the tokenizer knows its <|endoftext|>",
    "eos_token_id": "the tokenizer knows its <|endoftext|>",
    "model_type": "type says it",
    "parallel_config": "belongs to the top level",
    "moe_config": "mixture of experts never reached a model of r0.3",
}
_BERT_LACKS = {
    "embedding_size": ("hidden_size", 768),
    "num_layers": ("num_hidden_layers", 12),
    "num_heads": ("num_attention_heads", 12),
    "expand_ratio": ("intermediate_size", 3072),
}
_SHARED = (
    "vocab_size",
    "hidden_dropout_prob",
    "attention_probs_dropout_prob",
    "initializer_range",
)
_GENERATION = ("do_sample", "top_k", "top_p", "repetition_penalty")


def model_rules(old: Conversion) -> None:
    """Network, head and task.

    Raises:
        ConfigError: it is a model that is not there.
    """
    _head(old)
    for name, why in _DEAD.items():
        old.drop(f"{_MODEL}.{name}", why)
    old.keep_each([f"{_MODEL}.{name}" for name in _SHARED])
    kind = "GPT2Config" if old.values[_ARCH] == "GPT2LMHeadModel" else "BertConfig"
    old.keep(f"{_MODEL}.type")
    old.add(f"{_MODEL}.type", kind, "goes with the head")
    _numerics(old)
    if kind == "GPT2Config":
        _gpt2(old)
    else:
        _bert(old)


def _head(old: Conversion) -> None:
    arch, task = old.value(_ARCH), old.value(_TRAINER)
    if arch is not None and arch not in _HEADS:
        raise old.refuse(_ARCH, f"{arch} is not there; known are {', '.join(_HEADS)}")
    if arch is None:
        found = [head for head, trainer in _TASKS.items() if trainer == task]
        if not found and task is not None:
            raise old.refuse(
                _TRAINER, f"{task} is not there; known are {', '.join(_TASKS.values())}"
            )
        old.add(_ARCH, found[0] if found else "BertForMaskedLM", "goes with the trainer")
    old.keep(
        _ARCH,
        why="masked words only, whatever pair labels there are; BertForPreTraining with "
        "train_dataset.sentence_pairs: nsp trains on them too",
        read=_HEADS.get,
    )
    wanted = _TASKS[old.values[_ARCH]]
    old.keep(_TRAINER, why="goes with the head", read=lambda value: wanted)
    old.add(_TRAINER, wanted, "goes with the head")
    old.keep("trainer.model_name")


def _numerics(old: Conversion) -> None:
    old.keep(
        f"{_MODEL}.hidden_act",
        why="MindSpore's gelu is the tanh form (fast_gelu a coarser one, not the same function)",
        read=lambda value: _activation(old, value),
    )
    old.add(f"{_MODEL}.hidden_act", "gelu_tanh", "MindFormers' gelu is the tanh form")
    old.keep(
        f"{_MODEL}.compute_dtype",
        why="written in full",
        read=lambda value: _DTYPES.get(value, value),
    )
    old.add(f"{_MODEL}.compute_dtype", "float16", "MindFormers' default; float32 is safer")
    old.add(f"{_MODEL}.layer_norm_eps", 1e-5, "fixed in MindFormers")


def _activation(old: Conversion, value: Any) -> str:
    if value not in _ACTIVATIONS:
        raise old.refuse(
            f"{_MODEL}.hidden_act",
            f"{value} is not there; known are {', '.join(_ACTIVATIONS)}",
        )
    return _ACTIVATIONS[value]


def _bert(old: Conversion) -> None:
    for name, (real, default) in _BERT_LACKS.items():
        if old.has(f"{_MODEL}.{real}"):
            why = f"r0.3's BertConfig does not have it; {real} is set"
        else:
            why = f"r0.3's BertConfig does not have it and used {real} {default}, as is written now"
        old.drop(f"{_MODEL}.{name}", why)
        old.keep(f"{_MODEL}.{real}")
        old.add(f"{_MODEL}.{real}", default, "MindFormers' default")
    if old.value(f"{_MODEL}.use_relative_positions"):
        raise old.refuse(f"{_MODEL}.use_relative_positions", "True is not there")
    old.drop(f"{_MODEL}.use_relative_positions", "positions are absolute")
    old.drop(f"{_MODEL}.dropout_prob", "read by classifiers only; hidden_dropout_prob is the one")
    old.keep_each([f"{_MODEL}.type_vocab_size", f"{_MODEL}.post_layernorm_residual"])
    _rows(old, 128)
    old.keep(f"{_MODEL}.max_position_embeddings")
    old.add(f"{_MODEL}.max_position_embeddings", 128, "MindFormers' default")
    old.add(f"{_MODEL}.vocab_size", 30522, "MindFormers' default")


def _gpt2(old: Conversion) -> None:
    width = old.value(f"{_MODEL}.embedding_size", old.value(f"{_MODEL}.hidden_size", 768))
    for name, real, default in (
        ("embedding_size", "hidden_size", 768),
        ("num_layers", "num_hidden_layers", 12),
        ("num_heads", "num_attention_heads", 12),
    ):
        old.keep(f"{_MODEL}.{name}", f"{_MODEL}.{real}")
        old.keep(f"{_MODEL}.{real}")
        old.add(f"{_MODEL}.{real}", default, "MindFormers' default")
    old.keep(
        f"{_MODEL}.expand_ratio",
        f"{_MODEL}.intermediate_size",
        "as a width instead of a ratio",
        lambda ratio: ratio * width,
    )
    old.keep(f"{_MODEL}.intermediate_size")
    old.keep(f"{_MODEL}.dropout_prob", f"{_MODEL}.embedding_dropout_prob")
    old.keep(f"{_MODEL}.embedding_dropout_prob")
    _rows(old, 1024)
    old.keep(f"{_MODEL}.max_position_embeddings")
    old.add(
        f"{_MODEL}.max_position_embeddings",
        old.values["train_dataset.max_seq_length"],
        "MindFormers has as many positions as seq_length",
    )
    old.add(f"{_MODEL}.vocab_size", 50257, "MindFormers' default")
    old.keep_each([f"generation.{name}" for name in _GENERATION])
    for name in _GENERATION:
        old.keep(f"{_MODEL}.{name}", f"generation.{name}", "how text goes on, not the network")
    for name in ("max_decode_length", "max_length"):
        old.drop(
            f"{_MODEL}.{name}",
            "counted the prompt too; set generation.max_new_tokens",
        )


def _rows(old: Conversion, default: int) -> None:
    rows = "train_dataset.max_seq_length"
    old.keep(f"{_MODEL}.seq_length", rows, "rows are made by the data set")
    old.add(rows, default, "MindFormers' default seq_length")
