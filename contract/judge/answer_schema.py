"""Whether an answer has the schema of the contract; openapi-core is the referee.

What jsonschema-rs finds right is right for the referee too (a property test holds them against each other) and is
found a thousand times as fast; the referee is asked about all else, since it also says what is wrong. The text of its
errors can hold a whole body, so what is reported is made here.
"""

from __future__ import annotations

import re
from functools import cache, cached_property, reduce
from operator import getitem
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs

from ..evidence import UNKNOWN, Evidence
from .deviation import Deviation, clipped, shown
from .reading import envelope_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openapi_core import OpenAPI

    from ..spec import Contract
    from ..targets.target import Reply

ENVELOPES = {"kling": "KlingError", "gateway": "GatewayError", "task": "TaskError"}
ANSWERS = {"create_task": "CreateAnswer", "create_plain_task": "CreateAnswer", "list_tasks": "ListAnswer"}
"""Schema of a success, by operation; a query has another one."""
REQUIREMENT = "answer.schema"
JSON = "application/json"
PLAINLY_JSON = re.compile(rf"{JSON}(?:; ?charset=utf-8)?", re.IGNORECASE)
"""The usual ways to say so; all others are for the referee."""
NOWHERE = "nowhere"
"""Path of a field that no page mentions."""
UNMENTIONED = Evidence(UNKNOWN, "", "")


class Problem(NamedTuple):
    """What is wrong with an answer by its schema."""

    kind: str
    """One of DEVIATION_KINDS."""
    expected: str
    got: str
    field: str = ""
    """Path of the field; `[]` stands for an item."""
    evidence: list[str] | None = None
    """Of what is expected, where it is not that of the field."""


@cache
def schemas_of(contract: Contract) -> AnswerSchemas:
    """Return the one judge of a contract's answers."""
    return AnswerSchemas(contract)


