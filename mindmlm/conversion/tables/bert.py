"""BERT with the masked-language-model head: Hugging Face, Google (TensorFlow 1), MindFormers."""

from mindmlm.conversion.tables.base import (
    AS_IT_IS,
    MS_DENSE,
    MS_DENSE_TRANSPOSED,
    MS_NORM,
    MS_TABLE,
    TF_DENSE,
    TF_NORM,
    TORCH,
    TORCH_TABLE,
    Entry,
    NameTable,
)

_NSP = "the next-sentence head, which the model here does not have"
_TASK_HEAD = "the head of another task, which the model here does not have"
_OPTIMIZER = "state of the optimizer that wrote it"
_LAYER, _HF_LAYER, _TF_LAYER = "bert.layers.{n}", "bert.encoder.layer.{n}", "bert/encoder/layer_{n}"
_MS_LAYER = "bert.bert_encoder.encoder.blocks.{n}"

# transformers/models/bert/modeling_bert.py
HUGGINGFACE = NameTable(
    library="huggingface",
    entries=(
        Entry("bert.embeddings.word", "bert.embeddings.word_embeddings", TORCH_TABLE),
        Entry("bert.embeddings.position", "bert.embeddings.position_embeddings", TORCH_TABLE),
        Entry("bert.embeddings.token_type", "bert.embeddings.token_type_embeddings", TORCH_TABLE),
        Entry("bert.embeddings.norm", "bert.embeddings.LayerNorm", TORCH),
        Entry(f"{_LAYER}.attention.query", f"{_HF_LAYER}.attention.self.query", TORCH),
        Entry(f"{_LAYER}.attention.key", f"{_HF_LAYER}.attention.self.key", TORCH),
        Entry(f"{_LAYER}.attention.value", f"{_HF_LAYER}.attention.self.value", TORCH),
        Entry(f"{_LAYER}.attention.output", f"{_HF_LAYER}.attention.output.dense", TORCH),
        Entry(f"{_LAYER}.attention_norm", f"{_HF_LAYER}.attention.output.LayerNorm", TORCH),
        Entry(f"{_LAYER}.intermediate", f"{_HF_LAYER}.intermediate.dense", TORCH),
        Entry(f"{_LAYER}.output", f"{_HF_LAYER}.output.dense", TORCH),
        Entry(f"{_LAYER}.output_norm", f"{_HF_LAYER}.output.LayerNorm", TORCH),
        Entry("bert.pooler", "bert.pooler.dense", TORCH),
        Entry("head.dense", "cls.predictions.transform.dense", TORCH),
        Entry("head.norm", "cls.predictions.transform.LayerNorm", TORCH),
        Entry("head.bias", "cls.predictions.bias", AS_IT_IS),
    ),
    prefix="bert.",
    without_prefix=("cls.", "qa_outputs.", "classifier."),
    # Files of pytorch-pretrained-bert (2018) and what was converted by it.
    spellings={"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"},
    tied={
        "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    left_out={
        "bert.embeddings.position_ids": "a constant (0, 1, 2, ...)",
        "bert.embeddings.token_type_ids": "a constant (zeros)",
        "cls.seq_relationship.*": _NSP,
        "qa_outputs.*": _TASK_HEAD,
        "classifier.*": _TASK_HEAD,
    },
)

