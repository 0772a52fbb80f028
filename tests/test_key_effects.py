"""Every key of the configuration has a test that shows what it does.

`SHOWN_BY` maps a key to `FILE::TEST`. A key without a test is a key that nobody needs: remove it.
`tests/config/test_every_key.py` shows that the resolved configuration takes each key.
"""

import ast

import pytest

from mindmlm.config.describe import keys

ONE_VALUE = "config/test_every_key.py::test_a_type_refuses_what_it_does_not_know"
KINDS = "config/test_every_key.py::test_the_three_types_of_a_model_go_together"
BATCHES = "training/test_effects.py::test_keys_that_change_the_batches"
MODEL = "training/test_effects.py::test_keys_that_change_the_model"
PARAMETERS = "training/test_effects.py::test_keys_that_change_the_number_of_parameters"
UPDATE = "training/test_effects.py::test_keys_that_change_the_update"
RATE = "training/test_effects.py::test_keys_that_change_the_learning_rate"
LOSS_SCALE = "training/test_effects.py::test_the_loss_scale_follows_its_section_in_float16_only"
LENGTH = "training/test_effects.py::test_the_length_of_a_run"
EVALUATION = "training/test_effects.py::test_the_evaluation_text_and_its_batches"
WRITTEN = "e2e/test_callbacks.py::test_profile_name_progress_and_intervals"
NO_FIRST_EVALUATION = "e2e/test_callbacks.py::test_the_first_weights_need_not_be_evaluated"
VOCABULARY = "e2e/test_callbacks.py::test_a_vocabulary_of_the_size_that_was_asked_for"
TOKENIZER = "tokenizers/test_gpt2.py::test_tokenizers_by_configuration"
SKIPPED = "e2e/test_user_errors.py::test_faulty_lines_are_skipped_and_counted_on_request"
RECORDS = "test_prepared_runs.py::test_a_resumed_run_repeats_the_unbroken_one"
DATA = "training/test_data_effects.py::test_keys_that_change_the_batches"
TABLE = "data/sql/test_prepared_tables.py::test_sqlite_rows_become_samples"
TABLE_READING = "data/sql/test_prepared_tables.py::test_slicing_and_batches_of_rows"
TABLE_EVALUATION = (
    "data/sql/test_prepared_tables.py::test_rows_for_evaluation_come_from_a_query_of_their_own"
)
ACCESS = "build_data/test_sources.py::test_access_to_an_object_store"
EVALUATION_FORM = "build_data/test_sources.py::test_evaluation_text_has_a_form_of_its_own"
DEVICE = "runtime/test_context.py::test_card_and_mode_reach_mindspore"
SETTINGS = "config/test_parallel_settings.py::"
PARALLEL = "parallel/test_config_effects.py::"
ONLY_ASCEND = SETTINGS + "test_keys_of_ascend_graphs_are_explained"
LAYOUTS = PARALLEL + "test_layouts_train_like_one_process"
WRITTEN_ON = "inference/generation/test_settings.py::test_a_setting_changes_what_is_written"
ENDS_OF_TEXTS = "inference/generation/test_settings.py::test_what_ends_a_text"
ZERO = PARALLEL + "test_optimizer_parallel_cuts_the_state_and_changes_no_number"
ANSWERED = "inference/test_question_answering.py::"
ANSWERS = ANSWERED + "test_keys_that_change_the_rows_and_the_answers"
REPLACED = "training/test_replaced_tokens.py::test_keys_that_change_the_losses"

DISTILLED = "training/test_distillation.py::"
TAUGHT = DISTILLED + "test_steps_equal_torch"

