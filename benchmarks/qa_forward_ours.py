"""Worker: scores of questions by our BERT-base for question answering, random weights."""

import argparse

import numpy as np

from benchmarks.worker import serve
from mindmlm.config.schema.bert import BertModelConfig
from mindmlm.runtime.context import initialise

VOCAB = 30522


def main() -> None:
    """Parse the shape, build the model, serve."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, required=True)
    parser.add_argument("--sequence", type=int, required=True)
    options = parser.parse_args()
    initialise("CPU", device_id=0, mode=0)
    import mindspore as ms

    from mindmlm.models.bert.question_answering import BertForQuestionAnswering
    from mindmlm.models.initialization import initial_value

    config = BertModelConfig()
    model = BertForQuestionAnswering(config, VOCAB)
    for value in model.get_parameters():
        start = initial_value(value.name, value.shape, 0, config.initializer_range)
        value.set_data(ms.Tensor(start))
    model.set_train(False)
    rng = np.random.default_rng(0)
    shape = (options.batch_size, options.sequence)
    ids = rng.integers(0, VOCAB, shape).astype(np.int32)
    segments = np.tile((np.arange(shape[1]) > 16).astype(np.int32), (shape[0], 1))
    tensors = [ms.Tensor(array) for array in (ids, np.ones(shape, np.int32), segments)]

    def work() -> float:
        model(*tensors, ()).asnumpy()
        return float(options.batch_size)

    serve(work, warm_up=1)


if __name__ == "__main__":
    main()
