"""The frontend, with made-up answers."""

from __future__ import annotations

import mock_data
from application import create_app

app = create_app(mock_data.respond)
