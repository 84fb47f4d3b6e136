"""Bad input over a real socket: each gets its documented answer, never a 5xx, and the next request works."""

from __future__ import annotations

import http.client
import json
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import PATH, Running, body, subjects

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = {"Authorization": "Bearer bad-input", "Content-Type": "application/json"}
VALID = json.dumps(body()).encode()


@pytest.fixture
def connection(server: Running) -> Iterator[http.client.HTTPConnection]:
    """One keep-alive connection to the server."""
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    yield connection
    connection.close()


def send(connection: http.client.HTTPConnection, data: bytes, **headers: str) -> tuple[int, dict[str, object]]:
    connection.request("POST", PATH, data, {**JSON, **headers})
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def with_n(literal: bytes) -> bytes:
    return VALID.replace(b"}]}", b'}], "n": ' + literal + b"}")


NOT_JSON = [
    b"",
    b" ",
    b"{",
    b"nonsense",
    b"{'a': 1}",
    b'{"a": 1,}',
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": -Infinity}',
    b"\xef\xbb\xbf" + VALID,
    b'{"a": "\xff"}',
    b'{"a": "\xed\xa0\x80"}',
    b'{"a": "\\ud800"}',
    b'{"\\udc00": 1}',
    b'{"a": "\x01"}',
    VALID.decode().encode("utf-16"),
    VALID + b"x",
    b"[" * 100_000,
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    b"[]",
    b"1",
    b'"x"',
    b"null",
    b"true",
]


@pytest.mark.parametrize("data", NOT_JSON, ids=[repr(data[:24]) for data in NOT_JSON])
def test_what_is_no_json_object_is_an_invalid_request(connection: http.client.HTTPConnection, data: bytes) -> None:
    """400 in the gateway's envelope without `param`; the same connection serves the next request."""
    status, answer = send(connection, data)

    error = answer["error"]
    assert isinstance(error, dict)
    assert (status, sorted(error), error["code"]) == (400, ["code", "message", "type"], "invalid_request")
    assert send(connection, VALID)[0] == 200


@pytest.mark.parametrize(
    "literal", [b"1.0", b'"1"', b"true", b"1e400", b"-1e400", b"1" * 5000, b"-" + b"9" * 5000, b"[1]", b"{}"]
)
def test_what_is_no_integer_is_a_wrong_type(connection: http.client.HTTPConnection, literal: bytes) -> None:
    status, answer = send(connection, with_n(literal))

    assert (status, answer["code"]) == (400, 1201)
    assert answer["message"] == "n value type is invalid, expected integer"


def test_of_repeated_keys_the_last_wins(connection: http.client.HTTPConnection) -> None:
    assert send(connection, with_n(b'0, "n": 1'))[0] == 200
    assert send(connection, with_n(b'1, "n": 0'))[1]["message"] == "n: must be greater than or equal to 1"


def test_nul_and_brackets_in_strings_are_accepted(connection: http.client.HTTPConnection) -> None:
    prompt = "\x00" + "[{" * 1000
    assert send(connection, json.dumps(body(prompt=prompt)).encode())[0] == 200


def test_nesting_is_counted_outside_strings(connection: http.client.HTTPConnection) -> None:
    """128 levels are allowed, one more is not."""

    def nested(levels: int) -> bytes:
        return VALID[:-1] + b', "x": ' + b"[" * (levels - 1) + b'"]]]"' + b"]" * (levels - 1) + b"}"

    assert send(connection, nested(128))[0] == 200
    assert send(connection, nested(129))[0] == 400


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_413(server: Running, chunked: bool) -> None:
    limit = 2 * 1024 * 1024
    filler = json.dumps(body(x="")).encode()

    def of_size(size: int) -> bytes:
        return filler.replace(b'"x": ""', b'"x": "' + b"a" * (size - len(filler)) + b'"')

    for size, expected in ((limit, 200), (limit + 1, 413), (3 * limit, 413)):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
        data = of_size(size)
        pieces = (data[start : start + 65536] for start in range(0, size, 65536))
        connection.request("POST", PATH, pieces if chunked else data, JSON, encode_chunked=chunked)
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        assert response.status == expected
        if expected == 413:
            assert answer["error"]["code"] == "invalid_request"


