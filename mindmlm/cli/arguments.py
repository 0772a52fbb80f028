"""The command line of `run_mindformer.py`, parsed and explained; nothing is run here."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mindmlm.config.describe import keys
from mindmlm.config.flags import FLAGS, FLAGS_BY_NAME
from mindmlm.config.problems import nearest
from mindmlm.errors import ConfigError

_SWITCHES = {
    "print_config": "print every value with the place it came from, and stop",
    "dry_run": "check all that can be checked without a device, and stop",
}
# Flags of ModelArts' console that stand for no key: name -> (value shown in the help, help).
CONSOLE = {
    "dataset": (
        "FOLDER",
        "folder or address of the data, which the platform or mindmlm brings here",
    ),
    "dataset_id": ("NAME", "the file or folder in it, e.g. wiki.mindrecord (with its .db)"),
    "data_url": ("FOLDER", "the same as --dataset"),
    "train_url": ("FOLDER", "the same as --remote_save_url"),
}
_OWN_FLAGS = ("config", "options", "help", *_SWITCHES, *CONSOLE)
_HELP_WORDS = ("-h", "--help")

_EXAMPLES = """\
examples:
  train a small Chinese BERT on your own text, a vocabulary included
    python run_mindformer.py --config configs/bert/run_bert_mini_zh.yaml \\
        --dataset_dir news.txt --output_dir ./output
  go on where it stopped
    ... --load_checkpoint latest
  fill in blanks (JSON on standard output)
    ... --run_mode predict --load_checkpoint latest --predict_data "今天天气很[MASK]"
  change any key, and see what came of it
    ... --options lr_schedule.learning_rate=1e-4 train_dataset.masking.strategy=token \\
        --model.model_config.num_hidden_layers 6 --print_config

Order of precedence: YAML < --options and --section.key < the flags above.
Every key is explained in docs/configuration.md.
"""


@dataclass(frozen=True)
class Arguments:
    """What the command line said; values are still text.

    `config_path`: the YAML file. `options`: KEY=VALUE texts. `dotted`: key path to text, from
    `--a.b.c VALUE`. `flags`: flag name to text, only those given. `console`: the same of `CONSOLE`.
    """

    config_path: Path
    options: tuple[str, ...] = ()
    dotted: dict[str, str] = field(default_factory=dict)
    flags: dict[str, object] = field(default_factory=dict)
    print_config: bool = False
    dry_run: bool = False
    console: dict[str, str] = field(default_factory=dict)

    def words(self) -> list[str]:
        """The words that these were parsed from, or would have been."""
        pairs = {**self.dotted, **self.flags, **self.console}
        switches = {"print_config": self.print_config, "dry_run": self.dry_run}
        return [
            f"--config={self.config_path}",
            *(f"--options={option}" for option in self.options),
            *(f"--{name}={value}" for name, value in pairs.items()),
            *(f"--{name}" for name, given in switches.items() if given),
        ]


def parse_arguments(argv: Sequence[str]) -> Arguments:
    """Parse the words after the program's name.

    A flag takes `--name VALUE` or `--name=VALUE`; given twice, the last one counts. `--options`
    takes every word up to the next flag. `--help` prints the help and raises SystemExit(0). Raises
    ConfigError (exit code 2) for a word or flag that is not known, naming the nearest, and for a
    missing value.
    """
    if any(word in _HELP_WORDS for word in argv):
        print(help_text())
        raise SystemExit(0)
    parser = _Parser(argv)
    parser.run()
    if parser.config is None:
        raise ConfigError(
            "--config is missing: name a YAML file, for example "
            "--config configs/bert/run_bert_tiny_zh.yaml (--help shows more)"
        )
    return Arguments(
        Path(parser.config),
        tuple(parser.options),
        parser.dotted,
        parser.flags,
        **parser.switches,
        console=parser.console,
    )


def help_text() -> str:
    """Return the help: flags by group, then examples."""
    lines = [
        "usage: python run_mindformer.py --config FILE [flags]",
        "",
        "the configuration:",
        _help_line("--config FILE", "the YAML file; required"),
        _help_line("--options KEY=VALUE ...", "set keys, for example runner_config.epochs=3"),
        _help_line("--SECTION.KEY VALUE", "set one key, for example --runner_config.epochs 3"),
        *(_help_line(f"--{name}", text) for name, text in _SWITCHES.items()),
        _help_line("--help", "print this"),
    ]
    group = ""
    for flag in FLAGS:
        if flag.group != group:
            group = flag.group
            lines += ["", f"{group}:"]
        lines.append(_help_line(f"--{flag.name} {flag.example}", flag.help))
    lines += [_help_line(f"--{name} {value}", text) for name, (value, text) in CONSOLE.items()]
    return "\n".join([*lines, "", _EXAMPLES])


def _help_line(left: str, right: str) -> str:
    return f"  {left:<36} {right}"


class _Parser:
    """Walks over the words once."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = list(words)
        self.position = 0
        self.config: str | None = None
        self.options: list[str] = []
        self.dotted: dict[str, str] = {}
        self.flags: dict[str, object] = {}
        self.switches: dict[str, bool] = {}
        self.console: dict[str, str] = {}

    def run(self) -> None:
        while self.position < len(self.words):
            word = self.words[self.position]
            self.position += 1
            if not word.startswith("--") or word == "--":
                raise ConfigError(f"{word}: unexpected word{_meant_flag(word)}")
            name, equals, value = word[2:].partition("=")
            self.take(name, value if equals else None)

    def take(self, name: str, value: str | None) -> None:
        """Store one flag; `value` is None unless it was written as `--name=value`."""
        if name in _SWITCHES:
            if value is not None:
                raise ConfigError(f"--{name}: takes no value, got {value!r}")
            self.switches[name] = True
        elif name == "options":
            self.take_options(value)
        elif name == "config":
            self.config = self.value_of(name, value)
        elif name in FLAGS_BY_NAME:
            self.flags[name] = self.value_of(name, value)
        elif name in CONSOLE:
            self.console[name] = self.value_of(name, value)
        elif "." in name and all(name.split(".")):
            self.dotted[name] = self.value_of(name, value)
        else:
            raise ConfigError(f"--{name}: unknown flag{_meant_flag(name)} (--help lists all)")

    def take_options(self, value: str | None) -> None:
        taken = [value] if value is not None else []
        while self.position < len(self.words) and not self.words[self.position].startswith("--"):
            taken.append(self.words[self.position])
            self.position += 1
        if not taken:
            raise ConfigError("--options: expected KEY=VALUE, for example runner_config.epochs=3")
        self.options += taken

    def value_of(self, name: str, value: str | None) -> str:
        if value is not None:
            return value
        if self.position == len(self.words) or self.words[self.position].startswith("--"):
            raise ConfigError(
                f"--{name}: the value is missing (write --{name}=VALUE when it begins with --)"
            )
        self.position += 1
        return self.words[self.position - 1]


def _meant_flag(word: str) -> str:
    """Guess the flag behind a word that is not one."""
    if word in ("train", "finetune", "eval", "predict"):
        return f"; did you mean --run_mode {word}?"
    if word.endswith((".yaml", ".yml")):
        return f"; did you mean --config {word}?"
    name = word.lstrip("-").partition("=")[0]
    nested = [path for path in keys() if path.endswith("." + name)]
    return nearest("--" + name, [f"--{known}" for known in (*FLAGS_BY_NAME, *_OWN_FLAGS)]) or (
        f"; did you mean --{nested[0]}?" if nested else ""
    )
