"""The flags of `tools/build_dataset.py` that stand for keys of the configuration.

The tool reads text, finds words and masks with the code of a training run, so its flags become a
`RunConfig`: they have the names of the keys, their values are checked by the same schema and
rules, and one description serves both.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from mindmlm.build_data.without_effect import keys_without_effect
from mindmlm.config.checks import check_consistency, check_inputs
from mindmlm.config.checks.data import macbert_has_words
from mindmlm.config.describe import keys
from mindmlm.config.nodes import Mapping as Section
from mindmlm.config.nodes import Node, Scalar, from_python, put, to_python
from mindmlm.config.overrides import parse_value
from mindmlm.config.problems import Problem, raise_problems, validation_problems
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError

_LOADER, _MASKING, _WORDS = "train_dataset.data_loader", "train_dataset.masking", "processor"
FILES, TABLE, VOCABULARY = "input", "input from a table", "words"
ROWS, MASKS = "rows", "masks (of --static)"


@dataclass(frozen=True)
class KeyFlag:
    """A flag ``--name VALUE`` that stands for a key.

    Attributes:
        name: of the flag.
        group: heading in the help.
        key: dotted path.
        default: the tool's own, as text; None = that of the key.
        help: None = the description of the key.
    """

    name: str
    group: str
    key: str
    default: str | None = None
    help: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether it takes several values."""
        key = keys().get(self.key)
        return key is not None and isinstance(key.default, list)

    @property
    def is_switch(self) -> bool:
        """Whether it is True or False."""
        key = keys().get(self.key)
        return key is not None and isinstance(key.default, bool)

    @property
    def sign(self) -> str:
        """What stands for the value in the help: the choices, where there are some."""
        key = keys().get(self.key)
        choices = key.choices if key else ()
        return f"{{{','.join(map(str, choices))}}}" if choices else "X"

    def explanation(self) -> str:
        """Return the text of the help, with the default."""
        key = keys().get(self.key)
        text = self.help or (key.description if key else "").removeprefix("SqlDataLoader: ")
        default = self.default or (key.default if key else None)
        shown = ",".join(default) if isinstance(default, list) else default
        return text if shown in (None, "") else f"{text} Default {shown}."


def _same_names(group: str, section: str, *names: str) -> tuple[KeyFlag, ...]:
    return tuple(KeyFlag(name, group, f"{section}.{name}") for name in names)


KEY_FLAGS: tuple[KeyFlag, ...] = (
    KeyFlag("input_format", FILES, f"{_LOADER}.file_format"),
    KeyFlag("text_format", FILES, f"{_LOADER}.text_format", "document"),
    *_same_names(FILES, _LOADER, "text_field", "csv_delimiter", "on_error", "max_line_bytes"),
    *_same_names(FILES, _LOADER, "num_samples", "cleaning", "join_lines_up_to"),
    *_same_names(FILES, _LOADER, "min_line_characters", "max_line_characters"),
    *_same_names(FILES, _LOADER, "endpoint_url", "credentials_file"),
    *_same_names(TABLE, _LOADER, "url", "query", "key_column", "parameters"),
    KeyFlag(
        "slicing",
        TABLE,
        f"{_LOADER}.slicing",
        help="How --part divides rows: `range` by intervals of the key, `modulo` by its remainder.",
    ),
    *_same_names(TABLE, _LOADER, "batch_rows"),
    KeyFlag("tokenizer", VOCABULARY, f"{_WORDS}.tokenizer.type"),
    KeyFlag(
        "vocab_file",
        VOCABULARY,
        f"{_WORDS}.tokenizer.vocab_file",
        help="vocab.txt of a BERT; vocab.json or tokenizer.json of a RoBERTa or a GPT-2.",
    ),
    *_same_names(VOCABULARY, f"{_WORDS}.tokenizer", "merges_file", "do_lower_case"),
    *_same_names(VOCABULARY, _WORDS, "segmenter", "user_dict", "hmm", "reference_file"),
    KeyFlag("strategy", MASKS, f"{_MASKING}.strategy", "token"),
    *_same_names(MASKS, _MASKING, "masked_lm_prob", "mask_prob", "random_prob", "unit"),
    KeyFlag(
        "mixture",
        MASKS,
        f"{_MASKING}.mixture",
        help="Weights for --strategy mixture: whole_word=2,span=1.",
    ),
    *_same_names(MASKS, _MASKING, "term_file", "term_weight"),
    KeyFlag("similar_words_file", MASKS, f"{_MASKING}.similar_words.file"),
    *_same_names(MASKS, f"{_MASKING}.similar_words", "antonym_file", "max_similar", "max_words"),
    KeyFlag(
        "max_predictions_per_seq",
        MASKS,
        "train_dataset.max_predictions_per_seq",
        "20",
        "Predicted positions of a row.",
    ),
    KeyFlag(
        "max_seq_length",
        ROWS,
        "train_dataset.max_seq_length",
        help="Tokens of a row, [CLS] and [SEP] included; a GPT-2's block holds one more.",
    ),
    KeyFlag(
        "sample_mode",
        ROWS,
        "train_dataset.sample_mode",
        "packed",
        "GPT-2: `packed` cuts one stream of all documents; `line` begins a row with each document.",
    ),
)
# The tool has no model, but the rules want the parts of one to go together.
_PARTS = {
    "GPT2Tokenizer": {
        "model.model_config.type": "GPT2Config",
        "model.arch.type": "GPT2LMHeadModel",
        "trainer.type": "CausalLanguageModelingTrainer",
    },
    "RobertaTokenizer": {
        "model.model_config.type": "RobertaConfig",
        "model.arch.type": "RobertaForMaskedLM",
    },
}
_BY_KEY = {flag.key: flag for flag in KEY_FLAGS}


