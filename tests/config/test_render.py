"""--print_config: what is printed can be loaded again and says where each value came from."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindmlm.config import RunConfig, load_config, render, to_plain
from mindmlm.config.nodes import to_python
from mindmlm.config.render import render_value
from mindmlm.config.yaml_source import parse_yaml, read_yaml

texts = st.text(max_size=30)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@settings(deadline=None)
@given(st.one_of(texts, numbers, st.integers(), st.booleans(), st.none(), st.lists(texts)))
def test_every_value_survives(value):
    text = render_value(value)
    read = to_python(parse_yaml(f"key: {text}  # a comment", "x"))
    assert read == {"key": value}
    assert type(read["key"]) is type(value)
    assert len(text.splitlines()) == 1


@settings(max_examples=50, deadline=None)
@given(
    texts.filter(bool),
    st.lists(texts),
    st.floats(1e-30, 1, exclude_max=True),
    st.integers(0, 2**32 - 1),
)
def test_a_rendered_config_loads_again(tmp_path_factory, name, data, rate, seed):
    folder = tmp_path_factory.mktemp("render")
    first = folder / "first.yaml"
    tree = {
        "seed": seed,
        "output_dir": name,
        "predict_data": data,
        "lr_schedule": {"learning_rate": rate},
    }
    first.write_text(json.dumps(tree))
    loaded = load_config(first, require_inputs=False, dotted={"trainer.model_name": name})
    second = folder / "second.yaml"
    second.write_text(render(loaded), encoding="utf-8")
    assert load_config(second, require_inputs=False).config == loaded.config
    assert loaded.config.predict_data == data


def test_every_value_has_its_origin(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run.yaml").write_text("seed: 3\n")
    loaded = load_config(
        "run.yaml", ["optimizer.eps=1e-9"], {}, {"epochs": 4}, require_inputs=False
    )
    lines = render(loaded).splitlines()
    assert "seed: 3  # run.yaml:1" in lines
    assert "  eps: 1.0e-09  # --options optimizer.eps=1e-9" in lines
    assert "  epochs: 4  # --epochs" in lines
    assert "  batch_size: 8  # default" in lines
    values = [line for line in lines if not line.endswith(":")]
    assert all("  # " in line for line in values)
    assert len(values) == len(loaded.origins)


def test_plain_data_is_json_and_valid_again(project_root):
    path = project_root / "configs" / "bert" / "run_bert_mini_zh.yaml"
    config = load_config(path, require_inputs=False).config
    plain = json.loads(json.dumps(to_plain(config)))
    assert "model_config" in plain["model"]
    assert RunConfig.model_validate(plain) == config


@pytest.mark.parametrize("scale", ["null", "512"])
def test_loss_scale_forms_survive(tmp_path, scale):
    path = tmp_path / "a.yaml"
    path.write_text(f"runner_wrapper: {{scale_sense: {scale}}}\n")
    loaded = load_config(path, require_inputs=False)
    path.write_text(render(loaded))
    assert load_config(path, require_inputs=False).config == loaded.config
    assert "runner_wrapper" in read_yaml(path).entries
