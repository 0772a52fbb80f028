"""Variables of the platform."""

import json
from pathlib import Path

import pytest

from mindmlm.errors import ConfigError
from mindmlm.modelarts.platform import Platform

from .conftest import rank_table


def test_rank_and_machines_come_from_the_platform(tmp_path):
    table = rank_table(tmp_path / "table.json", 4, servers=2)
    given = {"RANK_ID": "3", "RANK_SIZE": "4", "DEVICE_ID": "1", "RANK_TABLE_FILE": str(table)}
    found = Platform.from_environment(True, given)
    assert (found.rank, found.servers, found.cache_root) == (3, 2, Path("/cache"))
    alone = Platform.from_environment(False, given)
    assert (alone.rank, alone.servers) == (0, 1)
    times = {"MINDMLM_WAIT_SECONDS": "7", "MINDMLM_UPLOAD_SECONDS": "0.5"}
    assert Platform.from_environment(False, times).wait_seconds == 7
    assert Platform.from_environment(False, times).upload_seconds == 0.5


def test_the_platforms_first_form_of_a_rank_table(tmp_path):
    pods = [
        {"pod_name": f"job-{n}", "server_id": f"10.0.0.{n}", "devices": [{"device_id": "0"}]}
        for n in (1, 2)
    ]
    group = {"group_name": "job", "instance_count": "2", "instance_list": pods}
    path = tmp_path / "jobstart_hccl.json"
    path.write_text(json.dumps({"status": "completed", "group_list": [group]}))
    given = {"RANK_ID": "1", "RANK_SIZE": "2", "DEVICE_ID": "0", "RANK_TABLE_FILE": str(path)}
    assert Platform.from_environment(True, given).servers == 2
    path.write_text(json.dumps({"status": "completed", "group_list": [{}]}))
    with pytest.raises(ConfigError, match="version"):
        Platform.from_environment(True, given)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"RANK_ID": "4"}, "RANK_ID=4, but .* has the ranks 0 to 3"),
        ({"RANK_ID": "x"}, "RANK_ID=x: expected a whole number"),
        ({"RANK_SIZE": "8"}, "RANK_SIZE=8, but .* has 4 ranks"),
        ({"DEVICE_ID": "0"}, "DEVICE_ID=0, but rank 3 has card 1"),
        ({"MINDMLM_UPLOAD_SECONDS": "0"}, "expected a number of seconds above 0"),
        ({"MINDMLM_WAIT_SECONDS": "soon"}, "MINDMLM_WAIT_SECONDS=soon"),
        ({"RANK_TABLE_FILE": "/none.json"}, "cannot be read"),
    ],
)
def test_what_contradicts_itself(tmp_path, changed, message):
    table = rank_table(tmp_path / "table.json", 4, servers=2)
    given = {"RANK_ID": "3", "RANK_SIZE": "4", "DEVICE_ID": "1", "RANK_TABLE_FILE": str(table)}
    with pytest.raises(ConfigError, match=message):
        Platform.from_environment(True, given | changed)


def test_a_cache_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="set MINDMLM_CACHE_ROOT to a folder"):
        Platform(cache_root=tmp_path / "file" / "cache").usable_cache()
