"""The API against its own document: whatever is sent, the answer is as described (schemathesis)."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation.modes import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from patchmgr.domain.accounts import Role

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_api_answers_as_its_document_says(works, app, method, mode):
    works.started()
    works.create()
    app.testing = False  # an error is an answer here too
    headers = {"Authorization": f"Bearer {works.token(Role.ADMIN)}"}
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    failures = []

    for found in schema.include(method=method).get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=3,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def answers(case):
            case.call_and_validate(headers=headers, checks=CHECKS)

        try:
            answers()
        except Unsatisfiable:
            continue  # an operation that takes nothing has nothing wrong to take
        except (Exception, BaseExceptionGroup) as error:  # noqa: BLE001 -- all failures at once
            failures.append(f"{operation.label}: {error}")

    assert not failures, "\n\n".join(failures)