# google-research/bert modeling.py and run_pretraining.py
TENSORFLOW = NameTable(
    library="tensorflow",
    entries=(
        Entry("bert.embeddings.word", "bert/embeddings/word_embeddings", AS_IT_IS),
        Entry("bert.embeddings.position", "bert/embeddings/position_embeddings", AS_IT_IS),
        Entry("bert.embeddings.token_type", "bert/embeddings/token_type_embeddings", AS_IT_IS),
        Entry("bert.embeddings.norm", "bert/embeddings/LayerNorm", TF_NORM),
        Entry(f"{_LAYER}.attention.query", f"{_TF_LAYER}/attention/self/query", TF_DENSE),
        Entry(f"{_LAYER}.attention.key", f"{_TF_LAYER}/attention/self/key", TF_DENSE),
        Entry(f"{_LAYER}.attention.value", f"{_TF_LAYER}/attention/self/value", TF_DENSE),
        Entry(f"{_LAYER}.attention.output", f"{_TF_LAYER}/attention/output/dense", TF_DENSE),
        Entry(f"{_LAYER}.attention_norm", f"{_TF_LAYER}/attention/output/LayerNorm", TF_NORM),
        Entry(f"{_LAYER}.intermediate", f"{_TF_LAYER}/intermediate/dense", TF_DENSE),
        Entry(f"{_LAYER}.output", f"{_TF_LAYER}/output/dense", TF_DENSE),
        Entry(f"{_LAYER}.output_norm", f"{_TF_LAYER}/output/LayerNorm", TF_NORM),
        Entry("bert.pooler", "bert/pooler/dense", TF_DENSE),
        Entry("head.dense", "cls/predictions/transform/dense", TF_DENSE),
        Entry("head.norm", "cls/predictions/transform/LayerNorm", TF_NORM),
        Entry("head.bias", "cls/predictions/output_bias", AS_IT_IS),
    ),
    left_out={
        "cls/seq_relationship/*": _NSP,
        "*/adam_m": _OPTIMIZER,
        "*/adam_v": _OPTIMIZER,
        "*/Adam": _OPTIMIZER,
        "*/Adam_1": _OPTIMIZER,
        "*/lamb_m": _OPTIMIZER,
        "*/lamb_v": _OPTIMIZER,
        "global_step": _OPTIMIZER,
        "beta1_power": _OPTIMIZER,
        "beta2_power": _OPTIMIZER,
        "good_steps": _OPTIMIZER,
        "loss_scale": _OPTIMIZER,
        "bad_steps": _OPTIMIZER,
        "output_weights": _TASK_HEAD,
        "output_bias": _TASK_HEAD,
        "cls/squad/*": _TASK_HEAD,
    },
)

# mindformers r0.3 models/bert/bert.py and models/bert/convert_weight.py, whose files carry the
# prefix bert. before the head too. Its projections and feed-forward are [inputs, outputs].
MINDFORMERS = NameTable(
    library="mindformers",
    entries=(
        Entry("bert.embeddings.word", "bert.word_embedding", MS_TABLE),
        Entry(
            "bert.embeddings.position",
            "bert.embedding_postprocessor.full_position_embedding",
            MS_TABLE,
        ),
        Entry(
            "bert.embeddings.token_type",
            "bert.embedding_postprocessor.token_type_embedding",
            MS_TABLE,
        ),
        Entry("bert.embeddings.norm", "bert.embedding_postprocessor.layernorm", MS_NORM),
        Entry(f"{_LAYER}.attention.query", f"{_MS_LAYER}.attention.dense1", MS_DENSE),
        Entry(f"{_LAYER}.attention.key", f"{_MS_LAYER}.attention.dense2", MS_DENSE),
        Entry(f"{_LAYER}.attention.value", f"{_MS_LAYER}.attention.dense3", MS_DENSE),
        Entry(
            f"{_LAYER}.attention.output", f"{_MS_LAYER}.attention.projection", MS_DENSE_TRANSPOSED
        ),
        Entry(f"{_LAYER}.attention_norm", f"{_MS_LAYER}.layernorm2", MS_NORM),
        Entry(f"{_LAYER}.intermediate", f"{_MS_LAYER}.output.mapping", MS_DENSE_TRANSPOSED),
        Entry(f"{_LAYER}.output", f"{_MS_LAYER}.output.projection", MS_DENSE_TRANSPOSED),
        Entry(f"{_LAYER}.output_norm", f"{_MS_LAYER}.layernorm1", MS_NORM),
        Entry("bert.pooler", "bert.dense", MS_DENSE),
        Entry("head.dense", "mlmloss.dense", MS_DENSE),
        Entry("head.norm", "mlmloss.layernorm", MS_NORM),
        Entry("head.bias", "mlmloss.output_bias", AS_IT_IS),
    ),
    spellings={
        f"bert.mlmloss.{name}": f"mlmloss.{name}"
        for name in (
            "dense.weight", "dense.bias", "layernorm.gamma", "layernorm.beta", "vocab_dense.weight",
            "output_bias",
        )
    },
    tied={"mlmloss.vocab_dense.weight": "bert.word_embedding.embedding_table"},
    left_out={
        "nsploss.*": _NSP,
        "bert.nsploss.*": _NSP,
        "qa_outputs.*": _TASK_HEAD,
        "classifier.*": _TASK_HEAD,
        "adam_m.*": _OPTIMIZER,
        "adam_v.*": _OPTIMIZER,
        "beta1_power": _OPTIMIZER,
        "beta2_power": _OPTIMIZER,
        "global_step": _OPTIMIZER,
        "learning_rate": _OPTIMIZER,
        "scale_sense": _OPTIMIZER,
        "current_iterator_step": _OPTIMIZER,
        "last_overflow_iterator_step": _OPTIMIZER,
        "epoch_num": _OPTIMIZER,
        "step_num": _OPTIMIZER,
    },
)  # fmt: skip
