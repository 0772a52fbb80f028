"""On the Chinese sample a student learns from a teacher, and more than without one."""

import json

import pytest

pytestmark = pytest.mark.slow

TEACHER_STEPS, STUDENT_STEPS = 600, 200
# A text this small is learned best as in run_quickstart_zh.yaml: no dropout, pre-layer-norm.
SHAPE = (
    "context.device_target=CPU",
    "model.model_config.hidden_size=64",
    "model.model_config.num_attention_heads=2",
    "model.model_config.intermediate_size=256",
    "model.model_config.max_position_embeddings=48",
    "model.model_config.hidden_dropout_prob=0",
    "model.model_config.attention_probs_dropout_prob=0",
    "model.model_config.initializer_range=0.06",
    "model.model_config.post_layernorm_residual=False",
    "train_dataset.data_loader.text_format=document",
    "train_dataset.max_seq_length=48",
    "train_dataset.masking.masked_lm_prob=0.3",
    "runner_config.batch_size=12",
    "lr_schedule.learning_rate=1e-3",
)
STUDENT = ("model.model_config.num_hidden_layers=1", "distillation.teacher_layers=null")
ALONE = ("distillation.alpha_ce=0", "distillation.alpha_cos=0")


@pytest.fixture(scope="module")
def perplexities(command, project_root, tmp_path_factory):
    """Held-out perplexity before and after: of the teacher, of a student with it and without."""
    folder = tmp_path_factory.mktemp("learns")
    text = project_root / "mindmlm" / "resources" / "sample_zh.txt"

    def trained(config, name, steps, *options):
        done = command.here(
            f"--config={project_root / 'configs' / config}",
            f"--dataset_dir={text}",
            f"--output_dir={folder / name}",
            f"--max_steps={steps}",
            f"--callbacks.EvalMonitor.eval_steps={steps}",
            f"--callbacks.CheckpointMonitor.save_checkpoint_steps={steps}",
            *(f"--{option}" for option in (*SHAPE, *options)),
        )
        assert done.code == 0, done.stderr
        lines = map(json.loads, (folder / name / "metrics.jsonl").read_text().splitlines())
        return [line["eval_perplexity"] for line in lines if "eval_perplexity" in line]

    options = (
        "model.model_config.num_hidden_layers=3",
        "processor.tokenizer.train_vocab_size=2000",
    )
    student = "distill/run_distill_tiny_zh.yaml"
    named = f"distillation.teacher={folder / 'teacher'}"
    return {
        "teacher": trained("bert/run_bert_tiny_zh.yaml", "teacher", TEACHER_STEPS, *options),
        "with": trained(student, "with", STUDENT_STEPS, named, *STUDENT),
        "without": trained(student, "without", STUDENT_STEPS, named, *STUDENT, *ALONE),
    }


def test_a_student_learns_and_more_than_alone(perplexities):
    (first, last), (same, alone) = perplexities["with"], perplexities["without"]
    assert first == same
    assert perplexities["teacher"][1] < 0.3 * perplexities["teacher"][0]
    assert last < 0.3 * first
    assert last < alone
