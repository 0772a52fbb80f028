"""Plans of the recipes: bytes of models that were built, a teacher, layouts of ELECTRA."""

from dataclasses import replace

import pytest

from mindmlm import build
from mindmlm.cli.plan_parallel import main
from mindmlm.config import load_config
from mindmlm.parallel.layout import ParallelLayout
from mindmlm.parallel.place import Place
from mindmlm.parallel.semi_auto.programs import bert_programs
from mindmlm.planning.activations import frame_of
from mindmlm.planning.arithmetic import stage_costs
from mindmlm.planning.device import DEVICES
from mindmlm.planning.engine_plan import predictions
from mindmlm.planning.kept import block_bytes, forward_bytes, loss_bytes
from mindmlm.planning.layouts import Candidate, Refused, overview
from mindmlm.planning.memory import rank_bytes
from mindmlm.planning.report import recommended, text_report
from mindmlm.planning.teacher import planned_teacher
from mindmlm.tasks.distillation import DistillationLoss

GB, VOCAB = 2**30, 71
SMALL = (
    "context.device_target=CPU",
    "model.model_config.hidden_size=48",
    "model.model_config.num_attention_heads=4",
    f"model.model_config.vocab_size={VOCAB}",
    f"processor.tokenizer.train_vocab_size={VOCAB}",
)
NARROW = (*SMALL, "model.model_config.num_hidden_layers=3")
RECIPES = {
    "mlm": ("bert/run_bert_tiny_zh.yaml", NARROW),
    "mlm, pooler": (
        "bert/run_bert_tiny_zh.yaml",
        (*NARROW, "model.model_config.add_pooling_layer=True"),
    ),
    "nsp": ("bert/run_nsp_tiny_zh.yaml", NARROW),
    "sop": ("bert/run_sop_tiny_zh.yaml", (*NARROW, "optimizer.type=lamb")),
    "questions": ("qa/run_qa_bert_tiny.yaml", NARROW),
    "electra": ("electra/run_electra_tiny.yaml", SMALL),
    "electra, projected": (
        "electra/run_electra_tiny.yaml",
        (
            *SMALL,
            "model.model_config.embedding_size=32",
            "model.model_config.generator_hidden_size=0.5",
        ),
    ),
}


def load(project_root, name, *options):
    path = project_root / "configs" / name
    return load_config(path, options, require_inputs=False).config


def size_of(values) -> int:
    return sum(value.asnumpy().nbytes for value in {id(value): value for value in values}.values())


@pytest.mark.parametrize("recipe", RECIPES)
def test_bytes_are_those_of_the_model_that_is_built(project_root, graph_mode, recipe):
    name, options = RECIPES[recipe]
    config = load(project_root, name, *options)
    (planned,) = rank_bytes(config, VOCAB, ParallelLayout())
    model = build.model_with_rows(config, VOCAB, Place.alone())
    updater = build.build_updater(config, model)
    every = list(model.cell.get_parameters())
    assert planned.parameters == size_of(every)
    assert planned.gradients == size_of(value for value in every if value.requires_grad)
    assert planned.optimizer == size_of(updater.state())


@pytest.fixture(scope="module")
def student(project_root, tmp_path_factory):
    """A function (options) -> a student with a teacher of another library, which is on the disk."""
    pytest.importorskip("transformers")
    from mindmlm.testing.teachers import STUDENT, write_teacher

    teacher = write_teacher(tmp_path_factory.mktemp("teacher") / "bert")

    def with_options(*options):
        named = f"distillation.teacher={teacher}"
        return load(project_root, "distill/run_distill_tiny_zh.yaml", *STUDENT, named, *options)

    return with_options


@pytest.mark.parametrize("frozen", [True, False])
def test_a_teacher_is_counted_with_its_student(student, graph_mode, frozen):
    config = student(f"distillation.freeze_position_embeddings={frozen}")
    config = build.task_of(config).completed()
    rows = config.model.settings.vocab_size
    model = build.model_with_rows(config, rows, Place.alone())
    updater = build.build_updater(config, model)
    loss = build.task_of(config).loss(model.cell, model.span)
    assert isinstance(loss, DistillationLoss)
    teacher = size_of(loss.teacher.get_parameters())
    every = list(model.cell.get_parameters())
    (planned,) = rank_bytes(config, rows, ParallelLayout())
    assert planned_teacher(config).weights == teacher
    assert planned.parameters == size_of(every) + teacher
    assert planned.gradients == size_of(value for value in every if value.requires_grad)
    assert planned.optimizer == size_of(updater.state())
    assert planned.gradients < planned.parameters - teacher or not frozen


def test_the_last_stage_has_the_teacher_and_its_forward_pass(student):
    config = student("model.model_config.num_hidden_layers=2")
    rows = planned_teacher(config).vocab_size
    alone = config.model_copy(
        update={
            "trainer": config.trainer.model_copy(update={"type": "MaskedLanguageModelingTrainer"})
        }
    )
    grid = ParallelLayout(1, 1, 2)
    (first, last), (same, less) = (rank_bytes(one, rows, grid) for one in (config, alone))
    assert first == same
    assert last.parameters - less.parameters == planned_teacher(config).weights
    assert (last.gradients, last.optimizer) == (less.gradients, less.optimizer)
    assert last.activations > less.activations and last.recomputed > less.recomputed
    costs = stage_costs(config, rows, 2)
    assert costs[0].frozen == 0.0 < costs[1].frozen
    # Cut over two ranks, a student halves; its teacher does not, and has one pass.
    assert costs[1].of_step(2, 3) == 1.5 * costs[1].trained + costs[1].frozen


