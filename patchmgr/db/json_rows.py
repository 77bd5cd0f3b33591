"""Some rows of one query as a JSON value in another: what stands around a page in one statement.

For small tables only: the rows are made into text and back.
"""

from typing import Any

from sqlalchemy import JSON, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class _Rows(FunctionElement[Any]):
    """An aggregate: the values of its columns, an array for each row."""

    type = JSON()
    inherit_cache = True


def rows_of(*columns: Any) -> ColumnElement[Any]:
    """Return an aggregate of ``columns``: a list of lists in no order, None without rows.

    Instants come as the microseconds that are stored.
    """
    return _Rows(*columns)


@compiles(_Rows, "sqlite")
def _sqlite(element: _Rows, compiler: SQLCompiler, **more: Any) -> str:
    values = [
        f"json({text})" if isinstance(each.type, JSON) else text
        for each in element.clauses
        for text in [compiler.process(each, **more)]
    ]
    return f"json_group_array(json_array({', '.join(values)}))"


@compiles(_Rows, "postgresql")
def _postgresql(element: _Rows, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_agg(json_build_array({compiler.process(element.clauses, **more)}))"