class AnswerSchemas:
    """Judges answers of one contract; the referee is loaded with the first that is not clearly right."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._validators: dict[tuple[str, int], jsonschema_rs.Draft202012Validator | None] = {}
        headers = contract.document["components"].get("headers", {})  # a contract without a gateway has none
        self._gateway_id = re.compile(headers["GatewayRequestId"]["schema"]["pattern"] if headers else "")

    def judge(self, operation_id: str, path: str, reply: Reply) -> Iterator[Deviation]:
        """Yield how an answer to an operation deviates from its schema; nothing for what is no operation."""
        operation = self._contract.operations.get(operation_id)
        if operation is None or envelope_of(reply.body) == "none" or self._is_right(operation_id, reply):
            return
        from openapi_core.testing import MockRequest, MockResponse  # noqa: PLC0415

        asked = MockRequest(self._contract.server_url, operation.method.lower(), path.partition("?")[0])
        content_type = reply.headers.get("content-type", "")
        answered = MockResponse(reply.content, reply.http, dict(reply.headers), content_type)
        try:
            problems = [
                problem for error in self._referee.iter_response_errors(asked, answered) for problem in _problems(error)
            ]
        except ValueError:  # a Content-Type that openapi-core cannot take apart
            problems = [Problem("schema", f"Content-Type {JSON}", shown(content_type))]
        known = self._evidence(operation_id, envelope_of(reply.body))
        for kind, expected, got, field, own in problems:
            source = own or known.get(field) or self._contract.document["x-promises"][REQUIREMENT]["evidence"]
            evidence = UNMENTIONED if field == NOWHERE else self._contract.sources.evidence(source, field)
            yield Deviation(REQUIREMENT, kind, expected, got, evidence)

    def _is_right(self, operation_id: str, reply: Reply) -> bool:
        """Tell whether there is clearly nothing wrong with an answer."""
        asked_for = (operation_id, reply.http)
        if asked_for not in self._validators:
            self._validators[asked_for] = self._compile(*asked_for)
        validator = self._validators[asked_for]
        if validator is None or not PLAINLY_JSON.fullmatch(reply.headers.get("content-type", "")):
            return False
        if not self._gateway_id.search(reply.headers.get(self._contract.request_id_header, "")):
            return False
        try:
            return validator.is_valid(reply.body)
        except ValueError:  # a lone surrogate
            return False

    def _compile(self, operation_id: str, http: int) -> jsonschema_rs.Draft202012Validator | None:
        """Return the validator of an answer; None if the status is not documented."""
        operation = self._contract.operations[operation_id]
        document = self._contract.document
        answer = document["paths"][operation.path][operation.method.lower()]["responses"].get(str(http))
        if answer is None:
            return None
        name = answer.get("$ref", "").rpartition("/")[2]
        answer = document["components"]["responses"][name] if name else answer
        schema = {**answer["content"][JSON]["schema"], "components": document["components"]}
        return jsonschema_rs.Draft202012Validator(schema, validate_formats=True)

    @cached_property
    def _referee(self) -> OpenAPI:
        from openapi_core import OpenAPI  # noqa: PLC0415 - it takes half a second, and a plan does without

        return OpenAPI.from_dict(self._contract.document)

    def _evidence(self, operation_id: str, envelope: str) -> dict[str, list[str]]:
        """Return what is written of how well each field of an answer is known, by its path."""
        header = self._contract.document["components"].get("headers", {}).get("GatewayRequestId", {})
        found = {f"header {self._contract.request_id_header}": header.get("x-evidence")}
        return found | {
            path: schema.get("x-evidence") for path, schema in _fields(self._contract, operation_id, envelope)
        }


def field_in(deviation: Deviation) -> str:
    """Return the field of which a deviation from the schema is, without where it stands; `status` is taken for one."""
    if deviation.kind == "status":
        return "status"
    return deviation.expected.partition(":" if deviation.kind == "schema" else " ")[0].rpartition(".")[2]


def documented_fields(contract: Contract, operation_id: str, envelope: str) -> dict[str, str]:
    """Return what each field of an answer is: name of its schema, or its type, by its path; `[]` stands for an item."""
    return {
        path: schema.get("$ref", "").rpartition("/")[2] or str(schema.get("type", ""))
        for path, schema in _fields(contract, operation_id, envelope)
    }


def _fields(contract: Contract, operation_id: str, envelope: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield path and schema of each field of an answer, and of the answer itself; `[]` stands for an item."""
    success = ANSWERS.get(operation_id, "QueryAnswer")
    schemas: dict[str, Any] = contract.document["components"]["schemas"]

    def walk(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
        yield path, schema
        schema = reduce(getitem, schema["$ref"][2:].split("/"), contract.document) if "$ref" in schema else schema
        for child, inner in schema.get("properties", {}).items():
            yield from walk(inner, f"{path}.{child}" if path else child)
        if "items" in schema:
            yield from walk(schema["items"], f"{path}[]")

    yield from walk(schemas[ENVELOPES.get(envelope, success)], "")


def _problems(error: Exception) -> Iterator[Problem]:
    """Yield what is wrong by one error of openapi-core."""
    cause = error.__cause__
    schema_errors = getattr(cause, "schema_errors", None)
    if schema_errors is not None:
        for schema_error in schema_errors:
            yield from _schema_problems(schema_error)
    elif type(error).__name__ in {"MissingRequiredHeader", "MissingHeader"}:
        name = getattr(error, "name", "")
        yield Problem("missing_field", f"a header {name}", "none", f"header {name}")
    elif type(error).__name__ == "ResponseNotFound":
        yield Problem("status", "one of the documented statuses", str(getattr(error, "http_status", "another")))
    else:
        reason = cause or error
        if mime_type := getattr(reason, "mimetype", ""):
            yield Problem("schema", f"Content-Type {JSON}", shown(mime_type))
        else:
            yield Problem("schema", "an answer that can be read by its schema", "one that cannot")


def _schema_problems(error: Any) -> Iterator[Problem]:
    if error.context:  # of several allowed schemas, what the nearest one says
        branches: dict[Any, list[Any]] = {}
        for cause in error.context:
            branches.setdefault(cause.schema_path[0], []).append(cause)
        # The nearest lacks nothing that it requires, or else has the fewest faults:
        for cause in min(branches.values(), key=lambda branch: (_lacks_something(branch), len(branch))):
            yield from _schema_problems(cause)
        return
    field = ".".join(str(step) for step in error.absolute_path)
    path = "".join("[]" if isinstance(step, int) else f".{step}" for step in error.absolute_path).removeprefix(".")
    inside = f" in {field}" if field else ""
    own = error.schema.get("x-evidence") if error.validator in {"required", "not"} else None
    if error.validator == "required":
        name = error.message.partition("'")[2].partition("'")[0]
        yield Problem("missing_field", f"{name}{inside}", "none", f"{path}.{name}".removeprefix("."), own)
    elif error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        for name in sorted(error.instance.keys() - known.keys()):
            where = f"{path}.{name}".removeprefix(".")
            yield Problem("undocumented_field", "fields that some page mentions", clipped(where), NOWHERE)
    elif error.validator == "not":  # of our schemas, the one that says when a field must not be there
        (name,) = error.validator_value["required"]
        yield Problem("undocumented_field", f"no {name}{inside} here", name, f"{path}.{name}".removeprefix("."), own)
    else:
        yield Problem(
            "schema", f"{field}: {error.validator} {shown(error.validator_value)}", shown(error.instance), path
        )


def _lacks_something(errors: list[Any]) -> bool:
    return any(error.validator == "required" for error in errors)
