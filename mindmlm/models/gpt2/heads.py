"""What is put on top of GPT-2 for a task."""

import mindspore as ms
from mindspore import Parameter, nn

from mindmlm.config.schema.gpt2 import GPT2ModelConfig
from mindmlm.models.gpt2.model import GPT2Model, GPT2Part
from mindmlm.models.layers import Matmul, number_layers
from mindmlm.models.spans import Span


class GPT2LMHeadModel(nn.Cell):
    """Decoder with the language-model head, which is the word embedding.

    Args:
        config: the model section of the configuration.
        vocab_size: rows of the word embedding.
        span: the layers to build, see `GPT2Model`; the head is there with the last one.
    """

    def __init__(self, config: GPT2ModelConfig, vocab_size: int, span: Span | None = None) -> None:
        super().__init__()
        self.config = config
        self.gpt2 = GPT2Model(config, vocab_size, span)
        self.span = self.gpt2.span
        if self.span.last:
            self.decode = Matmul(config.compute_dtype)
        number_layers(self.gpt2.layers, "gpt2.layers", self.span)

    def parameters_of(self, span: Span) -> list[Parameter]:
        """Trained parameters that a part of the model uses; a tied one belongs to two parts."""
        values = GPT2Part(self.gpt2, span).trainable_params()
        if span.last:
            values.append(self.gpt2.embeddings.word)
        return list({value.name: value for value in values}.values())

    def predict(self, x: ms.Tensor) -> ms.Tensor:
        """Logits [rows, vocab] of the decoder's output x [rows, hidden]."""
        return self.decode(x, self.gpt2.embeddings.word)

    def construct(
        self,
        input_ids: ms.Tensor,
        keeps: tuple,
        document_ids: ms.Tensor | None = None,
        position_ids: ms.Tensor | None = None,
    ) -> ms.Tensor:
        """Logits at all positions, for a model that was built whole.

        Args:
            input_ids: int32 [batch, sequence].
            keeps: dropout masks, see `GPT2Model`.
            document_ids, position_ids: of rows whose documents are kept apart, see `GPT2Model`.

        Returns:
            float32 [batch * sequence, vocab].
        """
        return self.predict(self.gpt2(None, input_ids, keeps, document_ids, position_ids))
