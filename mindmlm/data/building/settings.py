"""How documents become the rows of a prepared data set."""

from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from mindmlm.data.building.shards import TFRECORD
from mindmlm.data.masking import MaskingSettings
from mindmlm.data.records.rows import STATIC
from mindmlm.data.references import reference_state
from mindmlm.data.segmentation import (
    DEFAULT_OPTIONS,
    REFERENCE_FILE,
    SegmenterOptions,
    segmenter_version,
)
from mindmlm.data.sentence_pairs import SINGLE
from mindmlm.data.sources.base import WHOLE, Slice


@dataclass(frozen=True)
class BuildSettings:
    """How documents become rows.

    Attributes:
        record_format: "mindrecord" or "tfrecord".
        form: "static" masks now; "dynamic" leaves it to training; "causal" are blocks for GPT-2,
            which ``masking``, ``sentence_pairs`` and ``short_seq_prob`` do not concern.
        max_seq_length: tokens of a row with its special ones; blocks hold one more.
        sample_mode: of blocks: "packed" or "line", see `causal_samples`.
        masking: of static rows.
        sentence_pairs, short_seq_prob: see `sample_rows`.
        dupe_factor: passes over the text, each with other masks and other short rows.
        random_seed: of everything random.
        segmenter, segmenter_options: how words are found.
        reference_file: word ids for the segmenter "reference_file".
        num_samples: most documents read; None = all.
        part: of the source, see `Slice`.
        shard_bytes: text of one shard, all passes counted; its tokens are in memory at once.
        workers: processes that tokenize; no influence on the result.
    """

    record_format: str = TFRECORD
    form: str = STATIC
    max_seq_length: int = 128
    sample_mode: str = "packed"
    masking: MaskingSettings = field(default_factory=MaskingSettings)
    sentence_pairs: str = SINGLE
    short_seq_prob: float = 0.1
    dupe_factor: int = 10
    random_seed: int = 12345
    segmenter: str = "none"
    segmenter_options: SegmenterOptions = DEFAULT_OPTIONS
    reference_file: str = ""
    num_samples: int | None = None
    part: Slice = WHOLE
    shard_bytes: int = 16 << 20
    workers: int = 2

    def identity(self) -> dict[str, Any]:
        """Return all that decides the rows, for a digest.

        Raises:
            DataError: the reference file is not there.
        """
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        del values["workers"], values["reference_file"]
        references = []
        if self.segmenter == REFERENCE_FILE:
            references = reference_state(Path(self.reference_file))
        return {
            **values,
            "masking": self.masking.identity(),
            "segmenter": segmenter_version(self.segmenter),
            "segmenter_options": asdict(self.segmenter_options),
            "references": references,
            "part": asdict(self.part),
        }

    def number_of(self, shard: int) -> int:
        """Return a number that no other shard of any part has."""
        return shard * self.part.count + self.part.index
