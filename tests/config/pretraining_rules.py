"""Rules of sentence pairs, MacBERT and LAMB, for test_checks.py."""

DATA = "train_dataset."
HEAD = "model.arch.type=BertForPreTraining"
PAIRS = [HEAD, f"{DATA}sentence_pairs=sop"]
SEMI_AUTO = ["use_parallel=True", "parallel.parallel_mode=1"]
HYBRID = ["use_parallel=True", "parallel.parallel_mode=3"]
TEXT = [f"{DATA}data_loader.dataset_dir=here.txt"]
MACBERT = f"{DATA}masking.strategy=macbert"
WORDS = f"{DATA}masking.similar_words.file=here.txt"

# As in test_checks.py: check -> (options refused, key named, part of the message, options allowed)
PRETRAINING_RULES = {
    "pairs_have_a_head": (
        [f"{DATA}sentence_pairs=nsp"],
        f"{DATA}sentence_pairs",
        "nsp needs model.arch.type: BertForPreTraining, and that is BertForMaskedLM",
        [HEAD, f"{DATA}sentence_pairs=nsp"],
    ),
    "pairs_have_rows": (
        [*PAIRS, f"{DATA}max_seq_length=64", f"{DATA}max_predictions_per_seq=62"],
        f"{DATA}max_predictions_per_seq",
        "at most 61 (three tokens are special)",
        [*PAIRS, f"{DATA}max_seq_length=64", f"{DATA}max_predictions_per_seq=61"],
    ),
    "pairs_have_an_engine": (
        [*PAIRS, *SEMI_AUTO],
        "parallel.parallel_mode",
        "has no graph for sentence pairs",
        [*PAIRS, *HYBRID],
    ),
    "macbert_has_words": (
        [*TEXT, MACBERT],
        f"{DATA}masking.similar_words.file",
        "needs a file of word vectors or of synonyms",
        [*TEXT, MACBERT, WORDS],
    ),
    "macbert_replaces_words": (
        [MACBERT, WORDS, f"{DATA}masking.unit=piece"],
        f"{DATA}masking.unit",
        "replaces whole words",
        [MACBERT, WORDS, f"{DATA}masking.unit=word"],
    ),
    "optimizer_state_is_there": (
        [*TEXT, "optimizer.keep_state=True"],
        "optimizer.keep_state",
        "begins with the moments of another run",
        [*TEXT, "optimizer.keep_state=True", "load_checkpoint=here.txt", "run_mode=finetune"],
    ),
    "optimizer_has_an_engine": (
        ["optimizer.type=lamb", *SEMI_AUTO],
        "parallel.parallel_mode",
        "has no lamb; use 3",
        ["optimizer.type=lamb", *HYBRID],
    ),
}
# Options that one rule refuses besides, each with the key that it names.
ALSO_REFUSED = [
    ([HEAD], "model.arch.type", "learns from sentence pairs"),
    ([*PAIRS, f"{DATA}max_seq_length=4", f"{DATA}masking.masked_lm_prob=0.2"],
     f"{DATA}max_seq_length", "at least 5"),
    ([*PAIRS, f"{DATA}sample_mode=packed"], f"{DATA}sample_mode", "are no sentence pairs"),
    ([*PAIRS, f"{DATA}bucket_lengths=[32]"], f"{DATA}bucket_lengths", "nothing to gain"),
]  # fmt: skip
