"""Starts MiniStack with what streams.py and rights.py add. It obeys the environment variables that ministack itself does."""
from ministack import app

import rights  # noqa: F401
import streams  # noqa: F401

# The stack's buckets and queues refuse http, and this listens on loopback alone.
app.pin_request_origin = lambda address, _secure: rights.iam_evaluator.pin_request_origin(address, True)
app.main()
