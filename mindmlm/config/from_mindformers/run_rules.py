"""Keys of the run: device, output, length, parallel degrees, callbacks."""

from typing import Any

from mindmlm.config.from_mindformers.changes import Conversion

_TUNING = "part of auto_tune, which tunes MindSpore's data sets; none is used here"
_PROFILER = "a setting of MindSpore's profiler; here profile: True writes seconds per phase"
_GRAPHS = "a switch of MindSpore's compiler for debugging or Ascend kernels; set it by environment"
_STRATEGY = "checkpoints carry their layout themselves and load in any other"
_ENGINE = "a detail of MindSpore's automatic parallelism that the plans here decide"
_EXPERTS = "mixture of experts: r0.3 never passed the section to a model, so it had no effect"
_POSITION = "a checkpoint knows its step and its place in the data; nothing is set by hand"
_SINK = "data sinking, which is not used: batches are made for each step, so that resuming is exact"
_LOADING = "checkpoints load by their content; no switch is needed"

DEAD = {
    "filepath_prefix": _TUNING,
    "autotune_per_step": _TUNING,
    "profile_start_step": _PROFILER,
    "profile_stop_step": _PROFILER,
    "init_start_profile": _PROFILER,
    "profile_communication": _PROFILER,
    "profile_memory": _PROFILER,
    "eval_callbacks": "evaluation has no callbacks; uploads follow remote_save_url",
    "do_eval": "set callbacks.EvalMonitor.eval_steps",
    "only_save_strategy": _STRATEGY,
    "src_strategy_path_or_dir": _STRATEGY,
    "auto_trans_ckpt": _LOADING,
    "resume_training": "run_mode train resumes from load_checkpoint, finetune takes weights only",
    "context.enable_graph_kernel": _GRAPHS,
    "context.graph_kernel_flags": _GRAPHS,
    "context.max_call_depth": _GRAPHS,
    "context.save_graphs": _GRAPHS,
    "context.save_graphs_path": _GRAPHS,
    "parallel.loss_repeated_mean": _ENGINE,
    "parallel.enable_alltoall": _ENGINE,
    "parallel.search_mode": _ENGINE,
    "parallel.strategy_ckpt_save_file": _STRATEGY,
    "parallel.strategy_ckpt_load_file": _STRATEGY,
    "moe_config": _EXPERTS,
    "parallel_config.expert_parallel": _EXPERTS,
    "runner_config.sink_size": "r0.3 never passed it on (the interval was per_epoch_size)",
    "runner_config.per_epoch_size": _SINK,
    "runner_config.initial_epoch": _POSITION,
    "runner_config.has_trained_epoches": _POSITION,
    "runner_config.has_trained_steps": _POSITION,
    "runner_config.image_size": "left over from image models; no text model read it",
}
SAME = (
    "seed",
    "run_mode",
    "output_dir",
    "use_parallel",
    "load_checkpoint",
    "predict_data",
    "context.mode",
    "context.device_id",
    "context.max_device_memory",
    "parallel.full_batch",
    "parallel.gradients_mean",
    "recompute_config.recompute",
    "recompute_config.parallel_optimizer_comm_recompute",
    "recompute_config.mp_comm_recompute",
    "recompute_config.recompute_slice_activation",
    "runner_config.epochs",
    "runner_config.batch_size",
    "runner_config.gradient_accumulation_steps",
)
_DEGREES = ("data_parallel", "model_parallel", "pipeline_stage")
_MODES = ("data_parallel", "semi_auto_parallel", "auto_parallel", "hybrid_parallel")


def run_rules(old: Conversion) -> None:
    """Everything around the training itself."""
    old.drop_each(DEAD)
    old.keep_each(SAME)
    old.add("seed", 0, "MindFormers' default")
    old.keep("input_data", "predict_data")
    _checkpoint(old)
    old.keep("auto_tune", why=f"True is refused: {_TUNING}", read=lambda value: False)
    old.keep("runner_config.sink_mode", why=f"True is {_SINK}", read=lambda value: False)
    old.keep(
        "context.device_target",
        why="mindmlm runs on CPU and Ascend; auto takes what is there",
        read=lambda value: "auto" if str(value).lower() == "gpu" else value,
    )
    _uploads(old)
    _parallel(old)
    _callbacks(old)