def test_chunked_bodies_and_expect_continue_work(server: Running) -> None:
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\n"
    with socket.create_connection((server.host, server.port), timeout=20) as raw:
        raw.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n{len(VALID):x}\r\n".encode() + VALID + b"\r\n0\r\n\r\n")
        assert read_status(raw) == 200
        raw.sendall(f"{head}Content-Length: {len(VALID)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 100")
        raw.sendall(VALID)
        assert read_status(raw) == 200


def read_status(raw: socket.socket) -> int:
    """Read one answer to its end."""
    with http.client.HTTPResponse(raw) as response:
        response.begin()
        response.read()
        return response.status


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("x" * 10_000, 400),
        ("..", 400),
        ("%2e%2e", 400),
        ("%00", 400),
        ("%ff%fe", 400),
        ("'; DROP TABLE tasks", 400),
        ("..%2f..%2fetc%2fpasswd", 404),
        ("a%2Fb", 404),
        ("../../../etc/passwd", 404),
        ("", 404),
    ],
)
def test_odd_ids_are_unknown_tasks_or_wrong_paths(
    connection: http.client.HTTPConnection, path: str, status: int
) -> None:
    connection.request("GET", f"{PATH}/{path.replace(' ', '%20')}", headers=JSON)
    response = connection.getresponse()

    assert response.status == status
    assert (b"task_not_exist" in response.read()) == (status == 400)
    assert send(connection, VALID)[0] == 200


@settings(max_examples=150)
@given(data=st.binary(max_size=300) | st.text(max_size=300).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_bytes_are_refused_and_the_server_lives(server: Running, data: bytes) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    status, _ = send(connection, data)
    assert status == 400
    assert send(connection, VALID)[0] == 200
    connection.close()


near_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from(
    [
        "subject_image_list",
        "model_name",
        "prompt",
        "scence_image",
        "style_image",
        "n",
        "aspect_ratio",
        "callback_url",
        "x",
    ]
)


@settings(max_examples=150)
@given(request=st.dictionaries(fields, near_json | st.just(subjects("http://a", "http://b")), max_size=5))
def test_any_json_gets_an_answer_below_500(server: Running, request: dict[str, object]) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    status, answer = send(connection, json.dumps(request).encode())
    connection.close()

    assert status in {200, 400}
    assert "code" in answer or "error" in answer


@pytest.mark.parametrize("raw", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"G\xff /x HTTP/1.1\r\n\r\n"])
def test_what_is_no_http_harms_nobody(server: Running, connection: http.client.HTTPConnection, raw: bytes) -> None:
    with socket.create_connection((server.host, server.port), timeout=20) as plain:
        plain.sendall(raw)
        assert b" 500 " not in plain.recv(65536)
    assert send(connection, VALID)[0] == 200


def test_a_client_that_leaves_in_the_middle_harms_nobody(
    server: Running, connection: http.client.HTTPConnection
) -> None:
    with socket.create_connection((server.host, server.port), timeout=20) as plain:
        plain.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n{{".encode())
    assert send(connection, VALID)[0] == 200


def test_prompts_in_any_script_can_be_drawn(connection: http.client.HTTPConnection) -> None:
    prompt = "日本語 한국어 العربية עברית 🎉👩‍👩‍👧 é \x00\x1b[31m\u202e\U0010ffff\n\t" * 20
    data = json.dumps(body(prompt=prompt)).encode()
    status, answer = send(connection, data)
    assert status == 200
    connection.request("GET", f"{PATH}/{answer['data']['task_id']}", headers=JSON)  # type: ignore[index]
    images = json.loads(connection.getresponse().read())["data"]["task_result"]["images"]
    connection.request("GET", "/" + images[0]["url"].split("/", 3)[3])
    response = connection.getresponse()

    assert response.status == 200
    assert response.read().startswith(b"\x89PNG")