def test_a_teacher_that_nothing_describes_is_named(project_root):
    path = "distill/run_distill_6l_base_chinese.yaml"
    lower = overview(load(project_root, path), 21128, 2, DEVICES["cpu"], 32 * GB)
    (remark,) = lower.remarks
    assert "12 layers 768 wide, 390.2 MB" in remark and "at least these" in remark
    config = load(project_root, path, "distillation.teacher_layers=null")
    unknown = overview(config, 21128, 2, DEVICES["cpu"], 32 * GB)
    assert unknown.remarks[0].startswith("not counted: the teacher")
    assert unknown.remarks[0] in text_report(unknown, config)
    assert unknown.best.needed < lower.best.needed


def test_another_optimizer_is_named(project_root):
    config = load(project_root, "bert/run_bert_tiny_zh.yaml", "optimizer={type: RMSProp}")
    (remark,) = overview(config, VOCAB, 1, DEVICES["cpu"], GB).remarks
    assert remark.startswith("not counted: the state of optimizer.type RMSProp")


def test_electra_has_copies_and_nothing_else(project_root):
    config = load(project_root, "electra/run_electra_small.yaml", "use_parallel=True")
    found = overview(config, 30522, 4, DEVICES["ascend910"], 32 * GB)
    kinds = {one.layout: type(one) for one in found.found}
    assert kinds.pop(ParallelLayout(4, 1, 1)) is Candidate
    assert set(kinds.values()) == {Refused}
    assert not found.best.recompute
    zero = config.parallel_config.model_copy(update={"optimizer_shard": True})
    shared = rank_bytes(
        config.model_copy(update={"parallel_config": zero}), 30522, ParallelLayout(4, 1, 1)
    )[0]
    assert shared.optimizer < 0.3 * found.best.fullest.optimizer


def test_electra_keeps_two_berts(project_root):
    """Without a projection and a narrower generator, both networks are the layers of one BERT."""
    shape = ("embedding_size=48", "generator_hidden_size=1.0", "num_attention_heads=1")
    options = [f"model.model_config.{one}" for one in (*shape, "intermediate_size=192")]
    both = load(project_root, "electra/run_electra_tiny.yaml", *SMALL, *options)
    settings = both.model.settings
    one = both.model_copy(
        update={"model": both.model.model_copy(update={"settings": settings.discriminator()})}
    )
    frame = frame_of(one, VOCAB, ParallelLayout())
    network = bert_programs(frame, predictions(both))
    encoder = block_bytes(network.embeddings) + settings.num_hidden_layers * block_bytes(
        network.layers[0]
    )
    filling = block_bytes(network.head) + loss_bytes(network.head)
    (planned,) = rank_bytes(both, VOCAB, ParallelLayout())
    rows, hidden = frame.rows, settings.hidden_size
    # What goes in, the activation's input and gate, and what the last product reads.
    finding = 4 * rows * hidden * 4
    assert planned.activations == 2 * encoder + filling + finding


def test_a_pass_that_keeps_nothing_needs_less(project_root):
    config = load(project_root, "bert/run_bert_base_chinese.yaml")
    frame = frame_of(config, 21128, ParallelLayout())
    network = bert_programs(frame, 20)
    settings, rows = frame.settings, frame.rows
    layer = network.layers[0]
    entry, inner = 4 * rows * settings.hidden_size, 4 * rows * settings.intermediate_size
    assert entry + inner < forward_bytes(layer) < 0.6 * block_bytes(layer)
    wider = bert_programs(replace(frame, batch=2 * frame.batch), 20)
    assert forward_bytes(wider.layers[0]) == pytest.approx(2 * forward_bytes(layer), rel=0.1)


def test_every_shipped_configuration_has_a_plan(project_root, capsys):
    names = sorted(project_root.glob("configs/*/run_*.yaml"))
    assert len(names) > 40
    for name in names:
        # 52 billion parameters with the 32 GB that their configuration asks for need 128 cards.
        devices = {"run_gpt2_13b.yaml": 32, "run_gpt2_52b.yaml": 128}.get(name.name, 8)
        code = main([str(name), f"--num_devices={devices}", "--device_memory=32GB"])
        printed = capsys.readouterr()
        assert code == 0, (name, printed.err)
        assert "recommended" in printed.out, name


@pytest.mark.parametrize(
    "name",
    [
        "electra/run_electra_small.yaml",
        "bert/run_nsp_base_uncased_128.yaml",
        "qa/run_qa_bert_tiny.yaml",
    ],
)
def test_what_is_recommended_loads(project_root, name):
    config = load(project_root, name, "use_parallel=True")
    best = overview(config, 30522, 4, DEVICES["ascend910"], 32 * GB).best
    options = [
        f"{section}.{key}={value}"
        for section, keys in recommended(best, config).items()
        for key, value in keys.items()
    ]
    loaded = load(project_root, name, "use_parallel=True", *options)
    grid = best.layout
    assert loaded.degrees == (grid.data_parallel, grid.model_parallel, grid.pipeline_stage)
    assert loaded.global_batch_size == config.global_batch_size