SHOWN_BY = {
    "run_mode": "e2e/test_outputs.py::test_finetune_takes_the_weights_only",
    "seed": MODEL,
    "output_dir": "e2e/test_outputs.py::test_the_output_folder_holds_what_is_promised",
    "load_checkpoint": "e2e/test_resume.py::test_a_resumed_run_equals_the_straight_one",
    "use_parallel": LAYOUTS,
    "micro_batch_interleave_num": (
        "parallel/semi_auto/test_interleaving.py::test_two_halves_train_like_the_whole"
    ),
    "remote_save_url": "modelarts/test_job.py::test_a_job_from_the_store_and_back",
    "parallel.parallel_mode": (
        SETTINGS + "test_the_mode_follows_from_the_degrees_where_none_is_given"
    ),
    "parallel.full_batch": PARALLEL + "test_full_batch_gives_the_same_rows_in_another_way",
    "parallel.enable_parallel_optimizer": ZERO,
    "parallel.gradients_mean": PARALLEL + "test_gradients_of_the_sum_are_larger",
    "parallel_config.data_parallel": LAYOUTS,
    "parallel_config.model_parallel": LAYOUTS,
    "parallel_config.pipeline_stage": LAYOUTS,
    "parallel_config.micro_batch_num": (
        PARALLEL + "test_micro_batches_are_accumulation_without_a_pipeline"
    ),
    "parallel_config.optimizer_shard": ZERO,
    "parallel_config.vocab_emb_dp": PARALLEL + "test_the_word_embedding_is_whole_or_cut",
    "parallel_config.gradient_aggregation_group": PARALLEL + "test_number_of_fused_buckets",
    "recompute_config.recompute": (PARALLEL + "test_recomputing_keeps_the_numbers_and_less_memory"),
    "recompute_config.parallel_optimizer_comm_recompute": ONLY_ASCEND,
    "recompute_config.mp_comm_recompute": ONLY_ASCEND,
    "recompute_config.recompute_slice_activation": ONLY_ASCEND,
    "auto_tune": SETTINGS + "test_tuning_data_sets_of_mindspore_is_refused",
    "profile": WRITTEN,
    "predict_data": "e2e/test_outputs.py::test_predict_from_a_list_and_from_a_file",
    "context.mode": DEVICE,
    "context.device_target": "runtime/test_context.py::test_the_device_that_is_taken",
    "context.device_id": DEVICE,
    "context.max_device_memory": (
        "runtime/test_context.py::test_the_limit_of_memory_reaches_a_card_and_no_cpu"
    ),
    "context.enable_compile_cache": (
        "e2e/test_compile_cache.py::test_a_second_run_takes_the_graphs_of_the_first"
    ),
    "runner_config.epochs": LENGTH,
    "runner_config.batch_size": BATCHES,
    "runner_config.gradient_accumulation_steps": BATCHES,
    "runner_config.max_steps": LENGTH,
    "runner_config.sink_mode": "e2e/test_user_errors.py::test_a_wrong_line_of_yaml",
    "runner_wrapper.max_grad_norm": UPDATE,
    "runner_wrapper.scale_sense.type": LOSS_SCALE,
    "runner_wrapper.scale_sense.loss_scale_value": LOSS_SCALE,
    "runner_wrapper.scale_sense.scale_factor": LOSS_SCALE,
    "runner_wrapper.scale_sense.scale_window": LOSS_SCALE,
    "optimizer.type": UPDATE,
    "optimizer.keep_state": (
        "e2e/test_pretraining.py::test_a_second_phase_goes_on_with_weights_and_moments"
    ),
    "optimizer.beta1": UPDATE,
    "optimizer.beta2": UPDATE,
    "optimizer.eps": UPDATE,
    "optimizer.weight_decay": UPDATE,
    "lr_schedule.type": RATE,
    "lr_schedule.learning_rate": RATE,
    "lr_schedule.lr_end": RATE,
    "lr_schedule.warmup_steps": RATE,
    "lr_schedule.warmup_ratio": RATE,
    "lr_schedule.total_steps": RATE,
    "lr_schedule.power": RATE,
    "train_dataset.data_loader.type": RECORDS,
    "train_dataset.data_loader.dataset_dir": (
        "e2e/test_user_errors.py::test_inputs_that_are_missing_or_do_not_fit"
    ),
    "train_dataset.data_loader.shuffle": BATCHES,
    "train_dataset.data_loader.num_samples": BATCHES,
    "train_dataset.data_loader.text_format": BATCHES,
    "train_dataset.data_loader.on_error": SKIPPED,
    "train_dataset.data_loader.max_line_bytes": SKIPPED,
    "train_dataset.max_seq_length": BATCHES,
    "train_dataset.sample_mode": BATCHES,
    "train_dataset.sentence_pairs": DATA,
    "train_dataset.short_seq_prob": DATA,
    "train_dataset.max_predictions_per_seq": BATCHES,
    "train_dataset.masking.strategy": BATCHES,
    "train_dataset.masking.masked_lm_prob": BATCHES,
    "train_dataset.masking.mask_prob": BATCHES,
    "train_dataset.masking.random_prob": BATCHES,
    "train_dataset.num_parallel_workers": "e2e/test_threads.py::test_workers_and_prefetch",
    "train_dataset.prefetch_size": "e2e/test_threads.py::test_workers_and_prefetch",
    "train_dataset.seed": BATCHES,
    "eval_dataset.data_loader.dataset_dir": EVALUATION,
    "eval_dataset.data_loader.num_samples": EVALUATION,
    "eval_dataset.holdout_fraction": BATCHES,
    "eval_dataset.batch_size": EVALUATION,
    "callbacks.MFLossMonitor.per_print_times": WRITTEN,
    "callbacks.CheckpointMonitor.save_checkpoint_steps": WRITTEN,
    "callbacks.CheckpointMonitor.keep_checkpoint_max": WRITTEN,
    "callbacks.EvalMonitor.eval_steps": WRITTEN,
    "callbacks.EvalMonitor.eval_on_start": NO_FIRST_EVALUATION,
    "generation.max_new_tokens": WRITTEN_ON,
    "generation.do_sample": WRITTEN_ON,
    "generation.temperature": WRITTEN_ON,
    "generation.top_k": WRITTEN_ON,
    "generation.top_p": WRITTEN_ON,
    "generation.repetition_penalty": WRITTEN_ON,
    "generation.num_beams": WRITTEN_ON,
    "generation.length_penalty": WRITTEN_ON,
    "generation.early_stopping": WRITTEN_ON,
    "generation.num_return_sequences": WRITTEN_ON,
    "generation.eos_token_id": ENDS_OF_TEXTS,
    "generation.stop": ENDS_OF_TEXTS,
    "generation.seed": WRITTEN_ON,
    "metric.version": ANSWERS,
    "metric.n_best_size": ANSWERS,
    "metric.max_answer_length": ANSWERS,
    "metric.null_score_diff_threshold": ANSWERS,
    "metric.top_k": ANSWERED + "test_a_predictor_answers_as_its_configuration_says",
    "distillation.teacher": "e2e/test_distillation.py::test_mistakes_are_explained",
    "distillation.teacher_layers": DISTILLED + "test_the_student_starts_from_layers_of_the_teacher",
    "distillation.temperature": TAUGHT,
    "distillation.alpha_ce": TAUGHT,
    "distillation.alpha_mlm": TAUGHT,
    "distillation.alpha_cos": TAUGHT,
    "distillation.restrict_ce_to_mask": TAUGHT,
    "distillation.freeze_position_embeddings": (
        DISTILLED + "test_frozen_position_embeddings_are_not_updated"
    ),
    "train_dataset.max_question_length": ANSWERS,
    "train_dataset.doc_stride": ANSWERS,
    "generation.stream": (
        "inference/generation/test_settings.py::test_stream_shows_the_texts_on_standard_error"
    ),
    "processor.tokenizer.type": TOKENIZER,
    "processor.tokenizer.merges_file": TOKENIZER,
    "processor.tokenizer.vocab_file": (
        "e2e/test_outputs.py::test_a_vocabulary_is_trained_where_none_is_given"
    ),
    "processor.tokenizer.do_lower_case": VOCABULARY,
    "processor.tokenizer.train_vocab_size": VOCABULARY,
    "processor.segmenter": BATCHES,
    "model.model_config.type": KINDS,
    "model.model_config.vocab_size": PARAMETERS,
    "model.model_config.hidden_size": MODEL,
    "model.model_config.num_hidden_layers": MODEL,
    "model.model_config.num_attention_heads": MODEL,
    "model.model_config.intermediate_size": MODEL,
    "model.model_config.hidden_act": MODEL,
    "model.model_config.hidden_dropout_prob": MODEL,
    "model.model_config.attention_probs_dropout_prob": MODEL,
    "model.model_config.max_position_embeddings": PARAMETERS,
    "model.model_config.type_vocab_size": PARAMETERS,
    "model.model_config.initializer_range": MODEL,
    "model.model_config.layer_norm_eps": MODEL,
    "model.model_config.post_layernorm_residual": MODEL,
    "model.model_config.add_pooling_layer": PARAMETERS,
    "model.model_config.compute_dtype": MODEL,
    "model.model_config.embedding_dropout_prob": (
        "models/gpt2/test_gpt2_parts.py::test_dropout_is_where_transformers_has_it"
    ),
    "model.model_config.embedding_size": REPLACED,
    "model.model_config.generator_hidden_size": REPLACED,
    "model.model_config.generator_layers": REPLACED,
    "electra.gen_weight": REPLACED,
    "electra.disc_weight": REPLACED,
    "electra.temperature": REPLACED,
    "model.arch.type": KINDS,
    "trainer.type": KINDS,
    "trainer.model_name": WRITTEN,
    "train_dataset.data_loader.file_format": DATA,
    "train_dataset.data_loader.text_field": DATA,
    "train_dataset.data_loader.csv_delimiter": DATA,
    "train_dataset.data_loader.cleaning": DATA,
    "train_dataset.data_loader.join_lines_up_to": DATA,
    "train_dataset.data_loader.min_line_characters": DATA,
    "train_dataset.data_loader.max_line_characters": DATA,
    "train_dataset.attend_across_documents": DATA,
    "train_dataset.bucket_lengths": DATA,
    "processor.hmm": DATA,
    "processor.user_dict": DATA,
    "processor.reference_file": DATA,
    "train_dataset.masking.unit": DATA,
    "train_dataset.masking.term_file": DATA,
    "train_dataset.masking.term_weight": DATA,
    "train_dataset.masking.masked_lm_prob_end": DATA,
    "train_dataset.masking.masked_lm_prob_steps": DATA,
    "train_dataset.masking.mixture.token": DATA,
    "train_dataset.masking.mixture.rare_token": DATA,
    "train_dataset.masking.smoothing": DATA,
    "train_dataset.masking.mixture.whole_word": DATA,
    "train_dataset.masking.mixture.span": DATA,
    "train_dataset.masking.mixture.token_span": DATA,
    "train_dataset.masking.mixture.ngram": DATA,
    "train_dataset.masking.mixture.macbert": DATA,
    "train_dataset.masking.similar_words.file": DATA,
    "train_dataset.masking.similar_words.antonym_file": DATA,
    "train_dataset.masking.similar_words.max_similar": DATA,
    "train_dataset.masking.similar_words.max_words": DATA,
    "train_dataset.data_loader.url": TABLE,
    "train_dataset.data_loader.query": TABLE,
    "train_dataset.data_loader.key_column": TABLE,
    "train_dataset.data_loader.parameters": TABLE,
    "train_dataset.data_loader.slicing": TABLE_READING,
    "train_dataset.data_loader.batch_rows": TABLE_READING,
    "train_dataset.data_loader.endpoint_url": ACCESS,
    "train_dataset.data_loader.credentials_file": ACCESS,
    "eval_dataset.data_loader.file_format": EVALUATION_FORM,
    "eval_dataset.data_loader.text_field": EVALUATION_FORM,
    "eval_dataset.data_loader.query": TABLE_EVALUATION,
}


def test_every_key_is_shown_by_a_test():
    assert SHOWN_BY.keys() == keys().keys()


@pytest.mark.parametrize("place", sorted(set(SHOWN_BY.values())))
def test_the_test_that_shows_it_is_there(project_root, place):
    file, name = place.split("::")
    tree = ast.parse((project_root / "tests" / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("place", [BATCHES, DATA, MODEL, PARAMETERS, UPDATE, RATE, REPLACED])
def test_a_table_of_keys_names_every_key_it_is_said_to_show(project_root, place):
    text = (project_root / "tests" / place.split("::")[0]).read_text(encoding="utf-8")
    name = place.split("::")[1]
    table = text[: text.index(f"def {name}(")].rpartition("@pytest.mark.parametrize")[2]
    for key in (key for key, shown in SHOWN_BY.items() if shown == place):
        last = key.removeprefix("model.model_config")
        assert f'{last}"' in table, key
