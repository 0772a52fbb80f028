"""Jobs on ModelArts: where results go, and two interleaved halves of a batch."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig

_STORES = ("obs", "s3", "oss")


def results_go_somewhere_else(config: RunConfig) -> Iterator[Problem]:
    """An address of a store that can be written, without keys in it."""
    url = config.remote_save_url
    if not url:
        return
    parts = urlsplit(url)
    if "://" not in url:
        if url.rstrip("/") == config.output_dir.rstrip("/"):
            yield Problem(
                "remote_save_url", f"{url} is output_dir itself; name another folder or an address"
            )
    elif parts.scheme not in _STORES:
        known = ", ".join(f"{name}://" for name in _STORES)
        yield Problem(
            "remote_save_url", f"{parts.scheme}:// is not known; expected {known} or a folder"
        )
    elif not parts.netloc or "@" in parts.netloc:
        yield Problem(
            "remote_save_url",
            f"expected {parts.scheme}://BUCKET/FOLDER; keys belong in the environment",
        )


def interleaving_has_an_engine(config: RunConfig) -> Iterator[Problem]:
    """Only a compiled graph has messages that can pass while the device computes."""
    if config.micro_batch_interleave_num == 1:
        return
    mode = config.parallel_mode if config.use_parallel else None
    if mode == 1:
        rows = config.runner_config.batch_size
        if rows % 2 == 0:
            return
        reason = f"runner_config.batch_size {rows} has no two halves; choose an even one"
    elif mode == 3:
        reason = (
            "parallel_mode 3 (hybrid_parallel) runs its collectives in the order of the program "
            "and waits for each, so that two halves of a batch would only take longer; use 1"
        )
    else:
        reason = "it hides the messages of model parallelism, and there are none here; use 1"
    yield Problem("micro_batch_interleave_num", f"2 (--double_parallel 2): {reason}")
