"""Write the checkpoints in `tf1_bert/` with TensorFlow itself. It was run once:

    python -m venv tf && tf/bin/pip install tensorflow-cpu
    tf/bin/python tests/conversion/write_tf1_fixture.py

A BERT with the variable names of google-research/bert, random weights, with and without the slots
of its AdamWeightDecayOptimizer. `logits.npz` holds what TensorFlow computes from them, by the
formulas of google-research/bert `modeling.py` and `run_pretraining.py` (with the exact GELU, which
transformers uses for these checkpoints).
"""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

FOLDER = Path(__file__).resolve().parent / "tf1_bert"
VOCAB, HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 61, 24, 2, 3, 40, 20
EPSILON = 1e-12


def variables() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(2018)
    values: dict[str, np.ndarray] = {}

    def normal(name: str, *shape: int) -> None:
        values[name] = rng.normal(0, 0.2, shape).astype(np.float32)

    def dense(name: str, inputs: int, outputs: int) -> None:
        normal(f"{name}/kernel", inputs, outputs)
        normal(f"{name}/bias", outputs)

    def norm(name: str) -> None:
        normal(f"{name}/beta", HIDDEN)
        values[f"{name}/gamma"] = 1 + rng.normal(0, 0.2, HIDDEN).astype(np.float32)

    normal("bert/embeddings/word_embeddings", VOCAB, HIDDEN)
    normal("bert/embeddings/token_type_embeddings", 2, HIDDEN)
    normal("bert/embeddings/position_embeddings", POSITIONS, HIDDEN)
    norm("bert/embeddings/LayerNorm")
    for number in range(LAYERS):
        layer = f"bert/encoder/layer_{number}"
        for part in ("query", "key", "value"):
            dense(f"{layer}/attention/self/{part}", HIDDEN, HIDDEN)
        dense(f"{layer}/attention/output/dense", HIDDEN, HIDDEN)
        norm(f"{layer}/attention/output/LayerNorm")
        dense(f"{layer}/intermediate/dense", HIDDEN, INNER)
        dense(f"{layer}/output/dense", INNER, HIDDEN)
        norm(f"{layer}/output/LayerNorm")
    dense("bert/pooler/dense", HIDDEN, HIDDEN)
    dense("cls/predictions/transform/dense", HIDDEN, HIDDEN)
    norm("cls/predictions/transform/LayerNorm")
    normal("cls/predictions/output_bias", VOCAB)
    normal("cls/seq_relationship/output_weights", 2, HIDDEN)
    normal("cls/seq_relationship/output_bias", 2)
    return values


def forward(values: dict, ids: np.ndarray, mask: np.ndarray, segments: np.ndarray) -> tf.Tensor:
    batch, length = ids.shape
    size = HIDDEN // HEADS

    def dense(x, name):
        return tf.matmul(x, values[f"{name}/kernel"]) + values[f"{name}/bias"]

    def norm(x, name):
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        scaled = (x - mean) * tf.math.rsqrt(variance + EPSILON)
        return scaled * values[f"{name}/gamma"] + values[f"{name}/beta"]

    def gelu(x):
        return x * 0.5 * (1.0 + tf.math.erf(x / np.sqrt(2.0).astype(np.float32)))

    def heads(x):
        return tf.transpose(tf.reshape(x, (batch, length, HEADS, size)), (0, 2, 1, 3))

    x = tf.gather(values["bert/embeddings/word_embeddings"], ids)
    x += tf.gather(values["bert/embeddings/token_type_embeddings"], segments)
    x += values["bert/embeddings/position_embeddings"][:length]
    x = norm(x, "bert/embeddings/LayerNorm")
    hidden_part = (1.0 - mask[:, None, None, :].astype(np.float32)) * -10000.0
    for number in range(LAYERS):
        layer = f"bert/encoder/layer_{number}"
        query, key, value = (
            heads(dense(x, f"{layer}/attention/self/{part}")) for part in ("query", "key", "value")
        )
        scores = tf.matmul(query, key, transpose_b=True) / np.sqrt(size).astype(np.float32)
        context = tf.matmul(tf.nn.softmax(scores + hidden_part), value)
        context = tf.reshape(tf.transpose(context, (0, 2, 1, 3)), (batch, length, HIDDEN))
        attended = dense(context, f"{layer}/attention/output/dense")
        x = norm(x + attended, f"{layer}/attention/output/LayerNorm")
        inner = dense(gelu(dense(x, f"{layer}/intermediate/dense")), f"{layer}/output/dense")
        x = norm(x + inner, f"{layer}/output/LayerNorm")
    x = norm(
        gelu(dense(x, "cls/predictions/transform/dense")), "cls/predictions/transform/LayerNorm"
    )
    word = values["bert/embeddings/word_embeddings"]
    return tf.matmul(x, word, transpose_b=True) + values["cls/predictions/output_bias"]


def save(prefix: Path, values: dict[str, np.ndarray]) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        stored = [tf.compat.v1.get_variable(name, initializer=v) for name, v in values.items()]
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(stored).save(session, str(prefix), write_meta_graph=False)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    values = variables()
    rng = np.random.default_rng(1)
    slots = {
        f"{name}/{slot}": rng.normal(0, 1e-3, value.shape).astype(np.float32)
        for name, value in values.items()
        for slot in ("adam_m", "adam_v")
    }
    save(FOLDER / "bert_model.ckpt", values)
    save(FOLDER / "with_slots.ckpt", {**values, **slots, "global_step": np.int64(1000)})
    (FOLDER / "checkpoint").unlink()
    settings = {
        "attention_probs_dropout_prob": 0.1,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": INNER,
        "max_position_embeddings": POSITIONS,
        "num_attention_heads": HEADS,
        "num_hidden_layers": LAYERS,
        "type_vocab_size": 2,
        "vocab_size": VOCAB,
    }
    (FOLDER / "bert_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{n}" for n in range(VOCAB - 5))]
    (FOLDER / "vocab.txt").write_text("\n".join(tokens) + "\n")
    ids = rng.integers(5, VOCAB, (3, 11)).astype(np.int32)
    mask = (np.arange(11) < np.array([[11], [7], [4]])).astype(np.int32)
    segments = (np.arange(11) >= np.array([[5], [11], [2]])).astype(np.int32)
    logits = forward(values, ids, mask, segments).numpy()
    np.savez(FOLDER / "logits.npz", ids=ids, mask=mask, segments=segments, logits=logits)


if __name__ == "__main__":
    main()
