"""A program of a user's, run on several ranks: train, evaluate and go on in one process."""

import json
import sys
from pathlib import Path

from mindmlm import Trainer
from mindmlm.runtime.world import expected_size

folder, text, vocabulary, shape = sys.argv[1:]
size = expected_size() or 1
trainer = Trainer(
    {
        **json.loads(shape),
        "output_dir": folder,
        "runner_config": {"batch_size": 4 // size, "max_steps": 2},
    },
    task="fill_mask",
    model="bert_tiny_zh",
    train_dataset=Path(text).read_text(encoding="utf-8").splitlines(),
    tokenizer=vocabulary,
)
if size > 1:
    trainer.set_parallel_config(data_parallel=size, optimizer_shard=True)
output = trainer.train()
evaluation = trainer.evaluate()
again = trainer.train(True)
print(json.dumps([output.global_step, output.training_loss, evaluation, again.global_step]))
