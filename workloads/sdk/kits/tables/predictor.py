"""What every served form of a table's model does alike: the request that its columns make, and the rows of one."""

from functools import cached_property
from typing import Any, ClassVar

from pydantic import BaseModel

from workloads.sdk import contract
from workloads.sdk.kits.tables.reach import reach
from workloads.sdk.kits.tables.requests import TableRequest, request_of, rows_of
from workloads.sdk.kits.tables.rows import Columns


class TablePredictor(contract.Predictor):
    """Inputs are `Rows`, or what a request of the workload's own gives: an array of numbers.

    Without a request of its own a workload takes any rows whose columns the model knows.
    """

    Request: ClassVar[type[BaseModel]] = request_of()
    columns: Columns

    def takes(self) -> type[BaseModel]:
        return self._form

    def inputs(self, request: Any) -> Any:
        return rows_of(request, self.columns, self._reach)

    @cached_property
    def _form(self) -> type[BaseModel]:
        return request_of(self.columns, self._reach) if issubclass(self.Request, TableRequest) else self.Request

    @cached_property
    def _reach(self) -> float:
        return reach(self.outputs, self.columns)
