"""Degrees, modes and the environment: what is worked out, refused and explained."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mindmlm.config import load_config
from mindmlm.config.parallel_notes import batch_formula, dry_run_notes, parallel_notes
from mindmlm.config.schema import RunConfig
from mindmlm.errors import ConfigError

CUTS, HYBRID = "parallel_config.", ["use_parallel=True", "parallel.parallel_mode=3"]
EIGHT = ["use_parallel=True", *(f"{CUTS}{name}=2" for name in ("data_parallel", "pipeline_stage"))]
EIGHT += [f"{CUTS}model_parallel=2", "model.model_config.num_attention_heads=4"]
# The sections of the 13B example, four machines of eight cards.
DOCUMENT = """
parallel:
  parallel_mode: 1
  full_batch: True
  enable_parallel_optimizer: True
recompute_config:
  recompute: True
  parallel_optimizer_comm_recompute: False
  mp_comm_recompute: True
  recompute_slice_activation: True
parallel_config:
  data_parallel: 4
  model_parallel: 2
  pipeline_stage: 4
  optimizer_shard: True
  micro_batch_num: 24
  vocab_emb_dp: True
  gradient_aggregation_group: 4
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    for name in ("RANK_SIZE", "MS_WORKER_NUM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("a\n")

    def load_options(*options, text="seed: 1\n", dry_run=True):
        (tmp_path / "run.yaml").write_text(text)
        flags = {"dataset_dir": "text.txt"}
        return load_config("run.yaml", options, flags=flags, require_inputs=not dry_run).config

    return load_options


@pytest.mark.parametrize(
    ("written", "mode"),
    [
        *(("data_parallel", 0), ("DATA_PARALLEL", 0), ("0", 0)),
        *(("hybrid_parallel", 3), ("HYBRID_PARALLEL", 3), ("3", 3)),
        *(("semi_auto_parallel", 1), ("AUTO_PARALLEL", 2)),
    ],
)
def test_modes_have_numbers_and_names(load, written, mode):
    assert load(f"parallel.parallel_mode={written}").parallel.parallel_mode == mode


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        (["use_parallel=True"], 0),
        (["use_parallel=True", f"{CUTS}data_parallel=4"], 0),
        (["use_parallel=True", f"{CUTS}model_parallel=2"], 3),
        (["use_parallel=True", f"{CUTS}pipeline_stage=2"], 3),
        ([*HYBRID, f"{CUTS}data_parallel=4"], 3),
    ],
)
def test_the_mode_follows_from_the_degrees_where_none_is_given(load, options, mode):
    assert load(*options).parallel_mode == mode


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["parallel.parallel_mode=4"], "expected one of 0, 1, 2, 3 or null, got 4"),
        (["parallel.parallel_mode=hybird_parallel"], "did you mean hybrid_parallel"),
        (["parallel.parallel_mode=STAND_ALONE"], "use_parallel: False"),
        (["parallel.parallel_mode=True"], "True and False are not among the choices"),
        ([f"{CUTS}data_parallel=0"], "expected an integer >= 1, got 0"),
        ([f"{CUTS}gradient_aggregation_group=0"], "expected an integer >= 1, got 0"),
        ([f"{CUTS}pipeline_stages=2"], "did you mean pipeline_stage"),
    ],
)
def test_wrong_values_are_explained(load, options, message):
    with pytest.raises(ConfigError) as error:
        load(*options)
    assert message in str(error.value)


def test_semi_automatic_mode_waits_for_the_device_and_names_hybrid_on_a_cpu(load):
    options = ["use_parallel=True", "parallel.parallel_mode=1"]
    with pytest.raises(ConfigError, match=r"refused on a CPU.*use 3 \(hybrid_parallel\)"):
        load(*options, "context.device_target=CPU")
    assert load(*options, "context.device_target=Ascend").parallel_mode == 1
    Path("run.yaml").write_text("context: {device_target: auto}\n")
    loaded = load_config("run.yaml", options, require_inputs=False)
    loaded.require_device("Ascend")
    with pytest.raises(ConfigError, match=r"parallel_mode=1: .*use 3 \(hybrid_parallel\)"):
        loaded.require_device("CPU")