def _checkpoint(old: Conversion) -> None:
    network = "model.model_config.checkpoint_name_or_path"
    named = old.value("resume_or_finetune_checkpoint") or old.value("load_checkpoint")
    if old.value("load_checkpoint"):
        old.drop("resume_or_finetune_checkpoint", "load_checkpoint is set")
    old.keep("resume_or_finetune_checkpoint", "load_checkpoint", "one name for all run modes")
    if old.value("run_mode", "train") == "train":
        old.drop(network, "r0.3 set it to None for run_mode train")
    elif named or not old.value(network):
        old.drop(network, "load_checkpoint says where the weights come from")
    old.keep(network, "load_checkpoint", "a path, or the name of a folder in $MINDMLM_HOME")


def _uploads(old: Conversion) -> None:
    for path in ("aicc_config.obs_path", "remote_save_url"):
        address = str(old.value(path) or "")
        if "://" in address:
            old.keep(path, "remote_save_url", "uploaded as it grows (docs/modelarts.md)")
        else:
            old.drop(path, "a placeholder, no address; set remote_save_url to upload results")
    old.drop("aicc_config", "uploads happen as files appear; nothing is deleted before")


def _parallel(old: Conversion) -> None:
    mode = _mode_number(old.value("parallel.parallel_mode"))
    if mode == 2:
        old.drop(
            "parallel.parallel_mode",
            "2 (auto_parallel) searches for the cuts itself and is refused here; the degrees "
            "of parallel_config say them, and null takes the mode that they need",
        )
    old.keep("parallel.parallel_mode", why="written as its number", read=_mode_number)
    if mode == 0:
        for degree in ("model_parallel", "pipeline_stage"):
            old.keep(
                f"parallel_config.{degree}",
                why="parallel_mode 0 (data_parallel) has copies of the whole model; r0.3 did not "
                "look at it there",
                read=lambda value: 1,
            )
        if old.value("use_parallel"):
            old.keep(
                "parallel_config.data_parallel",
                why="with parallel_mode 0 r0.3 used every card that was started, whatever this "
                "said; set it to the number of processes",
            )
    names = [*_DEGREES, "micro_batch_num", "vocab_emb_dp", "gradient_aggregation_group"]
    old.keep_each([f"parallel_config.{name}" for name in names])
    shard = "parallel_config.optimizer_shard"
    if old.has(shard):
        old.drop(
            "parallel.enable_parallel_optimizer",
            f"the same switch as {shard}, which r0.3 applied later",
        )
    old.keep(shard)
    old.keep("parallel.enable_parallel_optimizer")
    interleaves = mode == 1 and old.value("use_parallel")
    old.keep(
        "micro_batch_interleave_num",
        why="halves of a batch go with parallel_mode 1 and use_parallel only",
        read=lambda value: min(value, 2) if interleaves else 1,
    )


def _mode_number(value: Any) -> Any:
    """0 to 3 for any spelling; None for one process without parallelism."""
    if isinstance(value, str):
        name = value.lower()
        return _MODES.index(name) if name in _MODES else None
    return value


def _callbacks(old: Conversion) -> None:
    checkpoint = "callbacks.CheckpointMointor"
    old.keep("callbacks.MFLossMonitor.per_print_times")
    old.add("callbacks.MFLossMonitor.per_print_times", 1, "MindFormers' default")
    for written in (checkpoint, "callbacks.CheckpointMonitor"):
        for name in ("save_checkpoint_steps", "keep_checkpoint_max"):
            old.keep(f"{written}.{name}", f"callbacks.CheckpointMonitor.{name}")
        old.drop(
            written,
            "checkpoints are always whole, written aside and renamed, and are named by their step",
        )
    old.drop("callbacks.MFLossMonitor", "progress lines need no more settings")
    old.drop("callbacks.ObsMonitor", "uploads follow remote_save_url")
    old.drop("callbacks.SummaryMonitor", "r0.3 took it out again; metrics.jsonl has the curves")
    profiles = old.has("callbacks.ProfileMonitor")
    old.keep(
        "profile",
        why="stands for callbacks.ProfileMonitor too",
        read=lambda value: value or profiles,
    )
    if profiles:
        old.add("profile", True, "stands for callbacks.ProfileMonitor")
    old.drop("callbacks.ProfileMonitor", _PROFILER)
    old.drop("callbacks.TimeMonitor", "every progress line and metrics.jsonl have the times")
    old.drop("callbacks.LossMonitor", "MFLossMonitor prints the loss")
