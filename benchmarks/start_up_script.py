"""The least that trains BERT-base for one step with transformers: 8 rows of 128 random tokens."""

import os

import torch
from transformers import BertConfig, BertForMaskedLM


def main() -> None:
    """Build, do one step, say so."""
    torch.manual_seed(0)
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = BertForMaskedLM(BertConfig()).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-6, weight_decay=0.01)
    ids = torch.randint(1000, 30522, (8, 128))
    labels = torch.where(torch.rand(ids.shape) < 0.15, ids, torch.full_like(ids, -100))
    loss = model(input_ids=ids, attention_mask=torch.ones_like(ids), labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(f"step 1, loss {loss.item():.4f}", flush=True)


if __name__ == "__main__":
    main()
