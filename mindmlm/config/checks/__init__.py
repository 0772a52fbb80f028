"""Rules across keys. Each is a small function that yields the problems it finds.

`CONSISTENCY` holds for every run; `INPUTS` says what a run mode needs, which a dry run may lack;
`DEVICE` needs to know the device, `LAUNCH` the environment variables of this process.
"""

from collections.abc import Callable, Iterator, Mapping

from mindmlm.config.checks.cloud import interleaving_has_an_engine, results_go_somewhere_else
from mindmlm.config.checks.data import (
    bucket_lengths_ascend,
    full_sentences_are_masked_rows,
    macbert_has_words,
    macbert_replaces_words,
    mask_probabilities,
    mixture_has_weights,
    predictions_fit_rows,
    reference_file_is_usable,
    table_is_described,
)
from mindmlm.config.checks.device import (
    dtype_runs_on_device,
    engine_runs_on_device,
    no_data_sinking,
)
from mindmlm.config.checks.distillation import (
    distillation_has_an_engine,
    something_is_learned,
    teacher_is_given,
    teacher_is_used,
    teacher_layers_fit,
)
from mindmlm.config.checks.electra import electra_is_whole, generator_has_heads
from mindmlm.config.checks.files import paths_exist
from mindmlm.config.checks.generation import (
    continuation_fits_positions,
    generation_agrees,
    generation_runs_once,
)
from mindmlm.config.checks.inputs import (
    checkpoint_is_given,
    one_process_fills_blanks,
    prediction_is_given,
    records_have_a_vocabulary,
    text_is_given,
)
from mindmlm.config.checks.model import (
    float16_needs_loss_scale,
    heads_divide_hidden,
    kinds_agree,
    rows_fit_positions,
    vocabulary_fits_embedding,
)
from mindmlm.config.checks.optimization import (
    one_warmup,
    optimizer_has_an_engine,
    optimizer_state_is_there,
    rate_falls,
    warmup_fits_schedule,
)
from mindmlm.config.checks.pairs import pairs_have_a_head, pairs_have_an_engine, pairs_have_rows
from mindmlm.config.checks.parallel import (
    engine_has_mode,
    every_process_can_read,
    mode_cuts_what_is_asked,
    model_parallel_divides,
    one_optimizer_switch,
    processes_were_started,
    semi_auto_divides,
    semi_auto_has_graphs,
    semi_auto_trains,
    stages_have_layers,
)
from mindmlm.config.checks.qa import (
    answers_are_kept,
    questions_are_read,
    questions_have_a_vocabulary,
    questions_have_an_engine,
    windows_advance,
)
from mindmlm.config.checks.registered import (
    callbacks_are_known,
    registered_arguments_fit,
    registered_optimizer_divides,
)
from mindmlm.config.checks.tokenizer import (
    merges_are_used,
    tokenizer_fits_network,
    trained_vocabulary_has_room,
)
from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

Check = Callable[[RunConfig], Iterator[Problem]]
DeviceCheck = Callable[[RunConfig, str], Iterator[Problem]]
LaunchCheck = Callable[[RunConfig, Mapping[str, str], bool], Iterator[Problem]]

CONSISTENCY: tuple[Check, ...] = (
    kinds_agree,
    heads_divide_hidden,
    rows_fit_positions,
    predictions_fit_rows,
    bucket_lengths_ascend,
    pairs_have_a_head,
    pairs_have_rows,
    pairs_have_an_engine,
    full_sentences_are_masked_rows,
    mask_probabilities,
    mixture_has_weights,
    macbert_replaces_words,
    reference_file_is_usable,
    one_warmup,
    warmup_fits_schedule,
    rate_falls,
    optimizer_has_an_engine,
    callbacks_are_known,
    registered_arguments_fit,
    registered_optimizer_divides,
    float16_needs_loss_scale,
    engine_has_mode,
    semi_auto_has_graphs,
    semi_auto_trains,
    semi_auto_divides,
    mode_cuts_what_is_asked,
    one_optimizer_switch,
    model_parallel_divides,
    stages_have_layers,
    every_process_can_read,
    vocabulary_fits_embedding,
    tokenizer_fits_network,
    merges_are_used,
    trained_vocabulary_has_room,
    paths_exist,
    table_is_described,
    generation_agrees,
    continuation_fits_positions,
    generation_runs_once,
    one_process_fills_blanks,
    questions_are_read,
    windows_advance,
    answers_are_kept,
    questions_have_an_engine,
    electra_is_whole,
    generator_has_heads,
    teacher_is_used,
    teacher_layers_fit,
    something_is_learned,
    distillation_has_an_engine,
    results_go_somewhere_else,
    interleaving_has_an_engine,
)
INPUTS: tuple[Check, ...] = (
    text_is_given,
    macbert_has_words,
    optimizer_state_is_there,
    records_have_a_vocabulary,
    questions_have_a_vocabulary,
    checkpoint_is_given,
    teacher_is_given,
    prediction_is_given,
)
DEVICE: tuple[DeviceCheck, ...] = (
    no_data_sinking,
    dtype_runs_on_device,
    engine_runs_on_device,
)
LAUNCH: tuple[LaunchCheck, ...] = (processes_were_started,)


def check_consistency(config: RunConfig) -> list[Problem]:
    """Return what contradicts itself, whatever the device and the inputs."""
    return [problem for check in CONSISTENCY for problem in check(config)]


def check_inputs(config: RunConfig) -> list[Problem]:
    """Return the inputs that the run mode needs and that are not given."""
    return [problem for check in INPUTS for problem in check(config)]


def check_device(config: RunConfig, device_target: str) -> list[Problem]:
    """Return what `device_target` ("CPU" or "Ascend") cannot run."""
    return [problem for check in DEVICE for problem in check(config, device_target)]


def check_launch(config: RunConfig, environment: Mapping[str, str], dry_run: bool) -> list[Problem]:
    """Return how the processes that were started differ from those the configuration needs."""
    return [problem for check in LAUNCH for problem in check(config, environment, dry_run)]
