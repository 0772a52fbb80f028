"""`Trainer`: train, fine-tune, evaluate and predict from Python."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mindmlm.checkpoint import resolve_checkpoint
from mindmlm.checkpoint.naming import LATEST_NAME, step_name
from mindmlm.config import LoadedConfig, RunConfig, render
from mindmlm.config.named_runs import task_name
from mindmlm.config.python_settings import Setting
from mindmlm.errors import CheckpointError
from mindmlm.runtime.environment import prepare_environment
from mindmlm.runtime.files import write_text_atomic
from mindmlm.runtime.run_folder import RunFolder
from mindmlm.trainer.inputs import (
    EVALUATION,
    TOKENIZER,
    TRAIN,
    answer_settings,
    checkpoint_settings,
    dataset_settings,
    given_folder,
    is_network,
    network_settings,
    task_of_network,
    tokenizer_settings,
)
from mindmlm.trainer.settings import GENERAL, Arguments, Settings
from mindmlm.trainer.stop import LaunchedStop, Stop, stop_for_this_process

if TYPE_CHECKING:
    from mindspore import nn

    from mindmlm.jobs import Batches, Given
    from mindmlm.trainer.outcome import TrainOutput
    from mindmlm.training.loop import Callback


class Trainer:
    """A run by its settings, and the calls that do something with it.

        trainer = Trainer(task="fill_mask", model="bert_tiny_zh", train_dataset="news.txt")
        trainer.train()
        trainer.evaluate()
        trainer.predict(input_data="今天天气很[MASK]")

    Each call loads the same settings anew, as the command line would, so none changes what another
    one does. Settings, lowest first: the file that `args` or the name of the model means, `args`,
    the other arguments, the `set_...` methods.

    Args:
        args: the path of a YAML file, a dict of sections and keys as in YAML, `TrainingArguments`,
            or a `RunConfig`.
        task: fill_mask, replaced_tokens, text_generation or question_answering; general = what
            `args` or the model's name says.
        model: the name of a shipped configuration (`bert_tiny_zh` is configs/bert/
            run_bert_tiny_zh.yaml), the description of a network (a `BertModelConfig`,
            `RobertaModelConfig`, `GPT2ModelConfig`, `ModelConfig` or dict), or a network, which is
            trained in place.
        train_dataset: a path as `train_dataset.data_loader.dataset_dir` is written; or texts (for
            question answering mappings with question, context and answers), any iterable: it is
            read once, as a stream, into a file below `output_dir`.
        eval_dataset: the same, to judge on.
        tokenizer: a vocabulary's path or folder, or a `BertTokenizer`, `GPT2Tokenizer`
            or `RobertaTokenizer`.
        optimizers: (parameters) -> an `AdamW` or one of a class derived from it.
        callbacks: objects of classes derived from `mindmlm.training.loop.Callback`.
        compute_metrics: (`EvaluationResult`) -> further measures by name.

    Raises:
        ConfigError: an argument is of no use; the values of keys are checked by the calls.
    """

    def __init__(
        self,
        args: Arguments | None = None,
        task: str = GENERAL,
        model: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        tokenizer: Any = None,
        optimizers: Callable[..., Any] | None = None,
        callbacks: "Sequence[Callback]" = (),
        compute_metrics: Callable[[Any], Mapping[str, float]] | None = None,
    ) -> None:
        self._network = model if is_network(model) else None
        if self._network is None:
            self._settings = Settings(args, task, model)
        else:
            if task == GENERAL and not isinstance(args, str | Path | RunConfig):
                task = task_of_network(model)
            described = network_settings(model, "Trainer(model)")
            self._settings = Settings(args, task, None).with_settings(described)
        data = {TOKENIZER: tokenizer, TRAIN: train_dataset, EVALUATION: eval_dataset}
        self._data = {name: value for name, value in data.items() if value is not None}
        self._optimizers, self._callbacks = optimizers, tuple(callbacks)
        self._compute_metrics = compute_metrics
        self._stop: Stop | LaunchedStop | None = None
        self._has_trained = False

    @property
    def config(self) -> RunConfig:
        """The configuration as it is now, for training."""
        return self._load("train", require_inputs=False).config

    def train(
        self,
        resume_or_finetune_from_checkpoint: bool | str | Path | None = None,
        do_finetune: bool = False,
    ) -> "TrainOutput":
        """Train to the end.

        Ctrl-C ends it after a step, with a checkpoint, and raises KeyboardInterrupt.

        Args:
            resume_or_finetune_from_checkpoint: True = go on with the last checkpoint in
                `output_dir`; text = as `load_checkpoint`; False = from the first values; None = as
                the settings say.
            do_finetune: take the weights of the checkpoint only, and begin at step 0.

        Raises:
            ConfigError, DataError, CheckpointError: see their messages.
        """
        jobs = _jobs()
        from mindmlm.trainer.outcome import Watch

        source = resume_or_finetune_from_checkpoint
        as_configured = source is None and self._configured().run_mode == "finetune"
        mode = "finetune" if do_finetune or as_configured else "train"
        loaded = self._load(mode, _checkpoint("train", source))
        watch = Watch(self._compute_metrics)
        given = self._given(compute_metrics=watch.measure, callbacks=(watch, *self._callbacks))
        with stop_for_this_process() as stop:
            self._stop = stop
            try:
                interrupted = jobs.train(loaded, stop, given)
            finally:
                self._stop = None
        stop.raise_if_interrupted()
        self._has_trained = True
        folder = RunFolder(Path(loaded.config.output_dir)).checkpoints / step_name(watch.step)
        return watch.output(folder if folder.is_dir() else None, interrupted)

    def finetune(self, finetune_from_checkpoint: bool | str | Path | None = None) -> "TrainOutput":
        """Train from the weights of a checkpoint: `train` with `do_finetune=True`."""
        return self.train(finetune_from_checkpoint, do_finetune=True)

    def evaluate(self, eval_checkpoint: bool | str | Path | None = None) -> dict[str, float]:
        """Evaluate a checkpoint on the evaluation data.

        Args:
            eval_checkpoint: True = the last one in `output_dir`; text = as `load_checkpoint`; None
                or False = the given network, else what this object has trained, else the
                checkpoint of the settings, else the last one.

        Returns:
            `step`, and the measures with `eval_` in front of their names.

        Raises:
            ConfigError, DataError, CheckpointError: see their messages.
        """
        loaded = self._load("eval", self._chosen("evaluate", eval_checkpoint))
        return _jobs().evaluate(loaded, self._given())

    def predict(
        self,
        predict_checkpoint: bool | str | Path | None = None,
        input_data: Any = None,
        batch_size: int | None = None,
        **settings: Any,
    ) -> list[dict[str, Any]]:
        """Answer with a checkpoint's model.

        Args:
            predict_checkpoint: as `eval_checkpoint` of `evaluate`.
            input_data: a text or the path of a file, as `predict_data` is written; or any iterable
                of texts, for question answering also of mappings with `context` and `question`;
                None = `predict_data` of the settings.
            batch_size: of one pass.
            settings: of text generation, the keys of section `generation`; of question answering,
                those of section `metric`, and `max_seq_length`, `doc_stride` and
                `max_question_length`.

        Returns:
            A dict for each answer, in the order of the inputs; see docs/trainer.md.

        Raises:
            ConfigError, DataError, CheckpointError: see their messages.
        """
        more = self._chosen("predict", predict_checkpoint)
        is_named = input_data is None or isinstance(input_data, str | Path)
        if isinstance(input_data, str | Path):
            more.append(Setting("predict(input_data)", "predict_data", input_data))
        if batch_size is not None:
            more.append(Setting("predict(batch_size)", "runner_config.batch_size", batch_size))
        task = task_name(self._configured().trainer.type)
        more += answer_settings(task, settings, "predict")
        if is_named:
            return _jobs().predict(self._load("predict", more), self._given())
        loaded = self._load("predict", more, provided=("predict_data",))
        inputs = [input_data] if isinstance(input_data, Mapping) else list(input_data)
        return _jobs().open_predictor(loaded, self._given())(inputs)

    def stop(self) -> None:
        """End the training that runs after its step, with a checkpoint: for callbacks and threads.

        With several processes it is enough that one of them asks.
        """
        if self._stop is not None:
            self._stop.request()

    def set_parallel_config(self, **degrees: Any) -> None:
        """Set keys of section `parallel_config`; more than one process means `use_parallel`.

        Args:
            degrees: data_parallel, model_parallel, pipeline_stage, micro_batch_num,
                optimizer_shard, vocab_emb_dp, gradient_aggregation_group.
        """
        changed = self._changed("parallel_config", degrees)
        cuts = changed.load(require_inputs=False).config.parallel_config
        if cuts.data_parallel * cuts.model_parallel * cuts.pipeline_stage > 1:
            setting = Setting("set_parallel_config", "use_parallel", True)
            changed = changed.with_settings([setting])
            changed.load(require_inputs=False)
        self._settings = changed

    def set_recompute_config(self, **switches: Any) -> None:
        """Set keys of section `recompute_config`.

        Args:
            switches: recompute, parallel_optimizer_comm_recompute, mp_comm_recompute,
                recompute_slice_activation.
        """
        self._settings = self._changed("recompute_config", switches)

    def get_train_dataloader(self) -> "Batches":
        """The micro-batches of the whole training on this rank: dicts of arrays, with a length."""
        return _jobs().training_batches(self._load("train"))

    def get_eval_dataloader(self) -> "Batches":
        """The batches of an evaluation: dicts of arrays, with a length."""
        has_training_data = self.config.train_dataset.data_loader.dataset_dir
        mode = "train" if has_training_data else "eval"
        return _jobs().evaluation_batches(self._load(mode, provided=("load_checkpoint",)))

    def build_network(self, checkpoint: bool | str | Path | None = None) -> "nn.Cell":
        """The network with its first values, or with the weights of a checkpoint.

        Args:
            checkpoint: as for `train`.
        """
        return _jobs().build_network(self._load("train", _checkpoint("build_network", checkpoint)))

    def get_last_checkpoint(self) -> Path | None:
        """Folder of the newest good checkpoint in `output_dir`; None where there is none."""
        try:
            return resolve_checkpoint(LATEST_NAME, Path(self._configured().output_dir)).path
        except CheckpointError:
            return None

    def save_config_to_yaml(self, path: str | Path = "config.yaml") -> Path:
        """Write all values with the place each came from; `--config` and `args` take the file."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        loaded = self._load(None, require_inputs=False)
        write_text_atomic(path, render(loaded))
        return path

    def _load(
        self,
        mode: str | None,
        settings: Sequence[Setting] = (),
        require_inputs: bool = True,
        provided: Sequence[str] = (),
    ) -> LoadedConfig:
        """The configuration for a run mode (None: the one of the settings), with more settings."""
        if mode is not None:
            settings = [Setting("the call", "run_mode", mode), *settings]
        if self._network is not None:
            provided = (*provided, "load_checkpoint")
        self._take_over_data()
        told = self._settings.with_settings(settings)
        loaded = told.load(require_inputs, provided)
        brought = checkpoint_settings(loaded.config) if mode is not None else []
        return told.with_settings(brought).load(require_inputs, provided) if brought else loaded

    def _configured(self) -> RunConfig:
        """The configuration without the data sets, which are not touched."""
        return self._settings.load(require_inputs=False).config

    def _take_over_data(self) -> None:
        """Turn data sets and tokenizer into settings, once, when they are first needed."""
        config = self._configured()
        while self._data:
            name, value = next(iter(self._data.items()))
            settings = (
                tokenizer_settings(value, config.processor.tokenizer.type, given_folder(config))
                if name == TOKENIZER
                else dataset_settings(name, value, config)
            )
            self._settings = self._settings.with_settings(settings)
            del self._data[name]

    def _given(self, **objects: Any) -> "Given":
        mine = {
            "model": self._network,
            "optimizer": self._optimizers,
            "callbacks": self._callbacks,
            "compute_metrics": self._compute_metrics,
        }
        return _jobs().Given(**{**mine, **objects})

    def _chosen(self, call: str, checkpoint: bool | str | Path | None) -> list[Setting]:
        """The checkpoint of an evaluation or a prediction; see `evaluate`."""
        if checkpoint is not None and checkpoint is not False:
            return _checkpoint(call, checkpoint)
        if self._network is not None:
            return [Setting(call, "load_checkpoint", "")]
        named = self._configured().load_checkpoint
        return (
            []
            if named and not self._has_trained
            else [Setting(call, "load_checkpoint", LATEST_NAME)]
        )

    def _changed(self, section: str, values: Mapping[str, Any]) -> Settings:
        """The settings with other values in a section, checked."""
        settings = [
            Setting(f"set_{section}({name})", f"{section}.{name}", value)
            for name, value in values.items()
        ]
        changed = self._settings.with_settings(settings)
        changed.load(require_inputs=False)
        return changed


def _jobs() -> Any:
    """`mindmlm.jobs`, imported by the first call that needs MindSpore."""
    prepare_environment()
    from mindmlm import jobs

    return jobs


def _checkpoint(call: str, value: bool | str | Path | None) -> list[Setting]:
    """The setting for a checkpoint: True is the last one, False none, None says nothing."""
    if value is None:
        return []
    text = (LATEST_NAME if value else "") if isinstance(value, bool) else str(value)
    return [Setting(f"{call}(checkpoint)", "load_checkpoint", text)]
