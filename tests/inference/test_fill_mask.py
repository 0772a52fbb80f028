"""Filling in blanks with a model whose answers are known."""

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn, ops

from mindmlm.errors import DataError
from mindmlm.inference.fill_mask import FillMask
from mindmlm.tokenizers.bert import SPECIAL_TOKENS, BertTokenizer

pytestmark = pytest.mark.usefixtures("graph_mode")
WORDS = list("今天气很好冷热我们去学校看书")
SPARE = 3


class Echo(nn.Cell):
    """Logits that name the token before each blank: 5 for it, 4 for the id after it, ..."""

    def __init__(self, vocab_size):
        super().__init__()
        self.vocab_size = vocab_size
        self.lengths = []

    def construct(self, ids, mask, segments, positions, keeps):
        self.lengths.append(ids.shape)
        before = ops.gather_elements(ids, 1, ops.maximum(positions - 1, 0))
        columns = ops.arange(0, self.vocab_size)
        offset = ops.reshape(columns, (1, -1)) - ops.reshape(before, (-1, 1))
        near = ops.logical_and(offset >= 0, offset < 5)
        logits = ops.where(near, 5.0 - ops.cast(offset, ms.float32), ms.Tensor(-9.0))
        spare = ops.cast(columns >= self.vocab_size - SPARE, ms.float32) * 100.0
        return logits + ops.reshape(spare, (1, -1))


@pytest.fixture
def tokenizer():
    return BertTokenizer([*SPECIAL_TOKENS, *WORDS])


@pytest.fixture
def fill(tokenizer):
    ms.set_context(mode=ms.PYNATIVE_MODE)
    yield lambda **settings: FillMask(
        Echo(tokenizer.vocab_size + SPARE), tokenizer, **{"max_length": 64, **settings}
    )
    ms.set_context(mode=ms.GRAPH_MODE)


def test_candidates_are_the_likeliest_in_order_and_never_a_spare_row(fill, tokenizer):
    (result,) = fill()(["今天天气[MASK]好"])
    assert result["text"] == "今天天气[MASK]好"
    (blank,) = result["blanks"]
    assert blank["position"] == 5
    tokens = [candidate["token"] for candidate in blank["candidates"]]
    assert tokens == ["气", "很", "好", "冷", "热"]
    scores = np.array([candidate["score"] for candidate in blank["candidates"]])
    logits = np.full(tokenizer.vocab_size, -9.0)
    first = tokenizer.vocab.index("气")
    logits[first : first + 5] = [5, 4, 3, 2, 1]
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(scores, expected[first : first + 5], rtol=1e-5)


def test_several_blanks_and_texts_of_several_lengths(fill):
    texts = ["[MASK]天", "今[MASK]气[MASK]冷[MASK]", "我们去学校看[MASK]"]
    for batch_size in (1, 2, 8):
        results = fill(batch_size=batch_size)(texts)
        assert [result["text"] for result in results] == texts
        positions = [[blank["position"] for blank in result["blanks"]] for result in results]
        assert positions == [[1], [2, 4, 6], [7]]
        best = [
            [blank["candidates"][0]["token"] for blank in result["blanks"]] for result in results
        ]
        assert best == [["[CLS]"], ["今", "气", "冷"], ["看"]]


def test_rows_are_padded_to_few_lengths(fill):
    filler = fill(batch_size=1)
    filler(["天" * count + "[MASK]" for count in (1, 9, 29, 30, 61)])
    assert filler.model.lengths == [(1, 32), (1, 32), (1, 32), (1, 64), (1, 64)]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["今天[MASK]", "今天"], r"text 2 \('今天'\) has no blank; write \[MASK\]"),
        (["天" * 62 + "[MASK]"], "has 65 tokens .* at most 64"),
        ([""], "text 1"),
    ],
)
def test_texts_that_cannot_be_filled(fill, texts, message):
    with pytest.raises(DataError, match=message):
        fill()(texts)


def test_a_text_of_the_greatest_length(fill):
    (result,) = fill()(["天" * 61 + "[MASK]"])
    assert result["blanks"][0]["position"] == 62
