"""``python -m mindmlm mask-report``: what the masking of a configuration does to its text."""

import argparse
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mindmlm.build_data.masking import masking_settings, segmenter, strategies
from mindmlm.config import load_config
from mindmlm.config.checks import text_is_given
from mindmlm.config.schema import RunConfig
from mindmlm.data.batches import MaskableRows
from mindmlm.data.mask_report import MaskCounts, predicted_tokens
from mindmlm.data.masking import (
    MaskedBatch,
    MaskingSettings,
    TokenBatch,
    VocabularyInfo,
    mask_batch,
)
from mindmlm.data.prepare import PreparedCorpus, prepare_corpus
from mindmlm.data.sampler import GlobalOrder
from mindmlm.data.sentence_pairs.store import PairStore
from mindmlm.data.store import TokenStore
from mindmlm.errors import ConfigError
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.tokenizers.files import MaskingTokenizer, load_tokenizer_from

HELP = "show what the masking of a configuration does to its text"
DESCRIPTION = """\
Mask the first training samples of a configuration, exactly as training will, and count: the share
of tokens predicted (by length of word), how many became [MASK], changed or stayed, how many words
are predicted whole, and how many lines fell back to token masking; then show some samples.

examples:
  python -m mindmlm mask-report configs/bert/run_bert_mini_zh.yaml --dataset_dir news.txt
  python -m mindmlm mask-report my.yaml --options train_dataset.masking.strategy=span --preview 5
  python -m mindmlm mask-report my.yaml --samples 100000 --json

The text is prepared in output_dir, where a training run finds it again. In the preview, {a->b} is
a predicted token and what the model sees instead, {a} one that stays as it is; | stands between
words.
"""

_BATCH = 256
_MASKING_TRAINERS = ("MaskedLanguageModelingTrainer", "ReplacedTokenDetectionTrainer")
_MASK_COLOUR, _CHANGED_COLOUR, _KEPT_COLOUR = "\x1b[41m", "\x1b[43;30m", "\x1b[42;30m"
_PLAIN = "\x1b[0m"


@dataclass(frozen=True)
class _Job:
    """What is masked, and how."""

    config: RunConfig
    tokenizer: MaskingTokenizer
    corpus: PreparedCorpus
    store: TokenStore | PairStore
    settings: MaskingSettings
    step: int

    def batches(
        self, samples: int, vocabulary: VocabularyInfo
    ) -> Iterator[tuple[TokenBatch, MaskedBatch]]:
        """Yield (rows before, rows after) of the first samples of the run's order."""
        section = self.config.train_dataset
        seed = self.config.seed if section.seed is None else section.seed
        store = self.store
        order = GlobalOrder(store.num_samples, seed, section.data_loader.shuffle)
        settings = self.settings.at_step(self.step, section.max_seq_length)
        rows = MaskableRows(store, section.max_seq_length, vocabulary, seed)
        for begin in range(0, samples, _BATCH):
            ids, epochs = order.at(begin, min(_BATCH, samples - begin))
            tokens = rows.tokens(ids, epochs)
            yield tokens, mask_batch(tokens, settings, vocabulary, seed, epochs, ids)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("config", metavar="CONFIG", help="the YAML file of the run")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--samples", type=int, default=10_000, help="rows to count (10000)")
    parser.add_argument("--preview", type=int, default=3, help="rows to show (3)")
    parser.add_argument("--step", type=int, default=0, help="step of a mask-rate schedule (0)")
    parser.add_argument("--dataset_dir", help="the training text")
    parser.add_argument("--vocab_file", help="the vocabulary")
    parser.add_argument("--output_dir", help="where the prepared text is kept")
    parser.add_argument(
        "--options",
        nargs="+",
        default=[],
        metavar="KEY=VALUE",
        help="set keys of the configuration",
    )


def run(options: argparse.Namespace) -> int:
    """Print the report; returns 0.

    Raises:
        ConfigError, DataError: see their messages.
    """
    if options.samples < 1 or options.preview < 0 or options.step < 0:
        raise ConfigError("--samples must be at least 1, --preview and --step at least 0")
    job = _prepare(options)
    report = build_report(job, options.samples, options.preview)
    if options.json:
        print(json.dumps(report, ensure_ascii=False, indent=2))
    else:
        print(as_text(report, coloured=sys.stdout.isatty() and not os.environ.get("NO_COLOR")))
    return 0


def _prepare(options: argparse.Namespace) -> _Job:
    # MindSpore is imported by these two, some seconds that --help should not cost.
    from mindmlm.build import corpus_settings, total_steps
    from mindmlm.jobs import training_tokenizer

    flags = {name: getattr(options, name) for name in ("dataset_dir", "vocab_file", "output_dir")}
    loaded = load_config(options.config, options.options, flags=flags, require_inputs=False)
    config = loaded.config
    for problem in text_is_given(config.model_copy(update={"run_mode": "train"})):
        raise ConfigError(f"{problem.path}: {problem.message}")
    if config.trainer.type not in _MASKING_TRAINERS:
        raise ConfigError(f"{options.config}: trainer.type: {config.trainer.type} masks nothing")
    folder = RunFolder(Path(config.output_dir))
    section = config.processor.tokenizer
    with folder.locked():
        text = corpus_settings(config, folder.dataset_cache)
        if not section.vocab_file and folder.vocabulary.is_file():
            tokenizer = load_tokenizer_from(folder.root, section)
        else:
            tokenizer = training_tokenizer(config, folder, None, text)
        assert isinstance(tokenizer, MaskingTokenizer)
        corpus = prepare_corpus(text, tokenizer, folder.dataset_cache, progress=not options.json)
    if not isinstance(corpus.train, TokenStore | PairStore):
        raise ConfigError(
            "train_dataset.data_loader.type: the report masks text, and these records hold "
            "masks already; use a text (--options train_dataset.data_loader.type=TextDataLoader)"
        )
    steps = total_steps(config, corpus.train.num_samples)
    settings = masking_settings(config, tokenizer, corpus.train, steps)
    return _Job(config, tokenizer, corpus, corpus.train, settings, options.step)