def test_what_the_engine_cannot_do_is_refused_and_what_it_leaves_out_is_said(load):
    options = ["use_parallel=True", "parallel.parallel_mode=1", "context.device_target=Ascend"]
    assert "does not evaluate while it trains" in parallel_notes(load(*options))[-1]
    with pytest.raises(ConfigError, match="takes rows of one length"):
        load(*options, "train_dataset.bucket_lengths=[16]")
    with pytest.raises(ConfigError, match="1 micro-batches for 2 stages"):
        load(*options, f"{CUTS}pipeline_stage=2")
    assert load(*options, f"{CUTS}pipeline_stage=2", f"{CUTS}micro_batch_num=2").processes == 2


@pytest.mark.parametrize("device", ["auto", "Ascend", "CPU"])
def test_automatic_mode_is_refused_on_every_device(load, device):
    options = ["use_parallel=True", "parallel.parallel_mode=2", f"context.device_target={device}"]
    with pytest.raises(ConfigError, match=r"2 \(auto_parallel\) is refused.*use 1 .* or 3"):
        load(*options)


def test_tuning_data_sets_of_mindspore_is_refused(load):
    assert load("auto_tune=False").auto_tune is False
    with pytest.raises(ConfigError, match=r"auto_tune: expected True or False, got True: it tunes"):
        load("auto_tune=True")


def test_data_sinking_is_refused_on_every_device_with_the_reason(load):
    load()
    loaded = load_config("run.yaml", ["runner_config.sink_mode=True"], require_inputs=False)
    for device, reason in (("CPU", "feature of Ascend graphs"), ("Ascend", "data sets of its own")):
        with pytest.raises(ConfigError, match=rf"sink_mode=True: .*refused.*{reason}"):
            loaded.require_device(device)


def test_what_model_parallel_does_not_divide_is_named(load):
    with pytest.raises(ConfigError) as error:
        load("use_parallel=True", f"{CUTS}model_parallel=5")
    lines = str(error.value).splitlines()
    assert [line.rpartition("model_config.")[2].split()[0] for line in lines] == [
        "num_attention_heads",
        "intermediate_size",
    ]


@pytest.mark.parametrize("enabled", [None, True, False])
@pytest.mark.parametrize("shard", [None, True, False])
def test_zero_has_two_names_and_one_meaning(load, enabled, shard):
    options = [
        f"parallel.enable_parallel_optimizer={'null' if enabled is None else enabled}",
        f"{CUTS}optimizer_shard={'null' if shard is None else shard}",
    ]
    if None not in (enabled, shard) and enabled != shard:
        with pytest.raises(ConfigError, match=r"contradicts parallel\.enable_parallel_optimizer"):
            load(*options)
    else:
        assert load(*options).optimizer_parallel == bool(enabled or shard)


