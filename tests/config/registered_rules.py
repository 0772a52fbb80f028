"""Rules of classes that MindFormers registers, for test_checks.py."""

CUTS = "parallel_config."

# check -> (options refused, key named, part of the message, options just inside)
REGISTERED_RULES = {
    "callbacks_are_known": (
        ["callbacks.History={}"],
        "callbacks.History",
        "is refused: it keeps values in memory only",
        ["callbacks.LossMonitor={}"],
    ),
    "registered_arguments_fit": (
        ["optimizer.type=SGD", "optimizer.momentum=fast"],
        "optimizer.momentum",
        "expected a number, got 'fast'",
        ["optimizer.type=SGD", "optimizer.momentum=0.9"],
    ),
    "registered_optimizer_divides": (
        ["optimizer.type=Came", "use_parallel=True", f"{CUTS}model_parallel=2"],
        "optimizer.type",
        "Came looks at whole parameters, so its state cannot be divided",
        ["optimizer.type=Came", "use_parallel=True", f"{CUTS}data_parallel=2"],
    ),
}
