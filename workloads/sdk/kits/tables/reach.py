"""How large a number a model of a table can compute with: beyond it, its answers are no finite numbers.

A scaled column, its square or a sum over columns may leave what float32 holds long before the number itself does. How
soon depends on what was learned, so a loaded model is asked, with ever smaller numbers in its columns until it answers.
"""

from collections.abc import Callable

import numpy as np

from workloads.sdk.kits.tables.columns import LARGEST, Number
from workloads.sdk.kits.tables.rows import Columns, Rows, of_values

STEP = 100  # from one number to the next
MIXED = 32  # rows in which signs are mixed by chance


def reach(outputs: Callable[[Rows], np.ndarray], columns: Columns) -> float:
    """The largest number that each column of numbers may hold; `LARGEST` where the model has no answer to any."""
    learned = {name: column for name, column in columns.items() if column.learned}
    numbers = [name for name, column in learned.items() if isinstance(column, Number)]
    if not numbers:
        return LARGEST
    alone = np.where(np.eye(len(numbers), dtype=bool), 1.0, np.nan)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (MIXED, len(numbers)))
    every = np.concatenate([alone, -alone, np.ones_like(signs[:1]), -np.ones_like(signs[:1]), signs])
    rest = {name: column.take([None] * len(every)) for name, column in learned.items() if name not in numbers}
    most = LARGEST
    while most > 1:
        found = of_values(learned, rest | {name: most * every[:, at] for at, name in enumerate(numbers)})
        with np.errstate(all="ignore"):
            answers = np.asarray(outputs(found), np.float64)
        # A sum in which no sign is against another may be so many times as large.
        if np.isfinite(answers).all() and np.abs(answers).max() * len(numbers) <= LARGEST:
            return most
        most = 10.0 ** np.floor(np.log10(most / STEP))
    return LARGEST
