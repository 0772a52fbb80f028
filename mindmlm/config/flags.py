"""The named command-line flags: which key each sets, and how to explain it.

One table serves the parser, the help text, the loader and the reference.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class NamedFlag:
    """A flag `--name VALUE` that stands for a key.

    `eval_key` replaces `key` when `run_mode` is eval.
    """

    name: str
    group: str
    key: str
    help: str
    example: str
    eval_key: str | None = None

    def target(self, run_mode: str) -> str:
        """Return the dotted key that the flag sets in `run_mode`."""
        return self.eval_key if run_mode == "eval" and self.eval_key else self.key


FLAGS: tuple[NamedFlag, ...] = (
    NamedFlag("run_mode", "what to do", "run_mode", "train, finetune, eval or predict", "train"),
    NamedFlag(
        "load_checkpoint",
        "what to do",
        "load_checkpoint",
        "the checkpoint to start from: an output folder, one step in it, latest, a folder or file "
        "of another library, or a name in $MINDMLM_HOME",
        "latest",
    ),
    NamedFlag(
        "output_dir",
        "what to do",
        "output_dir",
        "folder for everything that is written",
        "./output",
    ),
    NamedFlag(
        "dataset_dir",
        "data",
        "train_dataset.data_loader.dataset_dir",
        "text file or folder (with --run_mode eval: the text to judge on)",
        "news.txt",
        eval_key="eval_dataset.data_loader.dataset_dir",
    ),
    NamedFlag(
        "eval_dataset_dir",
        "data",
        "eval_dataset.data_loader.dataset_dir",
        "text for evaluation; without it, 5% of the documents are held out",
        "held-out.txt",
    ),
    NamedFlag(
        "predict_data",
        "data",
        "predict_data",
        "with --run_mode predict: a text with [MASK] in it, or a text file (one text a line)",
        '"今天天气很[MASK]"',
    ),
    NamedFlag(
        "vocab_file",
        "data",
        "processor.tokenizer.vocab_file",
        "a vocab.txt (BERT) or vocab.json (GPT-2), used unchanged; without it one is trained",
        "vocab.txt",
    ),
    NamedFlag(
        "merges_file",
        "data",
        "processor.tokenizer.merges_file",
        "the merges.txt of a GPT-2 vocabulary; without it the one beside --vocab_file",
        "merges.txt",
    ),
    NamedFlag(
        "num_samples",
        "data",
        "train_dataset.data_loader.num_samples",
        "read only so many lines or documents",
        "1000",
        eval_key="eval_dataset.data_loader.num_samples",
    ),
    NamedFlag("epochs", "length", "runner_config.epochs", "passes over the text", "3"),
    NamedFlag("max_steps", "length", "runner_config.max_steps", "updates; overrides epochs", "200"),
    NamedFlag(
        "batch_size",
        "length",
        "runner_config.batch_size",
        "samples of one rank and micro-batch",
        "16",
    ),
    NamedFlag(
        "save_checkpoint_steps",
        "length",
        "callbacks.CheckpointMonitor.save_checkpoint_steps",
        "steps between two checkpoints",
        "50",
    ),
    NamedFlag("seed", "length", "seed", "seed of everything random", "42"),
    NamedFlag("device_target", "device", "context.device_target", "auto, CPU or Ascend", "auto"),
    NamedFlag("device_id", "device", "context.device_id", "number of the card", "0"),
    NamedFlag("mode", "device", "context.mode", "0 graph (fast), 1 PyNative (for debugging)", "0"),
    NamedFlag(
        "use_parallel",
        "device",
        "use_parallel",
        "run on the processes that parallel_config asks for (started by msrun or the like)",
        "True",
    ),
    NamedFlag(
        "sink_mode",
        "device",
        "runner_config.sink_mode",
        "data sinking; True is refused with the reason",
        "False",
    ),
    NamedFlag(
        "profile", "device", "profile", "write profile.json: seconds per phase of a step", "True"
    ),
    NamedFlag(
        "data_parallel",
        "ModelArts",
        "parallel_config.data_parallel",
        "copies of the model, each with its own rows",
        "4",
    ),
    NamedFlag(
        "model_parallel",
        "ModelArts",
        "parallel_config.model_parallel",
        "slices of every large weight",
        "2",
    ),
    NamedFlag(
        "pipeline_parallel",
        "ModelArts",
        "parallel_config.pipeline_stage",
        "stages of consecutive layers",
        "4",
    ),
    NamedFlag(
        "micro_size",
        "ModelArts",
        "parallel_config.micro_batch_num",
        "micro-batches of a step",
        "24",
    ),
    NamedFlag(
        "recompute",
        "ModelArts",
        "recompute_config.recompute",
        "compute layers again in the backward pass: less memory, more time",
        "True",
    ),
    NamedFlag(
        "double_parallel",
        "ModelArts",
        "micro_batch_interleave_num",
        "2: two interleaved halves of a batch hide communication (parallel_mode 1); 1: off",
        "1",
    ),
    NamedFlag(
        "remote_save_url",
        "ModelArts",
        "remote_save_url",
        "where checkpoints, logs and metrics are uploaded as they appear; docs/modelarts.md",
        "obs://bucket/job-1",
    ),
)

FLAGS_BY_NAME = {flag.name: flag for flag in FLAGS}
