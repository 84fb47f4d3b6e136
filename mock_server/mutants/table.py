"""The table of mutants: simulators that are wrong in exactly one named way, to test the contract kit.

Whoever adds a row has it tested; `hunt.py` runs the kit against them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin

from klingkit.contract.cases.sample_pictures import picture
from klingkit.contract.cases.tokens import wrong_tokens
from klingkit.contract.choice import CONTRACTS, WITH_PLAIN

from . import defects
from .hunt import Mutant
from .making import (
    KEY,
    OTHER_KEY,
    PAIR,
    answers,
    between,
    calls,
    contract,
    created,
    does,
    fetched,
    field_of,
    listed,
    no_such_task,
    overlooks,
    page,
    plain_field,
    plans,
    queried,
    reads,
    reads_bytes,
    refused,
    refused_by_gateway,
    replies,
    right,
    showing,
    wrong_method,
)

if TYPE_CHECKING:
    from klingkit.contract import Contract

SUBJECTS = "subject_image_list"
SUCCESS = {"code": 0, "message": "fine"}
VENDOR = ("kling",)
GATEWAY = WITH_PLAIN
"""The contracts of CometAPI, which stands before the vendor."""


def mutants_of(base: Contract) -> tuple[Mutant, ...]:
    """Return the mutants of a contract: of a row that is about what it does not have, there is none."""
    promised = set(base.rules.keys() | base.promises.keys())
    if "create_plain_task" in base.operations:
        promised -= {f"{SUBJECTS}.required"}  # without them it is another operation
    fitting = (row for row in _rows(base) if row.guilty in promised and base.name in (row.only or CONTRACTS))
    return tuple(replace(row, make=partial(row.make, base=base)) for row in fitting)


def _rows(base: Contract) -> tuple[Mutant, ...]:
    nodes = base.request.nodes
    subject, scene, style = (
        next(".".join(path) for path, node in nodes.items() if node.get("x-role") == role)
        for role in ("subject", "scene", "style")
    )

    def each(keyword: str) -> tuple[str, ...]:
        """Return the rule of each picture: the limits are those of all."""
        return tuple(rule for rule in base.rules if rule.endswith(f".{keyword}"))

    tokens = tuple(name for name in base.rules if name.startswith("authorization."))
    ratios: tuple[str, ...] = tuple(nodes[("aspect_ratio",)]["enum"])
    no_task = base.rules["task_id.exists"].require_error()
    unknown = {"code": no_task.code, "message": "no such task", "data": None}
    task_rules = ("paths", base.operations["get_task"].path, "get", "x-rules")
    neighbours = [
        (path[0], node["enum"], [name for name in node["x-neighbours"] if name not in node["enum"]])
        for path, node in nodes.items()
        if "x-neighbours" in node
    ]
    return (
        # Limits
        Mutant(
            "minItems-lower",
            f"{SUBJECTS}.minItems",
            "one subject picture less is enough",
            field_of(SUBJECTS, "minItems", to=defects.fewer),
        ),
        Mutant(
            "minItems-higher",
            f"{SUBJECTS}.minItems",
            "the fewest are too few",
            field_of(SUBJECTS, "minItems", to=defects.more),
        ),
        Mutant(
            "maxItems-higher",
            f"{SUBJECTS}.maxItems",
            "one more is accepted",
            field_of(SUBJECTS, "maxItems", to=defects.more),
        ),
        Mutant(
            "maxItems-lower",
            f"{SUBJECTS}.maxItems",
            "the most are too many",
            field_of(SUBJECTS, "maxItems", to=defects.fewer),
        ),
        Mutant(
            "maxLength-higher",
            "prompt.maxLength",
            "one character more",
            field_of("prompt", "maxLength", to=defects.more),
        ),
        Mutant(
            "maxLength-lower",
            "prompt.maxLength",
            "one character less",
            field_of("prompt", "maxLength", to=defects.fewer),
        ),
        Mutant(
            "prompt-bytes", "prompt.maxLength", "counted in bytes", does("contract.request.judge", defects.in_bytes)
        ),
        Mutant(
            "prompt-not-empty",
            "prompt.maxLength",
            "an empty prompt is refused",
            defects.refuses(lambda body: body.get("prompt") == "", "a prompt is needed"),
        ),
        Mutant("minimum-lower", "n.minimum", "one less is accepted", field_of("n", "minimum", to=defects.fewer)),
        Mutant("minimum-higher", "n.minimum", "the lowest is refused", field_of("n", "minimum", to=defects.more)),
        Mutant("maximum-higher", "n.maximum", "one more is accepted", field_of("n", "maximum", to=defects.more)),
        Mutant("maximum-lower", "n.maximum", "the highest is refused", field_of("n", "maximum", to=defects.fewer)),
        Mutant(
            "maxMegabytes-higher",
            f"{subject}.maxBytes",
            "one MB more is accepted",
            contract("x-image", "maxMegabytes", to=defects.more),
            also=each("maxBytes"),
        ),
        Mutant(
            "maxMegabytes-lower",
            f"{subject}.maxBytes",
            "the last MB is refused",
            contract("x-image", "maxMegabytes", to=defects.fewer),
            also=each("maxBytes"),
        ),
        Mutant(
            "decimal-megabytes",
            f"{subject}.maxBytes",
            "megabytes are decimal",
            contract("x-image", "maxMegabytes", to=lambda binary: binary * 1e6 / 2**20),
            also=each("maxBytes"),
        ),
        Mutant(
            "minPixels-lower",
            f"{subject}.pixels",
            "one pixel less is accepted",
            contract("x-image", "minPixels", to=defects.fewer),
            also=each("pixels"),
        ),
        Mutant(
            "minPixels-higher",
            f"{subject}.pixels",
            "the fewest pixels fail",
            contract("x-image", "minPixels", to=defects.more),
            also=each("pixels"),
        ),
        Mutant(
            "maxRatio-higher",
            f"{subject}.pixels",
            "a longer one is accepted",
            contract("x-image", "maxRatio", to=lambda ratio: ratio + 0.1),
            also=each("pixels"),
        ),
        Mutant(
            "maxRatio-lower",
            f"{subject}.pixels",
            "the longest fails",
            contract("x-image", "maxRatio", to=lambda ratio: ratio - 0.1),
            also=each("pixels"),
        ),
        Mutant(
            "low-pictures",
            f"{style}.pixels",
            "only the width is measured",
            defects.fails_by(lambda picture, rule: None if defects.low(picture) else rule),
            also=each("pixels"),
        ),
        Mutant(
            "tall-pictures",
            f"{subject}.pixels",
            "only wide ones are measured",
            defects.fails_by(lambda picture, rule: None if defects.tall(picture) else rule),
            also=each("pixels"),
        ),
        # Enums
        *(
            Mutant(
                f"no-{value}",
                "aspect_ratio.enum",
                f"{value} is refused",
                field_of("aspect_ratio", "enum", to=[ratio for ratio in ratios if ratio != value]),
            )
            for value in ratios
        ),
        *(
            Mutant(
                f"takes-{value}", f"{name}.enum", "a neighbour is accepted", field_of(name, "enum", to=[*values, value])
            )
            for name, values, near in neighbours
            for value in near
        ),
        Mutant("no-model", "model_name.enum", "the model is refused", field_of("model_name", "enum", to=["kling-v3"])),
        Mutant("any-ratio", "aspect_ratio.enum", "any ratio is accepted", overlooks("aspect_ratio.enum")),
        Mutant("any-model", "model_name.enum", "any model is accepted", overlooks("model_name.enum")),
        Mutant(
            "ratio-with-space",
            "aspect_ratio.enum",
            "spaces are cut off",
            reads("aspect_ratio", to=lambda value: value.strip()),
        ),
        Mutant(
            "model-in-capitals",
            "model_name.enum",
            "case is ignored",
            reads("model_name", to=lambda value: value.lower()),
        ),
        Mutant("empty-ratio", "aspect_ratio.enum", "empty is absent", reads("aspect_ratio", to=defects.without_empty)),
        Mutant("empty-model", "model_name.enum", "empty is absent", reads("model_name", to=defects.without_empty)),
        # Required
        Mutant(
            "no-subjects",
            f"{SUBJECTS}.required",
            "not required",
            contract("components", "schemas", "CreateRequest", "required", to=[]),
        ),
        Mutant(
            "no-subject-image",
            f"{subject}.required",
            "not required",
            contract("components", "schemas", "SubjectImage", "required", to=[]),
        ),
        Mutant(
            "null-subjects",
            f"{SUBJECTS}.required",
            "null is accepted",
            overlooks(f"{SUBJECTS}.required", kind="null"),
        ),
        Mutant(
            "null-subject-image",
            f"{subject}.required",
            "null is accepted",
            overlooks(f"{subject}.required", kind="null"),
        ),
        Mutant("blank-subject", f"{subject}.pattern", "blank is only bad Base64", overlooks(f"{subject}.pattern")),
        Mutant(
            "ascii-blanks",
            f"{subject}.pattern",
            "only ASCII is blank",
            contract("components", "schemas", "SubjectImage", "properties", "subject_image", "pattern", to="[^ \\t]"),
        ),
        # Types
        *(
            Mutant(f"{name}-of-any-type", f"{name}.type", "its type is not looked at", overlooks(f"{name}.type"))
            for name in (
                SUBJECTS,
                f"{SUBJECTS}.items",
                subject,
                "model_name",
                "prompt",
                scene,
                style,
                "aspect_ratio",
            )
        ),
        *(
            Mutant(
                f"{name}-null",
                f"{name}.type",
                "null is of a wrong type",
                does("contract.request.judge", partial(defects.refuse_null, name)),
            )
            for name in (
                "model_name",
                "prompt",
                scene,
                style,
                "n",
                "callback_url",
                "external_task_id",
            )
        ),
        *(
            Mutant(f"{name}-as-text", f"{name}.type", "what is no text becomes one", reads(name, to=defects.text))
            for name in ("prompt", "negative_prompt", "callback_url", "external_task_id")
        ),
        Mutant(
            "one-subject-object", f"{SUBJECTS}.type", "an object is a list of itself", reads(SUBJECTS, to=defects.twice)
        ),
        Mutant("n-text", "n.type", '"1" is 1', reads("n", to=lambda value: 1 if value == "1" else value)),
        Mutant(
            "n-float",
            "n.type",
            "1.0 is 1",
            reads("n", to=lambda value: 1 if isinstance(value, float) and value == 1 else value),
        ),
        Mutant("n-fraction", "n.type", "1.5 is 1", reads("n", to=lambda value: 1 if value == 1.5 else value)),
        Mutant("n-true", "n.type", "true is 1", reads("n", to=lambda value: 1 if value is True else value)),
        Mutant(
            "n-infinite", "n.type", "1e400 is 1", reads("n", to=lambda value: 1 if value == float("inf") else value)
        ),
        Mutant("n-endless", "n.type", "5000 digits are 1", reads_bytes(lambda raw: re.sub(b"1{5000}", b"1", raw))),
        # Pictures
        Mutant(
            "data-url",
            f"{subject}.base64",
            "data: URLs are accepted",
            reads(SUBJECTS, to=defects.pictures(defects.raw)),
        ),
        Mutant("scene-data-url", f"{scene}.base64", "data: URLs are accepted", reads(scene, to=defects.raw)),
        Mutant("style-data-url", f"{style}.base64", "data: URLs are accepted", reads(style, to=defects.raw)),
        Mutant("any-text", f"{subject}.base64", "any text is a picture", overlooks(f"{subject}.base64")),
        Mutant("any-scene", f"{scene}.base64", "any text is a picture", overlooks(f"{scene}.base64")),
        Mutant("any-style", f"{style}.base64", "any text is a picture", overlooks(f"{style}.base64")),
        Mutant(
            "line-breaks",
            f"{subject}.base64",
            "Base64 may have line breaks",
            reads(SUBJECTS, to=defects.pictures(lambda text: text.replace("\n", ""))),
        ),
        Mutant(
            "no-padding",
            f"{subject}.base64",
            "Base64 needs no padding",
            reads(SUBJECTS, to=defects.pictures(defects.padded)),
        ),
        Mutant(
            "url-safe",
            f"{subject}.base64",
            "URL-safe Base64 is accepted",
            reads(SUBJECTS, to=defects.pictures(lambda text: text.replace("_", "/"))),
        ),
        Mutant(
            "ftp", f"{subject}.base64", "ftp is accepted", contract("x-image", "schemes", to=["http", "https", "ftp"])
        ),
        Mutant(
            "no-https",
            f"{subject}.base64",
            "https is refused",
            contract("x-image", "schemes", to=["http"]),
            also=each("base64"),
        ),
        Mutant(
            "no-http",
            f"{scene}.base64",
            "http is refused",
            contract("x-image", "schemes", to=["https"]),
            also=each("base64"),
        ),
        Mutant(
            "no-jpeg",
            f"{subject}.pixels",
            "JPEG fails",
            contract("x-image", "formats", to=["PNG"]),
            also=each("pixels"),
        ),
        Mutant(
            "gif",
            f"{subject}.pixels",
            "GIF is accepted",
            defects.fails_by(lambda picture, rule: None if (picture.data or b"").startswith(b"GIF") else rule),
        ),
        Mutant(
            "no-picture",
            f"{subject}.pixels",
            "what is no picture succeeds",
            defects.fails_by(lambda picture, rule: None if picture.data == b"klingkit" else rule),
        ),
        *(
            Mutant(
                f"any-{role}-pixels",
                f"{name}.pixels",
                "pictures of any size succeed",
                defects.spares(role),
            )
            for role, name in (("subject", subject), ("scene", scene), ("style", style))
        ),
        Mutant(
            "pixels-at-once", f"{subject}.pixels", "a small picture is refused at once", does("create", defects.at_once)
        ),
        *(
            Mutant(
                f"{name}-fetched",
                f"{name}.fetch",
                "what cannot be fetched succeeds",
                reads(name, to=lambda url: url.replace(".invalid", ".example")),
            )
            for name in (scene, style)
        ),
        Mutant(
            "subject-fetched",
            f"{subject}.fetch",
            "what cannot be fetched succeeds",
            reads(SUBJECTS, to=defects.pictures(lambda url: url.replace(".invalid", ".example"))),
        ),
        # Bodies
        Mutant("nan", "body.json", "NaN is 1", reads_bytes(lambda raw: raw.replace(b"NaN", b"1"))),
        Mutant(
            "byte-order-mark",
            "body.json",
            "a byte order mark is skipped",
            reads_bytes(lambda raw: raw.removeprefix(b"\xef\xbb\xbf")),
        ),
        Mutant(
            "trailing-comma",
            "body.json",
            "a trailing comma is accepted",
            reads_bytes(lambda raw: raw.replace(b",}", b"}")),
        ),
        Mutant(
            "surrogate",
            "body.json",
            "a lone surrogate is accepted",
            reads_bytes(lambda raw: raw.replace(b"\\ud800", b"?")),
        ),
        Mutant(
            "not-utf-8",
            "body.json",
            "bytes that are no UTF-8 are replaced",
            reads_bytes(lambda raw: raw.replace(b"\xff", b"?")),
        ),
        Mutant(
            "cut-off",
            "body.json",
            "a body without its last brace is taken for a whole one",
            reads_bytes(lambda raw: raw + b"}" if raw.count(b"{") > raw.count(b"}") else raw),
        ),
        Mutant("empty-body", "body.json", "no body is an empty one", reads_bytes(lambda raw: raw or b"{}")),
        Mutant(
            "repeated-key",
            "body.json",
            "of repeated keys the first wins",
            reads_bytes(defects.first_wins),
        ),
        Mutant(
            "array-body",
            "body.object",
            "a list of one is its item",
            reads_bytes(lambda raw: raw[1:-1] if raw[:1] == b"[" else raw),
        ),
        Mutant(
            "null-body",
            "body.object",
            "null is an empty one",
            reads_bytes(lambda raw: b"{}" if raw == b"null" else raw),
        ),
        Mutant(
            "text-body",
            "body.object",
            "a text is an empty one",
            reads_bytes(lambda raw: b"{}" if raw[:1] == b'"' else raw),
        ),
        Mutant("no-content-type", "body.mediaType", "none is needed", defects.taken_for_json("")),
        Mutant("text-content-type", "body.mediaType", "text is accepted", defects.taken_for_json("text/plain")),
        Mutant(
            "form-content-type",
            "body.mediaType",
            "a form is accepted",
            defects.taken_for_json("application/x-www-form-urlencoded"),
        ),
        Mutant("no-charset", "body.mediaType", "a charset is refused", between(ask=defects.no_charset)),
        Mutant(
            "unknown-field",
            "request.unknown_fields",
            "a field too many is refused",
            defects.refuses(lambda body: isinstance(body.get("klingkit"), dict), "klingkit is not a field"),
        ),
        Mutant(
            "nul",
            "prompt.type",
            "NUL is refused",
            defects.refuses(lambda body: "\0" in str(body.get("prompt")), "prompt is invalid"),
        ),
        Mutant(
            "callback-url-checked",
            "callback_url.type",
            "what is no URL is refused",
            defects.refuses(lambda body: body.get("callback_url") == "klingkit", "callback_url value is invalid"),
        ),
        Mutant(
            "no-empty-external-id",
            "external_task_id.type",
            "an empty one is refused",
            defects.refuses(lambda body: body.get("external_task_id") == "", "external_task_id is invalid"),
        ),
        # Authentication, paths and methods
        Mutant(
            "create-without-key",
            "authorization.bearer",
            "create needs no key",
            defects.unauthenticated("POST"),
        ),
        Mutant(
            "query-without-key",
            "authorization.bearer",
            "query needs no key",
            defects.unauthenticated("GET"),
            also=tokens,
        ),
        Mutant(
            "unknown-key",
            "authorization.bearer",
            "any key is accepted",
            lambda seed, base=None: right(seed, base, keys=()),
            only=GATEWAY,
        ),
        Mutant(
            "basic",
            "authorization.bearer",
            "another scheme is accepted",
            defects.authorized(r"Basic (.*)"),
            also=tokens,
        ),
        Mutant(
            "bare-key", "authorization.bearer", "a bare key is accepted", defects.authorized(r"(sk-\S+)"), also=tokens
        ),
        Mutant(
            "lower-case-bearer", "authorization.bearer", "lower case is refused", between(ask=defects.capital_bearer)
        ),
        Mutant(
            "401-is-403",
            "authorization.bearer",
            "another status",
            contract("x-gateway-errors", "invalid_token", "http", to=403),
            only=GATEWAY,
        ),
        Mutant(
            "401-code",
            "authorization.bearer",
            "another code",
            contract("x-gateway-errors", "invalid_token", "code", to="invalid_token"),
            only=GATEWAY,
        ),
        Mutant(
            "401-of-kling",
            "authorization.bearer",
            "another envelope",
            contract("x-rules", "authorization.bearer", "error", to="1002"),
            only=GATEWAY,
        ),
        Mutant(
            "json-page",
            "path.known",
            "a wrong path is answered in JSON",
            replies(page, body={"code": 404, "message": "not found"}),
            only=GATEWAY,
        ),
        Mutant(
            "path-200",
            "path.known",
            "a wrong path is a success",
            replies(page, status=200, body=SUCCESS),
        ),
        Mutant(
            "trailing-slash",
            "path.known",
            "a slash at the end is forgiven",
            between(ask=lambda exchange: setattr(exchange, "path", exchange.path.rstrip("/"))),
        ),
        Mutant("no-prefix", "path.known", "the path needs no prefix", between(ask=defects.prefixed), only=GATEWAY),
        Mutant("method-405", "path.method", "another status", replies(wrong_method, status=405)),
        Mutant("method-code", "path.method", "another code", contract("x-rules", "path.method", "error", to="1200")),
        Mutant("method-page", "path.method", "an HTML page", replies(wrong_method, body=None, answer=b"<html></html>")),
        Mutant(
            "list",
            "path.method",
            "GET lists tasks",
            replies(wrong_method, status=200, body={**SUCCESS, "data": []}),
            only=GATEWAY,
        ),
        Mutant("delete", "path.method", "DELETE queries", between(ask=defects.delete_is_get)),
        Mutant(
            "unknown-task-200",
            "task_id.exists",
            "an unknown task is a success",
            replies(no_such_task, status=200, body={**SUCCESS, "data": {}}),
        ),
        Mutant(
            "unknown-task-404",
            "task_id.exists",
            "another status",
            contract("x-gateway-errors", no_task.key, "http", to=404),
            only=GATEWAY,
        ),
        Mutant(
            "unknown-task-code",
            "task_id.exists",
            "another code",
            contract("x-gateway-errors", no_task.key, "code", to="task_not_found"),
            only=GATEWAY,
        ),
        Mutant(
            "unknown-task-text",
            "task_id.exists",
            "another text",
            contract("x-gateway-errors", no_task.key, "message", to="no such task"),
            only=GATEWAY,
        ),
        Mutant(
            "unknown-task-of-kling",
            "task_id.exists",
            "another envelope",
            contract(*task_rules, "task_id.exists", "error", to="1203"),
            only=GATEWAY,
        ),
        Mutant(
            "query-by-external-id",
            "task_id.exists",
            "an external id finds its task",
            does("query", defects.finds_by_external_id),
            only=GATEWAY,
        ),
        # Texts and codes of refusals
        Mutant(
            "code-1200",
            "prompt.maxLength",
            "another code",
            field_of("prompt", "x-rules", "maxLength", to={"error": "1200"}),
        ),
        Mutant(
            "minimum-text",
            "n.minimum",
            "another text",
            contract("x-rule-defaults", "minimum", "message", to="{field} is too small"),
        ),
        Mutant(
            "enum-text",
            "aspect_ratio.enum",
            "another value in the text",
            field_of("aspect_ratio", "x-rules", to={"enum": {"message": "{field} value '' is invalid"}}),
        ),
        Mutant(
            "unique-code",
            "external_task_id.unique",
            "another code",
            contract("x-rule-defaults", "unique", "error", to="1200"),
        ),
        Mutant("refusals-422", f"{SUBJECTS}.type", "another status for 1201", replies(refused, status=422)),
        Mutant("refusals-200", f"{SUBJECTS}.type", "refusals come with 200", replies(refused, status=200)),
        Mutant(
            "json-422",
            "body.json",
            "another status",
            contract("x-gateway-errors", "invalid_request", "http", to=422),
            only=GATEWAY,
        ),
        # External ids and accounts
        Mutant(
            "duplicates",
            "external_task_id.unique",
            "a duplicate is accepted",
            does("store.add", defects.takes_again(lambda _, __: True)),
        ),
        Mutant(
            "duplicate-after-failure",
            "external_task_id.unique",
            "a failed task frees it",
            does("store.add", defects.takes_again(lambda task, _: bool(task.plan.rule))),
        ),
        Mutant(
            "duplicate-after-success",
            "external_task_id.unique",
            "a task that has succeeded frees it",
            does("store.add", defects.takes_again(defects.has_succeeded)),
        ),
        Mutant(
            "idempotent",
            "external_task_id.unique",
            "a duplicate shows the old task",
            does("create", defects.returns_the_old),
        ),
        Mutant("tasks-of-others", "account.isolation", "they can be queried", does("query", defects.shows_all)),
        Mutant(
            "ids-of-others",
            "account.isolation",
            "their external ids are taken",
            does("store.add", defects.one_namespace),
        ),
        Mutant(
            "ids-of-newer-others",
            "account.isolation",
            "the external ids of newer accounts are taken",
            does("store.add", defects.oldest_account_alone),
        ),
        Mutant(
            "ids-of-each-account", "task.id", "a task id comes again in another account", defects.same_ids(OTHER_KEY)
        ),
        Mutant("one-id", "task.id", "each task has the first one's id", defects.same_ids(KEY)),
        Mutant(
            "id-rounded",
            "task.id",
            "it has gone through a float",
            answers(created, "data", "task_id", to=lambda task_id: str(int(float(task_id)))),
        ),
        Mutant(
            "id-of-query",
            "task.id",
            "a query shows another one",
            answers(queried, "data", "task_id", to=lambda task_id: str(int(task_id) + 1)),
        ),
        Mutant(
            "refused-takes-id",
            "refusal.nothing",
            "a refused create takes its external id",
            does("create", defects.leaves_a_task(calling=False)),
        ),
        Mutant(
            "refused-calls-back",
            "refusal.nothing",
            "a refused create makes a task that calls back",
            does("create", defects.leaves_a_task(calling=True)),
        ),
        Mutant(
            "created-without-id",
            "task.external_id",
            "the create's answer has none",
            answers(created, "data", "task_info", to={}),
        ),
        Mutant(
            "queried-without-id", "task.external_id", "queries have none", answers(queried, "data", "task_info", to={})
        ),
        Mutant(
            "invented-id",
            "task.external_id",
            "a task without one gets one",
            answers(queried, "data", "task_info", "external_task_id", to="none"),
        ),
        # The life of a task
        Mutant(
            "spelt-wrong",
            "task.status",
            "succeeded for succeed",
            answers(showing("succeeded"), "data", "task_status", to="succeeded"),
        ),
        Mutant(
            "processing-spelt-wrong",
            "task.status",
            "running for processing",
            answers(showing("processing"), "data", "task_status", to="running"),
        ),
        Mutant(
            "born-processing",
            "answer.schema",
            "it is processing at once",
            answers(created, "data", "task_status", to="processing"),
        ),
        Mutant("back", "task.status", "it goes back", defects.steps(defects.back)),
        Mutant("leaves-its-end", "task.status", "it goes on after its end", does("query", defects.leaves_its_end)),
        Mutant("endless", "task.end", "it never ends", defects.steps(defects.never)),
        Mutant(
            "gone",
            "task.end",
            "it is forgotten at its end",
            replies(showing("succeeded"), status=400, body=unknown),
        ),
        Mutant(
            "created-moves",
            "task.times",
            "created_at moves",
            defects.drifts("created_at", 1),
        ),
        Mutant(
            "updated-falls",
            "task.times",
            "updated_at falls",
            defects.drifts("updated_at", -10_000),
        ),
        Mutant("updated-moves", "task.times", "updated_at goes on after the end", defects.drifts("updated_at", 1)),
        Mutant(
            "text-changes",
            "task.failure",
            "the reason is lost after the end",
            defects.changes_at_its_end("failed", "task_status_msg", to="failed"),
        ),
        Mutant(
            "info-changes",
            "task.external_id",
            "it is lost after the end",
            defects.changes_at_its_end("succeeded", "task_info", to={}),
        ),
        Mutant(
            "updated-later",
            "task.times",
            "updated_at is later at first",
            answers(created, "data", "updated_at", to=lambda at: at + 1),
        ),
        Mutant("seconds", "answer.schema", "times are in s", between(answer=defects.in_seconds)),
        Mutant(
            "status-list",
            "task.status",
            "it is a list",
            answers(queried, "data", "task_status", to=lambda status: [status]),
        ),
        Mutant("always-fails", "task.success", "every task fails", does("store.add", defects.fails)),
        Mutant(
            "success-with-text",
            "task.success",
            "task_status_msg of a success says so",
            answers(showing("succeeded"), "data", "task_status_msg", to="ok"),
        ),
        Mutant(
            "failure-text",
            "task.failure",
            "another text",
            contract("x-rule-defaults", "pixels", "message", to="Image pixel invalid"),
        ),
        Mutant(
            "fetch-text",
            "task.failure",
            "another text",
            contract("x-rule-defaults", "fetch", "message", to="download failed"),
        ),
        Mutant(
            "failure-without-text",
            "task.failure",
            "no text",
            answers(showing("failed"), "data", "task_status_msg", to=""),
        ),
        Mutant("failure-500", "answer.schema", "a failed task comes with 500", replies(showing("failed"), status=500)),
        # Results
        Mutant(
            "no-result",
            "task.result",
            "a success has no pictures",
            answers(showing("succeeded"), "data", "task_result", to={}),
        ),
        Mutant(
            "one-picture",
            "task.result",
            "n is ignored",
            answers(showing("succeeded"), "data", "task_result", "images", to=lambda images: images[:1]),
        ),
        Mutant(
            "one-too-few",
            "task.result",
            "the last picture is missing",
            answers(showing("succeeded"), "data", "task_result", "images", to=lambda images: images[:-1] or images),
        ),
        Mutant(
            "one-too-many",
            "task.result",
            "there is one picture more",
            answers(showing("succeeded"), "data", "task_result", "images", to=defects.one_more),
        ),
        Mutant("two-by-default", "task.result", "n is 2 by default", field_of("n", "default", to=2)),
        Mutant(
            "index-from-1",
            "task.result",
            "the first is 1",
            answers(
                showing("succeeded"),
                "data",
                "task_result",
                "images",
                to=lambda images: [{**image, "index": image["index"] + 1} for image in images],
            ),
        ),
        Mutant(
            "index-0",
            "task.result",
            "each is 0",
            answers(
                showing("succeeded"),
                "data",
                "task_result",
                "images",
                to=lambda images: [{**image, "index": 0} for image in images],
            ),
        ),
        Mutant(
            "same-url",
            "task.result",
            "each picture has the same URL",
            answers(
                showing("succeeded"),
                "data",
                "task_result",
                "images",
                to=lambda images: [{**image, "url": images[0]["url"]} for image in images],
            ),
        ),
        Mutant(
            "no-url",
            "task.result",
            "the URL is empty",
            answers(showing("succeeded"), "data", "task_result", "images", 0, "url", to=""),
        ),
        Mutant(
            "relative-url",
            "task.result",
            "the URL has no host",
            answers(
                showing("succeeded"),
                "data",
                "task_result",
                "images",
                0,
                "url",
                to=lambda url: "/" + url.partition("://")[2],
            ),
        ),
        Mutant(
            "jpeg-results", "task.picture", "a result is a JPEG", replies(fetched, answer=picture(300, 300, "JPEG"))
        ),
        Mutant(
            "cut-results", "task.picture", "the end of a result is missing", defects.damaged(lambda file: file[:-12])
        ),
        Mutant(
            "half-results",
            "task.picture",
            "half of a result is missing",
            defects.damaged(lambda file: file[: len(file) // 2]),
        ),
        Mutant("broken-results", "task.picture", "a result has a wrong byte", defects.damaged(defects.spoilt)),
        Mutant(
            "same-results",
            "task.picture",
            "all pictures of a result are the first",
            does("picture", lambda _, picture, task_id, __, **more: picture(task_id, 0, **more)),
        ),
        Mutant("square-results", "task.picture", "a result is square", replies(fetched, answer=picture(300, 300))),
        Mutant("lost-results", "task.picture", "a result cannot be fetched", replies(fetched, status=403)),
        Mutant(
            "other-ratio-by-default",
            "task.picture",
            "another ratio by default",
            field_of("aspect_ratio", "default", to=ratios[2]),
        ),
        Mutant(
            "other-ratio",
            "task.picture",
            "another ratio for one",
            reads("aspect_ratio", to=lambda value: ratios[1] if value == ratios[-1] else value),
        ),
        # The form of answers
        *(
            Mutant(
                f"{kind}-{'-'.join(place)}-missing",
                "answer.schema",
                f"{place[-1]} is missing",
                answers(when, *place),
                only=GATEWAY if kind in {"gateway", "unknown-task"} else (),
            )
            for kind, when, places in (
                (
                    "create",
                    created,
                    (
                        ("code",),
                        ("message",),
                        ("request_id",),
                        ("data", "task_status"),
                        ("data", "task_info"),
                        ("data", "created_at"),
                        ("data", "updated_at"),
                    ),
                ),
                (
                    "query",
                    queried,
                    (
                        ("code",),
                        ("message",),
                        ("request_id",),
                        ("data", "task_info"),
                        ("data", "created_at"),
                        ("data", "updated_at"),
                        ("data", "task_result"),
                    ),
                ),
                ("failure", showing("failed"), (("data", "task_status_msg"),)),
                ("refusal", refused, (("request_id",),)),
                ("gateway", refused_by_gateway, (("error", "type"),)),
                ("unknown-task", no_such_task, (("data",),)),
            )
            for place in places
        ),
        Mutant("create-text", "answer.schema", "a success says OK", answers(created, "message", to="OK")),
        Mutant("query-text", "answer.schema", "a success says OK", answers(queried, "message", to="OK")),
        Mutant("no-id", "answer.schema", "a create's answer has no task_id", answers(created, "data", "task_id")),
        Mutant("no-data", "answer.schema", "a create's answer has no data", answers(created, "data")),
        Mutant("id-number", "answer.schema", "task_id is a number", answers(created, "data", "task_id", to=int)),
        Mutant(
            "queried-id-number",
            "answer.schema",
            "task_id of a query is a number",
            answers(queried, "data", "task_id", to=int),
        ),
        Mutant(
            "created-at-text", "answer.schema", "created_at is a text", answers(created, "data", "created_at", to=str)
        ),
        Mutant(
            "updated-at-text", "answer.schema", "updated_at is a text", answers(queried, "data", "updated_at", to=str)
        ),
        Mutant("code-text", "answer.schema", 'code is "0"', answers(created, "code", to="0")),
        Mutant("refusal-code-text", "answer.schema", 'code is "1201"', answers(refused, "code", to=str)),
        Mutant("request-id", "answer.schema", "request_id is no UUID", answers(created, "request_id", to="1")),
        Mutant("info-null", "answer.schema", "task_info is null", answers(queried, "data", "task_info", to=None)),
        Mutant(
            "result-null",
            "answer.schema",
            "task_result is null until the end",
            answers(showing("processing"), "data", "task_result", to=None),
        ),
        Mutant(
            "text-before-the-end",
            "answer.schema",
            "task_status_msg is there before the end",
            answers(showing("processing"), "data", "task_status_msg", to=""),
        ),
        Mutant("data-in-refusal", "answer.schema", "a refusal has data", answers(refused, "data", to={})),
        Mutant("null-data-in-refusal", "answer.schema", "a refusal has data, null", answers(refused, "data", to=None)),
        Mutant(
            "error-text",
            "answer.schema",
            "error is a text",
            answers(refused_by_gateway, "error", to="wrong"),
            only=GATEWAY,
        ),
        Mutant(
            "error-type",
            "answer.schema",
            "error has another type",
            contract("x-gateway", "type", to="new_api_error"),
            only=GATEWAY,
        ),
        Mutant(
            "no-suffix",
            "answer.schema",
            "texts have no request id",
            contract("x-gateway", "messageSuffix", to=""),
            only=GATEWAY,
        ),
        Mutant(
            "no-header",
            "answer.schema",
            "there is no gateway header",
            between(answer=lambda exchange: exchange.headers.pop("x-cometapi-request-id", None)),
            only=GATEWAY,
        ),
        Mutant(
            "other-header",
            "answer.schema",
            "the gateway's id has another form",
            between(answer=lambda exchange: exchange.headers.update({"x-cometapi-request-id": "1"})),
            only=GATEWAY,
        ),
        Mutant("create-201", "answer.schema", "a create answers 201", replies(created, status=201)),
        Mutant(
            "text-answers",
            "answer.schema",
            "answers are text/plain",
            between(answer=lambda exchange: exchange.headers.update({"Content-Type": "text/plain"})),
        ),
        # Callbacks
        Mutant("no-callbacks", "callback.sequence", "none is made", plans(lambda _: [])),
        Mutant("no-first-callback", "callback.sequence", "the first is missing", plans(lambda three: three[1:])),
        Mutant(
            "no-processing-callback",
            "callback.sequence",
            "the second is missing",
            plans(lambda three: [three[0], three[2]]),
        ),
        Mutant("no-last-callback", "callback.sequence", "the last is missing", plans(lambda three: three[:2])),
        Mutant(
            "callbacks-reordered",
            "callback.sequence",
            "the last comes before the second",
            plans(lambda three: [three[0], three[2], three[1]]),
        ),
        Mutant(
            "callbacks-doubled",
            "callback.sequence",
            "a repetition has another body",
            does("callbacks.send", defects.twice_differently),
        ),
        *(
            Mutant(f"callback-{name}", "callback.address", wrong, defects.posted_to(change))
            for name, wrong, change in (
                ("without-query", "the query is cut off", lambda url: url.partition("?")[0]),
                ("without-path", "only the host counts", lambda url: urljoin(url, "/")),
                ("other-port", "another port", lambda url: url.replace(":9/", ":10/")),
                ("decoded", "the query is decoded", unquote),
                ("slash", "a slash at the end", lambda url: f"{url}/"),
            )
        ),
        Mutant(
            "callback-copied",
            "callback.address",
            "it goes elsewhere too",
            defects.posted_to(lambda url: urljoin(url, "/copy"), also=True),
        ),
        Mutant(
            "callback-born-later",
            "callback.body",
            "the first has another created_at than the create",
            defects.first_call("created_at", to=lambda at: at + 1),
        ),
        Mutant(
            "callback-other-picture",
            "callback.body",
            "it leads to another picture",
            calls("task_result", "images", 0, "url", to=lambda url: f"{url}.gone"),
        ),
        Mutant(
            "callback-status",
            "callback.body",
            "it says succeeded",
            calls("task_status", to=lambda status: "succeeded" if status == base.lifecycle.succeeded else status),
        ),
        Mutant(
            "callback-type",
            "callback.body",
            "another content type",
            contract("x-callbacks", "contentType", to="text/plain"),
        ),
        Mutant(
            "callback-charset",
            "callback.body",
            "no charset",
            contract("x-callbacks", "contentType", to="application/json"),
        ),
        Mutant(
            "callback-envelope", "callback.body", "it has an envelope", does("callbacks.send", defects.in_an_envelope)
        ),
        Mutant("callback-id-number", "callback.body", "task_id is a number", calls("task_id", to=int)),
        Mutant("callback-info-missing", "callback.body", "task_info is missing", calls("task_info")),
        Mutant("callback-text-null", "callback.body", "task_status_msg is null", calls("task_status_msg", to=None)),
        Mutant(
            "callback-times",
            "callback.body",
            "another updated_at than a query",
            calls("updated_at", to=lambda at: at + 1),
        ),
        Mutant("callback-without-id", "callback.body", "external_task_id is missing", calls("task_info", to={})),
        Mutant("callback-without-result", "callback.body", "the result is missing", calls("task_result", to={})),
        # What only some contracts have
        *(
            Mutant(f"{field}.{word}-{way}", f"{field}.{word}", wrong, make)
            for schema, field in (("PageNumber", "pageNum"), ("PageSize", "pageSize"))
            for word, way, wrong, make in (
                (
                    "minimum",
                    "higher",
                    "the lowest is refused",
                    contract("components", "schemas", schema, "minimum", to=defects.more),
                ),
                ("minimum", "lower", "0 is 1", defects.takes_as_page(field, "0")),
                (
                    "maximum",
                    "higher",
                    "one more is taken",
                    contract("components", "schemas", schema, "maximum", to=defects.more),
                ),
                (
                    "maximum",
                    "lower",
                    "the highest is refused",
                    contract("components", "schemas", schema, "maximum", to=defects.fewer),
                ),
                ("type", "of-any-type", "what is no number is 1", defects.takes_as_page(field, "klingkit")),
            )
        ),
        Mutant(
            "list-oldest-first",
            "list.order",
            "the oldest task comes first",
            answers(listed, "data", to=defects.reversed_),
        ),
        Mutant("list-without-newest", "list.page", "the newest is missing", answers(listed, "data", to=defects.rest)),
        Mutant("list-object", "list.page", "data is an object", answers(listed, "data", to={"tasks": []})),
        Mutant(
            "list-other-times",
            "list.page",
            "other times than a query",
            answers(listed, "data", 0, "updated_at", to=lambda at: at + 1),
        ),
        Mutant("list-of-any-size", "list.page", "pageSize is ignored", defects.pages(pageSize="30")),
        Mutant("list-of-one-page", "list.page", "pageNum is ignored", defects.pages(pageNum="1")),
        Mutant("list-of-others", "account.isolation", "tasks of others stand there", defects.lists_all(), only=VENDOR),
        *(
            Mutant(
                f"{name}-code",
                name,
                "another code",
                contract("x-rules", name, "error", to=defects.other_code(base, name)),
            )
            for name in tokens
            if base.jwt
        ),
        *(
            Mutant(
                f"takes-{case_id.partition('/')[2]}-token",
                case_id.partition("/")[0],
                "it is taken",
                defects.takes(token),
            )
            for case_id, token, _, _ in wrong_tokens(base, PAIR)
        ),
        Mutant(
            "not-found-by-name",
            "task.found",
            "an external id finds nothing",
            contract(*task_rules[:-1], "x-found-by", to=["task_id"]),
        ),
        Mutant(
            "found-another", "task.found", "an external id finds the newest task", does("query", defects.finds_newest)
        ),
        Mutant(
            "names-of-others",
            "account.isolation",
            "external ids of others find their tasks",
            does("query", defects.finds_by_any_name),
            only=VENDOR,
        ),
        Mutant(
            "no-watermark",
            "task.watermark",
            "the picture with a watermark is missing",
            answers(showing("succeeded"), "data", "task_result", "images", to=defects.unmarked),
        ),
        *(
            Mutant(
                f"{'.'.join(place)}-of-any-type",
                f"{'.'.join(place)}.type",
                "its type is not looked at",
                reads(*place, to=to),
            )
            for place, to in ((("watermark_info",), defects.flags), (("watermark_info", "enabled"), bool))
        ),
        *(
            Mutant(
                f"{way}-negative-prompt",
                "negative_prompt.maxLength",
                wrong,
                field_of("negative_prompt", "maxLength", to=change),
            )
            for way, wrong, change in (("longer", "one more", defects.more), ("shorter", "one less", defects.fewer))
        ),
        *(
            Mutant(
                f"{way}-plain-prompt", "plain.prompt.maxLength", wrong, plain_field("prompt", "maxLength", to=change)
            )
            for way, wrong, change in (("longer", "one more", defects.more), ("shorter", "one less", defects.fewer))
        ),
        Mutant(
            "no-plain-prompt",
            "plain.prompt.required",
            "no prompt is needed",
            contract("components", "schemas", "CreatePlainRequest", "required", to=[]),
        ),
    )
