"""BERT for question answering against Hugging Face's, with the same random weights."""

import mindspore as ms
import numpy as np
import pytest

from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.conversion.architectures import BERT_QA, bert_qa_parameters
from mindmlm.models.bert.question_answering import BertForQuestionAnswering
from mindmlm.models.spans import Span
from mindmlm.parallel.stage import ForwardBackward
from mindmlm.tasks.qa import QuestionAnsweringEvaluation, QuestionAnsweringLoss
from mindmlm.testing.tiny_bert import SHAPE, VOCAB, huggingface_bert, random_batch

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

SETTINGS = BertModelConfig(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **SHAPE)
STARTS, ENDS = np.array([3, 0, 1], np.int32), np.array([7, 0, 4], np.int32)


def theirs_by_our_name(theirs):
    recipes = BERT_QA.table("huggingface").recipes(bert_qa_parameters(SETTINGS, VOCAB))
    state = dict(theirs.named_parameters())
    return {ours: state[recipe.theirs] for ours, recipe in recipes.items()}


@pytest.fixture(scope="module")
def models(graph_mode):
    theirs = huggingface_bert("BertForQuestionAnswering", hidden_dropout_prob=0.0)
    # The padding of the batches: transformers gives its embedding no gradient.
    assert theirs.bert.embeddings.word_embeddings.padding_idx == 0
    ours = BertForQuestionAnswering(SETTINGS, VOCAB)
    named = theirs_by_our_name(theirs)
    for value in ours.get_parameters():
        value.set_data(ms.Tensor(named[value.name].detach().numpy()))
    return theirs, ours


def huggingface_output(theirs, batch):
    ids, mask, segments, starts, ends = (
        torch.from_numpy(array.astype(np.int64))
        for array in (batch["ids"], batch["mask"], batch["segments"], STARTS, ENDS)
    )
    return theirs(
        input_ids=ids,
        attention_mask=mask,
        token_type_ids=segments,
        start_positions=starts,
        end_positions=ends,
    )


def test_the_parameters_are_those_of_the_table(models):
    _, ours = models
    shapes = {value.name: tuple(value.shape) for value in ours.get_parameters()}
    assert shapes == bert_qa_parameters(SETTINGS, VOCAB)
    assert shapes["qa.weight"] == (2, SHAPE["hidden_size"]) and shapes["qa.bias"] == (2,)


def test_scores_loss_and_gradients_equal_huggingface(models):
    theirs, ours = models
    batch = random_batch(3)
    batch["ids"] *= batch["mask"]
    output = huggingface_output(theirs, batch)
    theirs.zero_grad()
    output.loss.backward()
    inputs = [ms.Tensor(batch[key]) for key in ("ids", "mask", "segments")]
    places = [ms.Tensor(array) for array in (STARTS, ENDS, np.ones(3, np.float32))]
    nothing = ms.Tensor([0.0])

    ours.set_train(False)
    scores = ours(*inputs, ()).asnumpy()
    for ours_found, expected in zip(scores, (output.start_logits, output.end_logits), strict=True):
        assert np.abs(ours_found - expected.detach().numpy()).max() <= 1e-5

    parameters = ours.trainable_params()
    step = ForwardBackward(QuestionAnsweringLoss(ours), parameters)
    step.set_train(True)
    no_masks = [ms.Tensor(np.ones(1, np.bool_))] * (1 + 3 * SHAPE["num_hidden_layers"])
    scale = ms.Tensor(np.float32(1 / 3))
    loss, (_, gradients) = step(nothing, scale, *inputs, *places, *no_masks)
    assert float(loss.asnumpy()) == pytest.approx(output.loss.item(), rel=1e-6)
    named = theirs_by_our_name(theirs)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        reference = named[parameter.name].grad.numpy()
        difference = np.linalg.norm(gradient.asnumpy() - reference)
        relative = 0.0 if parameter.name.endswith("key.bias") else np.linalg.norm(reference)
        assert difference <= 1e-4 * relative + 1e-6, (parameter.name, difference, relative)


def test_rows_without_weight_have_no_loss(models):
    _, ours = models
    batch = random_batch(4)
    cell = QuestionAnsweringEvaluation(ours)
    cell.set_train(False)
    inputs = [ms.Tensor(batch[key]) for key in ("ids", "mask", "segments")]

    def loss(weights):
        places = [ms.Tensor(array) for array in (STARTS, ENDS, np.array(weights, np.float32))]
        return float(cell(ms.Tensor([0.0]), *inputs, *places)[1].asnumpy())

    single = [loss(row) for row in np.eye(3)]
    assert min(single) > 0.0
    assert loss([1, 0, 1]) == pytest.approx(single[0] + single[2], rel=1e-6)
    assert loss([0, 0, 0]) == 0.0


def test_stages_share_no_word_embedding():
    first = BertForQuestionAnswering(SETTINGS, VOCAB, Span(0, 1, 2))
    last = BertForQuestionAnswering(SETTINGS, VOCAB, Span(1, 2, 2))
    names = [{value.name for value in part.get_parameters()} for part in (first, last)]
    assert not names[0] & names[1]
    assert names[0] | names[1] == set(bert_qa_parameters(SETTINGS, VOCAB))
    assert "bert.embeddings.word" in names[0] and "qa.weight" in names[1]
