"""Addresses in a configuration."""

import pytest

from mindmlm.config import load_config
from mindmlm.errors import ConfigError

DATA = "train_dataset."


@pytest.mark.parametrize("place", ["option", "file"])
@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:t0psecret@host/db",
        "postgresql://me:t0p/secret@host/db",
        "mysql://host/db?password=t0psecret&a=b",
    ],
)
def test_a_password_in_an_address_is_refused_and_not_repeated(tmp_path, url, place):
    path = tmp_path / "run.yaml"
    section = f"train_dataset: {{data_loader: {{url: '{url}'}}}}\n"
    path.write_text(section if place == "file" else "trainer: {}\n")
    options = [f"{DATA}data_loader.url={url}"] if place == "option" else []
    with pytest.raises(ConfigError, match=r"url: holds a password.*credentials_file") as error:
        load_config(path, options, require_inputs=False)
    assert "secret" not in str(error.value)