def tool_config(given: Mapping[str, Sequence[str]], input_file: str) -> RunConfig:
    """Return the configuration that flags stand for.

    Args:
        given: the texts of each flag of `KEY_FLAGS` that was written.
        input_file: what ``--input_file`` says; "" = a table.

    Raises:
        ConfigError: a value is not allowed, or flags contradict each other; one line for each.
    """
    tree = Section("")
    for flag in KEY_FLAGS:
        texts = given.get(flag.name) or ([flag.default] if flag.default else None)
        if texts:
            put(tree, flag.key, _node(flag, texts))
    for key, value in _PARTS.get(given.get("tokenizer", [""])[-1], {}).items():
        put(tree, key, Scalar(value, ""))
    put(tree, f"{_LOADER}.type", Scalar("TextDataLoader" if input_file else "SqlDataLoader", ""))
    try:
        config = RunConfig.model_validate(to_python(tree))
    except ValidationError as error:
        raise_problems([_line(problem) for problem in validation_problems(error)])
    raise_problems(list(dict.fromkeys(map(_line, _problems(config, given, input_file)))))
    return config


def in_flags(message: str) -> str:
    """Return a message with flags in the place of keys."""
    for flag in sorted(KEY_FLAGS, key=lambda flag: -len(flag.key)):
        message = message.replace(flag.key, f"--{flag.name}")
    message = message.replace(f"{_LOADER}.dataset_dir", "--input_file")
    return message.replace("SqlDataLoader", "a table")


def _problems(
    config: RunConfig, given: Mapping[str, Sequence[str]], input_file: str
) -> Iterator[Problem]:
    """Yield what contradicts itself, and flags that were written and change nothing."""
    # The rules know a model as well; rows may be as long as they like here.
    settings = config.model.settings
    positions = config.train_dataset.max_seq_length + settings.first_position
    settings = settings.model_copy(update={"max_position_embeddings": positions})
    model = config.model.model_copy(update={"settings": settings})
    config = config.model_copy(update={"model": model})
    yield from check_consistency(config)
    yield from macbert_has_words(config)
    if not input_file:
        yield from check_inputs(config)
    loader = config.train_dataset.data_loader.model_copy(update={"dataset_dir": input_file})
    data = config.train_dataset.model_copy(update={"data_loader": loader})
    for problem in keys_without_effect(config.model_copy(update={"train_dataset": data})):
        flag = _flag_of(problem.path)
        if flag and flag.name in given:
            yield problem


def _flag_of(path: str) -> KeyFlag | None:
    return _BY_KEY.get(path) or _BY_KEY.get(path.rpartition(".")[0])


def _line(problem: Problem) -> str:
    flag = _flag_of(problem.path)
    place = f"--{flag.name}" if flag else in_flags(problem.path)
    return f"{place}: {in_flags(problem.message)}"


def _node(flag: KeyFlag, texts: Sequence[str]) -> Node:
    place = f"--{flag.name}"
    if flag.name == "mixture":
        return _mixture(texts[-1], place)
    if flag.is_list:
        # A parameter may hold a comma; names of fields and steps do not.
        items = texts if flag.name == "parameters" else ",".join(texts).split(",")
        return from_python([item for item in items if item], place)
    return parse_value(flag.key, texts[-1], place)


def _mixture(text: str, place: str) -> Node:
    section = Section(place)
    for part in text.split(","):
        name, equals, weight = part.partition("=")
        if not equals:
            raise ConfigError(f"{place}: expected NAME=WEIGHT,NAME=WEIGHT, got {text!r}")
        section.entries[name.strip()] = parse_value(f"{_MASKING}.mixture.{name}", weight, place)
    return section
