"""Training by MindSpore's semi-automatic engine (`parallel_mode` 1, Ascend graphs).

The pure parts (`operators`, `builder`, `transformer`, `programs`, `plan`, `checker`) describe what
is cut and how; `network` and `blocks` carry it out (docs/design/semi-auto.md).
"""
