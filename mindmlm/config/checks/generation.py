"""Generation against itself, the model and the processes."""

from collections.abc import Iterator

from mindmlm.config.problems import Problem
from mindmlm.config.schema import RunConfig
from mindmlm.config.schema.generation import GenerationConfig


def generation_agrees(config: RunConfig) -> Iterator[Problem]:
    """See `generation_problems`."""
    yield from generation_problems(config.generation, "generation.")


def generation_problems(settings: GenerationConfig, section: str = "") -> Iterator[Problem]:
    """Settings that contradict each other; `section` stands before the names of keys."""
    wanted, beams = settings.num_return_sequences, settings.num_beams
    if beams > 1 and settings.do_sample:
        yield Problem(
            f"{section}num_beams",
            "beam search looks for the likeliest text and sampling draws one; use num_beams: 1 or "
            "do_sample: False",
        )
    if wanted > 1 and beams == 1 and not settings.do_sample:
        yield Problem(
            f"{section}num_return_sequences",
            f"{wanted} texts would all be the likeliest one; add do_sample: True, or num_beams: "
            f"{wanted}",
        )
    if 1 < beams < wanted:
        yield Problem(
            f"{section}num_return_sequences",
            f"{wanted} texts are more than the {beams} that num_beams follows; use at most "
            f"{beams}, or more beams",
        )
    if beams > 1 and settings.stream:
        yield Problem(
            f"{section}stream",
            "beam search knows its text only at the end; use stream: False or num_beams: 1",
        )
    if "" in settings.stop:
        yield Problem(f"{section}stop", "an empty text is everywhere; remove it")


def continuation_fits_positions(config: RunConfig) -> Iterator[Problem]:
    """A prompt has at least one token, so the continuation has at most all positions but one."""
    model, longest = config.model.settings, config.generation.max_new_tokens
    if config.run_mode != "predict" or model.type != "GPT2Config":
        return
    if longest >= model.max_position_embeddings:
        yield Problem(
            "generation.max_new_tokens",
            f"{longest} new tokens and a prompt are more than "
            f"model.model_config.max_position_embeddings, {model.max_position_embeddings}",
        )


def generation_runs_once(config: RunConfig) -> Iterator[Problem]:
    """Data-parallel ranks would write the same texts several times."""
    data_parallel = config.degrees[0]
    generates = config.run_mode == "predict" and config.model.settings.type == "GPT2Config"
    if generates and data_parallel > 1:
        yield Problem(
            "parallel_config.data_parallel",
            f"generation divides the model, not the prompts: {data_parallel} groups would write "
            "the same texts; set 1 and start model_parallel x pipeline_stage processes",
        )


def generation_notes(settings: GenerationConfig) -> list[str]:
    """Settings that were given and have no effect, in words; often none."""
    usual = GenerationConfig()
    given = [
        name
        for name in ("temperature", "top_k", "top_p", "seed")
        if getattr(settings, name) != getattr(usual, name)
    ]
    notes = []
    if given and not settings.do_sample:
        notes.append(f"generation: without do_sample, {', '.join(given)} has no effect")
    beams_only = [
        name
        for name in ("length_penalty", "early_stopping")
        if getattr(settings, name) != getattr(usual, name)
    ]
    if beams_only and settings.num_beams == 1:
        notes.append(f"generation: with num_beams 1, {', '.join(beams_only)} has no effect")
    return notes