def build_report(job: _Job, samples: int, preview: int) -> dict[str, Any]:
    """Return what was counted, in JSON's types."""
    vocabulary = VocabularyInfo.from_tokenizer(job.tokenizer)
    counts = MaskCounts()
    shown: list[dict[str, Any]] = []
    for tokens, batch in job.batches(min(samples, job.store.num_samples), vocabulary):
        terms = None
        if job.settings.terms is not None:
            terms, _ = job.settings.terms.find(tokens.input_ids, tokens.word_starts)
        counts.add(tokens, batch, vocabulary, terms)
        for row in range(min(preview - len(shown), len(tokens.lengths))):
            shown.append(_preview(row, tokens.word_starts, batch, job.tokenizer))
    report = job.corpus.reports["training text"]
    masking = job.config.train_dataset.masking
    return {
        "strategy": masking.strategy,
        "mask_token": job.tokenizer.mask_token,
        "strategies": strategies(job.config),
        "segmenter": segmenter(job.config),
        "masked_lm_prob": job.settings.at_step(job.step, 1).masked_lm_prob,
        "mask_prob": masking.mask_prob,
        "random_prob": masking.random_prob,
        "samples_in_text": job.store.num_samples,
        **counts.to_dict(),
        "segmented_lines": report.segmented_lines,
        "fallback_lines": report.fallback_lines,
        "preview": shown,
    }


def _preview(
    row: int, word_starts: np.ndarray, batch: MaskedBatch, tokenizer: MaskingTokenizer
) -> dict[str, Any]:
    """Return one row as a list of [token, what the model sees, predicted, begins a word]."""
    length = int(batch.input_mask[row].sum())
    before = batch.input_ids[row].copy()
    chosen = predicted_tokens(batch)[row]
    before[chosen] = batch.masked_lm_ids[row][batch.masked_lm_weights[row] > 0]
    token = tokenizer.token_text
    return {
        "sample_id": int(batch.sample_ids[row]),
        "tokens": [
            [
                token(int(before[column])),
                token(int(batch.input_ids[row, column])),
                bool(chosen[column]),
                bool(word_starts[row, column]),
            ]
            for column in range(length)
        ],
    }


def as_text(report: dict[str, Any], coloured: bool) -> str:
    """Return the report for people."""
    lines = [
        f"strategy {report['strategy']}, segmenter {report['segmenter']}, "
        f"masked_lm_prob {report['masked_lm_prob']:g}",
        f"{report['rows']:,} rows of {report['samples_in_text']:,}, {report['tokens']:,} tokens; "
        f"{report['predicted']:,} predicted: {_percent(report['rate'])} of all tokens, "
        f"{_percent(report['rate_of_ordinary_tokens'])} of the ordinary ones, "
        f"{_percent(report['predictions_filled'])} of the places for predictions",
        f"{report['mask_token']} {_percent(report['mask_share'])}   "
        f"changed {_percent(report['changed_share'])}   "
        f"unchanged {_percent(report['unchanged_share'])}",
        f"{_percent(report['whole_word_share'])} of the {report['words_predicted']:,} words that "
        "are touched are predicted whole",
        f"{report['rows_without_prediction']:,} rows predict nothing",
        f"{report['fallback_lines']:,} of {report['segmented_lines']:,} segmented lines fell back "
        "to token masking",
    ]
    if report["term_tokens"]:
        lines.append(
            f"{report['term_tokens']:,} tokens belong to terms; "
            f"{_percent(report['term_rate'])} of them are predicted"
        )
    lines += ["", "word length      words      whole    in part   rate of its tokens"]
    for row in report["by_word_length"]:
        length = f"{row['tokens']}{'+' if row['and_more'] else ''}"
        lines.append(
            f"{length:>11} {row['words']:>10,} {row['predicted_whole']:>10,} "
            f"{row['predicted_in_part']:>10,}   {_percent(row['rate']):>18}"
        )
    for sample in report["preview"]:
        text = _row_text(sample["tokens"], report["mask_token"], coloured)
        lines += ["", f"sample {sample['sample_id']}", text]
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f} %"


def _row_text(tokens: list[list[Any]], mask: str, coloured: bool) -> str:
    text = ""
    for before, after, chosen, begins in tokens:
        text += "|" if begins and text else ""
        shown = before.removeprefix("##") if not begins and len(before) > 2 else before
        if not chosen:
            text += shown
        elif coloured:
            colour = _CHANGED_COLOUR
            if after == mask:
                colour = _MASK_COLOUR
            elif after == before:
                colour = _KEPT_COLOUR
            text += f"{colour}{shown}{'' if after in (before, mask) else '>' + after}{_PLAIN}"
        else:
            text += f"{{{shown}}}" if after == before else f"{{{shown}->{after}}}"
    return text
