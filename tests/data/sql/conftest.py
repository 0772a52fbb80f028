"""Tables are read through SQLAlchemy."""

import pytest

pytest.importorskip("sqlalchemy")
