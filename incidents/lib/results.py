"""Files of results: a JSON array of objects, the last of each kind, each with the day it is of."""

import json
from datetime import datetime, timezone
from pathlib import Path


def update_results(path, rows, keys):
    """Puts `rows` (dicts) into the file, instead of those that are equal in all `keys`."""
    path = Path(path)
    today = datetime.now(timezone.utc).date().isoformat()
    named = {tuple(row[key] for key in keys): {**row, "date": today} for row in rows}
    try:
        before = json.loads(path.read_text())
    except (OSError, ValueError):
        before = []
    kept = [row for row in before if tuple(row.get(key) for key in keys) not in named]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([*kept, *named.values()], indent=1) + "\n")