@given(
    st.booleans(),
    st.fixed_dictionaries(
        {
            name: st.integers(1, 50)
            for name in ("data_parallel", "model_parallel", "pipeline_stage", "micro_batch_num")
        }
    ),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_sizes_that_follow_from_the_degrees(use_parallel, cuts, batch_size, accumulated):
    runner = {"batch_size": batch_size, "gradient_accumulation_steps": accumulated}
    config = RunConfig.model_validate(
        {"use_parallel": use_parallel, "parallel_config": cuts, "runner_config": runner}
    )
    data, model, stages = config.degrees
    if use_parallel:
        assert (
            cuts
            | {
                "data_parallel": data,
                "model_parallel": model,
                "pipeline_stage": stages,
            }
            == cuts
        )
    else:
        assert (data, model, stages) == (1, 1, 1)
    assert config.processes == data * model * stages
    assert config.micro_batches == cuts["micro_batch_num"] * accumulated
    assert config.global_batch_size == batch_size * data * cuts["micro_batch_num"] * accumulated
    numbers = [int(word) for word in batch_formula(config).split() if word.isdecimal()]
    assert numbers == [
        config.global_batch_size,
        batch_size,
        data,
        cuts["micro_batch_num"],
        accumulated,
    ]


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("variable", ["RANK_SIZE", "MS_WORKER_NUM"])
def test_the_number_of_processes_is_checked(load, monkeypatch, variable, dry_run):
    monkeypatch.setenv(variable, "8")
    assert load(*EIGHT, dry_run=dry_run).processes == 8
    with pytest.raises(ConfigError) as error:
        load(*EIGHT, f"{CUTS}data_parallel=3", dry_run=dry_run)
    assert "data_parallel 3 x model_parallel 2 x pipeline_stage 2 needs 12 processes" in str(
        error.value
    )
    assert f"{variable} is 8 in the environment" in str(error.value)


@pytest.mark.parametrize("text", ["eight", "0", "-1", "2.0"])
def test_a_number_of_processes_that_is_none_is_refused(load, monkeypatch, text):
    monkeypatch.setenv("RANK_SIZE", text)
    with pytest.raises(ConfigError, match=f"RANK_SIZE={text}; expected a number >= 1"):
        load(*EIGHT, dry_run=False)


def test_variables_that_disagree_are_refused(load, monkeypatch):
    monkeypatch.setenv("RANK_SIZE", "8")
    monkeypatch.setenv("MS_WORKER_NUM", "4")
    with pytest.raises(ConfigError, match=r"MS_WORKER_NUM is 4 and RANK_SIZE is 8"):
        load(*EIGHT, dry_run=False)


def test_a_run_that_no_launcher_started_says_how_to_start_it(load):
    with pytest.raises(ConfigError) as error:
        load(*EIGHT, dry_run=False)
    assert "needs 8 processes" in str(error.value)
    assert "msrun --worker_num=8" in str(error.value)
    assert "--use_parallel False" in str(error.value)
    # One process is what one is.
    assert load("use_parallel=True", dry_run=False).processes == 1


def test_a_launched_run_without_use_parallel_is_refused(load, monkeypatch):
    monkeypatch.setenv("RANK_SIZE", "2")
    with pytest.raises(ConfigError, match="add --use_parallel True"):
        load(dry_run=False)
    load(dry_run=True)
    monkeypatch.setenv("RANK_SIZE", "1")
    load(dry_run=False)


def test_the_example_for_32_cards_is_good_on_a_laptop_and_says_what_it_does(load):
    config = load(text=DOCUMENT, dry_run=False)
    assert (config.processes, config.micro_batches, config.optimizer_parallel) == (1, 24, True)
    notes = parallel_notes(config)
    assert notes[0] == (
        "use_parallel is False: one process; data_parallel 4 x model_parallel 2 x "
        "pipeline_stage 4 of parallel_config is not used"
    )
    assert "nothing to cut" in notes[1]
    assert notes[2].startswith("recompute_config.recompute_slice_activation: True is for")
    assert len(notes) == 3


def test_the_example_for_32_cards_in_hybrid_mode(load):
    options = ["parallel.parallel_mode=3", "use_parallel=True", "runner_config.batch_size=2"]
    config = load(*options, "model.model_config.num_hidden_layers=40", text=DOCUMENT)
    assert dry_run_notes(config) == [
        "hybrid_parallel: data_parallel 4 x model_parallel 2 x pipeline_stage 4 = 32 processes, "
        "optimizer state divided",
        # (4 - 1) / (24 + 4 - 1)
        "pipeline: 4 stages and 24 micro-batches a step; each stage waits 11% of the time (more "
        "micro-batches: less)",
        "recompute_config.recompute_slice_activation: True is for parallel_mode 1 (Ascend graphs) "
        "only; here every model-parallel rank keeps the whole input of a layer",
        "global batch 192 = batch_size 2 x data_parallel 4 x micro_batch_num 24 x "
        "gradient_accumulation_steps 1",
    ]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("parallel_optimizer_comm_recompute", True),
        ("mp_comm_recompute", False),
        ("recompute_slice_activation", True),
    ],
)
def test_keys_of_ascend_graphs_are_explained(load, key, value):
    assert parallel_notes(load(f"recompute_config.{key}={not value}", *HYBRID)) == [
        "hybrid_parallel: data_parallel 1 x model_parallel 1 x pipeline_stage 1 = 1 process"
    ]
    (_, note) = parallel_notes(load(f"recompute_config.{key}={value}", *HYBRID))
    assert note.startswith(f"recompute_config.{key}: {value} is for parallel_mode 1")


def test_one_process_needs_no_words(load):
    assert parallel_notes(load()) == []
    assert parallel_notes(load("run_mode=predict")) == []
    assert dry_run_notes(load("run_mode=predict")) == []
