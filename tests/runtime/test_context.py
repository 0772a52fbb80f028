"""Which device a run uses."""

import logging

import pytest

from mindmlm.errors import ConfigError
from mindmlm.runtime import context


@pytest.fixture(autouse=True)
def no_device_yet(monkeypatch):
    """A device is set once a process; each test here starts as a new process does."""
    monkeypatch.setattr(context, "_chosen", set())


@pytest.mark.parametrize(
    ("asked", "answers", "target"),
    [
        ("auto", False, "CPU"),
        ("auto", True, "Ascend"),
        ("CPU", True, "CPU"),
        ("Ascend", True, "Ascend"),
    ],
)
def test_the_device_that_is_taken(monkeypatch, asked, answers, target):
    monkeypatch.setattr(context, "ascend_answers", lambda: answers)
    assert context.choose_device(asked).target == target


def test_ascend_without_a_card_is_refused(monkeypatch):
    monkeypatch.setattr(context, "ascend_answers", lambda: False)
    with pytest.raises(ConfigError, match="no Ascend card answers"):
        context.choose_device("Ascend")


@pytest.mark.parametrize("mode", [0, 1])
def test_card_and_mode_reach_mindspore(monkeypatch, mode):
    import mindspore

    calls = []
    monkeypatch.setattr(context, "ascend_answers", lambda: True)
    monkeypatch.setattr(mindspore, "set_device", lambda *words: calls.append(words))
    monkeypatch.setattr(mindspore, "set_context", lambda **words: calls.append(words))
    context.initialise("auto", 3, mode)
    assert calls == [("Ascend", 3), {"mode": mode}]


@pytest.mark.parametrize(("text", "given"), [("31GB", 31), ("0.5 tb", 512), ("512MiB", 0.5)])
def test_the_limit_of_memory_reaches_a_card_and_no_cpu(monkeypatch, caplog, text, given):
    import mindspore
    from mindspore.runtime import memory

    calls = []
    monkeypatch.setattr(mindspore, "set_device", lambda *words: None)
    monkeypatch.setattr(mindspore.runtime, "set_memory", lambda **words: calls.append(words))
    monkeypatch.setattr(context, "ascend_answers", lambda: True)
    context.initialise("Ascend", 0, 0, text)
    ((name, size),) = calls.pop().items()
    memory._check_memory_conf_valid(size)
    assert (name, float(size[:-2])) == ("max_size", given)
    assert context.initialise("Ascend", 0, 0).notes == ()
    with caplog.at_level(logging.INFO):
        context.initialise("CPU", 0, 0, text).log()
    assert calls == []
    assert f"max_device_memory: {text} has no effect on a CPU" in caplog.text


def test_no_card_answers_on_a_machine_without_one(graph_mode):
    import mindspore

    assert context.ascend_answers() is False
    assert mindspore.get_context("device_target") == "CPU"
