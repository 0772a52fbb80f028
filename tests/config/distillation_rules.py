"""Rules of distillation, for test_checks.py."""

STUDENT = ["trainer.type=DistillationTrainer", "distillation.teacher=large"]
TEXT = "train_dataset.data_loader.dataset_dir=."
ALPHAS = [f"distillation.{name}=0" for name in ("alpha_mlm", "alpha_cos")]
TWO = ["use_parallel=True", "parallel_config.model_parallel=2", "context.device_target=Ascend"]

# As in test_checks.py: check -> (options refused, key named, part of the message, options allowed)
DISTILLATION_RULES = {
    "teacher_is_given": (
        [*STUDENT[:1], TEXT],
        "distillation.teacher",
        "DistillationTrainer needs a checkpoint to learn from; add --distillation.teacher PATH",
        [*STUDENT, TEXT],
    ),
    "teacher_is_used": (
        STUDENT[1:],
        "distillation.teacher",
        "trainer.type MaskedLanguageModelingTrainer has no teacher; use DistillationTrainer",
        STUDENT,
    ),
    "teacher_layers_fit": (
        [*STUDENT, "distillation.teacher_layers=[0, 11]"],
        "distillation.teacher_layers",
        "[0, 11] names 2 layers, and model.model_config.num_hidden_layers is 12",
        [
            *STUDENT,
            "distillation.teacher_layers=[0, 11]",
            "model.model_config.num_hidden_layers=2",
        ],
    ),
    "something_is_learned": (
        [*STUDENT, *ALPHAS, "distillation.alpha_ce=0"],
        "distillation.alpha_ce",
        "are all 0; nothing is left",
        [*STUDENT, *ALPHAS],
    ),
    "distillation_has_an_engine": (
        [*STUDENT, *TWO, "parallel_config.vocab_emb_dp=False"],
        "parallel_config.vocab_emb_dp",
        "the teacher's logits are whole",
        [*STUDENT, *TWO, "parallel_config.vocab_emb_dp=True"],
    ),
}
