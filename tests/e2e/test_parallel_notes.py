"""A configuration for many processes in one: the log says what is not used."""


def test_the_first_lines_say_what_has_no_effect(command, tmp_path):
    done = command.here(
        *command.words(
            tmp_path / "run",
            "--max_steps=2",
            "--parallel_config.data_parallel=4",
            "--parallel_config.micro_batch_num=2",
            "--parallel_config.optimizer_shard=True",
            "--recompute_config.mp_comm_recompute=False",
        )
    )
    assert done.code == 0, done.stderr
    for words in (
        "global batch 8 = batch_size 4 x data_parallel 1 x micro_batch_num 2 x "
        "gradient_accumulation_steps 1",
        "use_parallel is False: one process; data_parallel 4 x model_parallel 1 x pipeline_stage 1",
        "optimizer parallel (ZeRO-1) has nothing to cut: data_parallel is 1",
        "recompute_config.mp_comm_recompute: False is for parallel_mode 1",
    ):
        assert words in done.stderr
    logged = (tmp_path / "run" / "log" / "rank_0.log").read_text(encoding="utf-8")
    assert "nothing to cut" in logged
