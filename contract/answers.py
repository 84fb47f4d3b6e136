"""Whether an answer has the schema of the contract; openapi-core is the referee.

The text of its errors can hold a whole body, so what is reported is made here.
"""

from __future__ import annotations

import re
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from .judge import Deviation, envelope_of, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openapi_core import OpenAPI

    from .spec import Contract
    from .targets import Reply

ENVELOPES = {"kling": "KlingError", "gateway": "GatewayError", "task": "TaskError"}
SUBJECT = "answer.schema"
VARYING = re.compile(rb"[0-9]{10,}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""Ids and times: of the same form and length, they make no difference to a schema."""


@cache
def schemas_of(contract: Contract) -> AnswerSchemas:
    """Return the one judge of a contract's answers."""
    return AnswerSchemas(contract)


class AnswerSchemas:
    """Judges answers of one contract; the referee is loaded with the first."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._clean: set[tuple[str, int, str, bytes]] = set()
        """Answers with nothing wrong, without their ids and times: the referee takes 3 ms for each."""
        header = contract.document["components"]["headers"]["GatewayRequestId"]["schema"]
        self._gateway_id = re.compile(header["pattern"])

    def judge(self, operation_id: str, path: str, reply: Reply) -> Iterator[Deviation]:
        """Yield how an answer to an operation deviates from its schema; nothing for what is no operation."""
        operation = self._contract.operations.get(operation_id)
        if operation is None or envelope_of(reply.body) == "none":
            return
        form = self._form_of(operation_id, reply)
        if form in self._clean:
            return
        from openapi_core.testing import MockRequest, MockResponse  # noqa: PLC0415

        asked = MockRequest(self._contract.server_url, operation.method.lower(), path)
        content_type = reply.headers.get("content-type", "")
        answered = MockResponse(reply.content, reply.http, dict(reply.headers), content_type)
        evidence = self._evidence(operation_id, reply)
        found = [each for error in self._referee.iter_response_errors(asked, answered) for each in _problems(error)]
        if form and not found:
            self._clean.add(form)
        for kind, expected, got in found:
            yield Deviation(SUBJECT, kind, expected, got, evidence)

    def _form_of(self, operation_id: str, reply: Reply) -> tuple[str, int, str, bytes] | None:
        """Return what the verdict on an answer depends on; None if its headers are not as they should be."""
        gateway_id = reply.headers.get(self._contract.request_id_header, "")
        if not self._gateway_id.search(gateway_id):
            return None
        content = VARYING.sub(
            lambda found: re.sub(rb"[0-9a-f]", b"0", found[0]), reply.content.replace(gateway_id.encode(), b"id")
        )
        return operation_id, reply.http, reply.headers.get("content-type", ""), content

    @cached_property
    def _referee(self) -> OpenAPI:
        from openapi_core import OpenAPI  # noqa: PLC0415 - it takes half a second, and a plan does without

        return OpenAPI.from_dict(self._contract.document)

    def _evidence(self, operation_id: str, reply: Reply) -> str:
        success = "CreateAnswer" if operation_id == "create_task" else "QueryAnswer"
        name = ENVELOPES.get(envelope_of(reply.body), success)
        evidence: str = self._contract.document["components"]["schemas"][name]["x-evidence"]
        return evidence


def documented_fields(contract: Contract, operation_id: str, envelope: str) -> dict[str, str]:
    """Return what each field of an answer is: name of its schema, or its type, by its path; `[]` stands for an item."""
    success = "CreateAnswer" if operation_id == "create_task" else "QueryAnswer"
    schemas: dict[str, Any] = contract.document["components"]["schemas"]
    fields: dict[str, str] = {}

    def walk(schema: dict[str, Any], path: str) -> None:
        name = schema.get("$ref", "").rpartition("/")[2]
        schema = schemas[name] if name else schema
        fields[path] = name or str(schema.get("type", ""))
        for child, inner in schema.get("properties", {}).items():
            walk(inner, f"{path}.{child}" if path else child)
        if "items" in schema:
            walk(schema["items"], f"{path}[]")

    walk(schemas[ENVELOPES.get(envelope, success)], "")
    return fields


def _problems(error: Exception) -> Iterator[tuple[str, str, str]]:
    """Yield kind, what was expected and what came, for one error of openapi-core."""
    cause = error.__cause__
    schema_errors = getattr(cause, "schema_errors", None)
    if schema_errors is not None:
        for each in schema_errors:
            yield from _schema_problems(each)
    elif type(error).__name__ in {"MissingRequiredHeader", "MissingHeader"}:
        yield "missing_field", f"a header {getattr(error, 'name', '')}", "none"
    elif type(error).__name__ == "ResponseNotFound":
        yield "status", "one of the documented statuses", str(getattr(error, "http_status", "another"))
    else:
        yield "schema", "an answer that can be read by its schema", type(cause or error).__name__


def _schema_problems(error: Any) -> Iterator[tuple[str, str, str]]:
    if error.context:  # of several allowed schemas, what the nearest one says
        branches: dict[Any, list[Any]] = {}
        for each in error.context:
            branches.setdefault(each.schema_path[0], []).append(each)
        for each in min(
            branches.values(), key=lambda branch: (any(e.validator == "required" for e in branch), len(branch))
        ):
            yield from _schema_problems(each)
        return
    place = ".".join(str(step) for step in error.absolute_path)
    inside = f" in {place}" if place else ""
    if error.validator == "required":
        name = error.message.partition("'")[2].partition("'")[0]
        yield "missing_field", f"{name}{inside}", "none"
    elif error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in sorted(error.instance.keys() - known.keys()):
            yield "undocumented_field", f"no such field{inside}", shown(name)
    elif error.validator is None:  # a schema of `false`: the field must not be there
        yield "undocumented_field", f"no {place} here", place
    else:
        yield "schema", f"{place}: {error.validator} {shown(error.validator_value)}", shown(error.instance)
