"""Our networks, tokenizers and data sets in the registry of MindFormers (docs/mindformers.md)."""

from collections.abc import Mapping

from mindmlm.errors import ConfigError
from mindmlm.runtime.mindformers_registry import mindformers_registry


def register() -> dict[str, tuple[str, ...]]:
    """Put everything under its name into MindFormers' registry; a second call changes nothing.

    MindFormers' builders (`build_model`, `build_network`, `build_tokenizer`, `build_dataset`) and
    its `Trainer` then make them from a YAML of MindFormers 1.9.0.

    Returns:
        The names by the registry's module types (config, models, tokenizer, dataset, wrapper).

    Raises:
        ConfigError: MindFormers is not installed, or has something else under one of the names.
    """
    registry = mindformers_registry()
    from mindmlm.integrations.mindformers_data import DATA_SETS
    from mindmlm.integrations.mindformers_models import CONFIGS, NETWORKS
    from mindmlm.integrations.mindformers_step import WRAPPERS
    from mindmlm.integrations.mindformers_tokenizers import TOKENIZERS

    groups: dict[str, Mapping[str, type]] = {
        "config": CONFIGS,
        "models": NETWORKS,
        "tokenizer": TOKENIZERS,
        "dataset": DATA_SETS,
        "wrapper": WRAPPERS,
    }
    for module_type, classes in groups.items():
        for name, registered in classes.items():
            present = registry.registry.get(module_type, {}).get(name)
            if present not in (None, registered):
                raise ConfigError(
                    f"MindFormers has a {module_type} {name} already ({present.__module__}); "
                    "remove it, or use mindmlm without register()"
                )
            registry.register_cls(registered, module_type=module_type, alias=name)
    return {module_type: tuple(classes) for module_type, classes in groups.items()}
