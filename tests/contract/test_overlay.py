"""Overlays change a document as the specification says (OpenAPI Overlay 1.1), one test a rule of it."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpath import JSONPathEnvironment

from klingkit.contract.evidence import ContractError
from klingkit.contract.overlay import apply_action, apply_overlay, select


def document() -> dict[str, Any]:
    return {
        "info": {"title": "Pets", "tags": ["a", "b"]},
        "paths": {
            "/pets": {
                "get": {"tags": ["dummy", "pets"], "parameters": [{"name": "dummy"}, {"name": "limit", "in": "query"}]}
            },
            "/toys": {"get": {"tags": ["toys"], "parameters": [{"name": "dummy"}]}, "post": {"x-old": True}},
        },
    }


def changed(*actions: dict[str, Any]) -> dict[str, Any]:
    made = document()
    for action in actions:
        apply_action(made, action)
    return made


def overlay(*actions: dict[str, Any], version: str = "1.1.0") -> dict[str, Any]:
    return {"overlay": version, "info": {"title": "t", "version": "1"}, "actions": list(actions)}


def test_actions_come_in_order_each_upon_what_the_one_before_has_made() -> None:
    made = changed(
        {"target": "$.info.title", "remove": True},
        {"target": "$.info", "update": {"title": {"en": "Pets"}}},
        {"target": "$.info.title", "update": {"de": "Tiere"}},
    )

    assert made["info"]["title"] == {"en": "Pets", "de": "Tiere"}


def test_an_update_is_merged_into_objects_as_deep_as_they_go_and_leaves_the_rest() -> None:
    made = changed({"target": "$", "update": {"info": {"title": "Cats", "x-new": {"a": 1}}, "x-root": None}})

    assert made == {**document(), "info": {"title": "Cats", "tags": ["a", "b"], "x-new": {"a": 1}}, "x-root": None}


def test_an_array_in_an_update_is_concatenated() -> None:
    assert changed({"target": "$.info", "update": {"tags": ["c"]}})["info"]["tags"] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("update", "added"), [(["c", "d"], ["c", "d"]), ({"name": "c"}, [{"name": "c"}]), ("c", ["c"]), (None, [None])]
)
def test_a_target_that_is_an_array_takes_an_array_or_one_entry(update: Any, added: list[Any]) -> None:
    assert changed({"target": "$.info.tags", "update": update})["info"]["tags"] == ["a", "b", *added]


@pytest.mark.parametrize("new", ["Cats", 5, False, None])
def test_a_primitive_is_replaced_by_a_primitive_of_any_type(new: object) -> None:
    assert changed({"target": "$.info.title", "update": new})["info"]["title"] is new
    assert changed({"target": "$.info", "update": {"title": new}})["info"]["title"] is new


@pytest.mark.parametrize(
    ("target", "update"),
    [
        ("$.info", "text"),
        ("$.info", ["a"]),
        ("$.info", {"title": {}}),
        ("$.info", {"title": ["a"]}),
        ("$.info", {"tags": "c"}),
        ("$.info", {"tags": {}}),
        ("$", {"info": None}),
        ("$.info.title", {"a": 1}),
        ("$.info.title", ["a"]),
    ],
)
def test_what_does_not_fit_is_an_error(target: str, update: object) -> None:
    with pytest.raises(ContractError, match="cannot be merged"):
        apply_action(document(), {"target": target, "update": update})


def test_nodes_of_several_kinds_are_an_error() -> None:
    with pytest.raises(ContractError, match="one kind"):
        apply_action(document(), {"target": "$.info.*", "update": "x"})


def test_each_node_that_is_selected_is_updated_with_a_value_of_its_own() -> None:
    made = changed(
        {"target": "$.paths.*.get", "update": {"x-safe": {"since": 1}}},
        {"target": "$.paths['/pets'].get['x-safe']", "update": {"since": 2}},
    )

    assert [item["get"]["x-safe"] for item in made["paths"].values()] == [{"since": 2}, {"since": 1}]


def test_a_node_that_is_selected_twice_is_changed_once() -> None:
    assert changed({"target": "$.info['tags','tags']", "update": "c"})["info"]["tags"] == ["a", "b", "c"]
    assert "title" not in changed({"target": "$.info['title','title']", "remove": True})["info"]


def test_remove_takes_properties_and_entries_away() -> None:
    assert "title" not in changed({"target": "$.info.title", "remove": True})["info"]
    made = changed({"target": "$.paths.*.get.parameters[?@.name == 'dummy']", "remove": True})
    assert [item["get"]["parameters"] for item in made["paths"].values()] == [[{"name": "limit", "in": "query"}], []]
    made = changed({"target": "$.paths.*.get.tags[?@ == 'dummy']", "remove": True})
    assert made["paths"]["/pets"]["get"]["tags"] == ["pets"]


@pytest.mark.parametrize("target", ["$.info.tags.*", "$.info.tags[0,1]", "$.info.tags[1,0]", "$.info.tags[::-1]"])
def test_remove_of_several_entries_takes_just_those(target: str) -> None:
    assert changed({"target": target, "remove": True})["info"]["tags"] == []


def test_remove_of_what_lies_in_what_is_removed() -> None:
    made = {"a": {"x": {"x": 1, "y": 2}}, "b": [[1, [1]], 1]}

    apply_action(made, {"target": "$..x", "remove": True})
    apply_action(made, {"target": "$.b..[0]", "remove": True})

    assert made == {"a": {}, "b": [1]}


def test_the_root_cannot_be_removed() -> None:
    with pytest.raises(ContractError, match="root"):
        apply_action(document(), {"target": "$", "remove": True})


def test_remove_false_removes_nothing_and_remove_true_outdoes_update_and_copy() -> None:
    update = {"target": "$.info", "update": {"title": "Cats"}}

    assert changed({**update, "remove": False})["info"]["title"] == "Cats"
    assert "info" not in changed({**update, "remove": True})
    assert "info" not in changed({"target": "$.info", "copy": "$.paths", "remove": True})
    assert changed({"target": "$.info", "remove": False}) == document()


def test_copy_merges_what_stands_elsewhere_and_shares_nothing_with_it() -> None:
    made = changed(
        {"target": "$.paths", "update": {"/new": {}}},
        {"target": "$.paths['/new']", "copy": "$.paths['/toys']"},
        {"target": "$.paths['/new'].get.tags", "update": "new"},
        {"target": "$.paths['/pets']", "copy": "$.paths['/toys']"},
    )

    assert made["paths"]["/new"]["get"]["tags"] == ["toys", "new"]
    assert made["paths"]["/toys"] == document()["paths"]["/toys"]
    assert made["paths"]["/pets"]["get"]["tags"] == ["dummy", "pets", "toys"]
    assert made["paths"]["/pets"]["post"] == {"x-old": True}


def test_copy_of_an_object_into_what_it_holds_ends() -> None:
    made: dict[str, Any] = {"a": {"b": {}}}

    apply_action(made, {"target": "$.a.b", "copy": "$.a"})

    assert made == {"a": {"b": {"b": {}}}}


@pytest.mark.parametrize("source", ["$.nowhere", "$.paths.*"])
def test_copy_needs_one_source(source: str) -> None:
    with pytest.raises(ContractError, match="has to select one"):
        apply_action(document(), {"target": "$.info", "copy": source})


def test_a_target_that_selects_nothing_is_no_error_to_the_specification() -> None:
    for action in ({"remove": True}, {"update": {"a": 1}}, {"copy": "$.info"}):
        for target in ("$.nowhere", "$.info.title.deeper", "$.info.tags[7]", "$.paths[0]", "$.paths[?@.put]"):
            made = document()
            assert not apply_action(made, {"target": target, **action})
            assert made == document()


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("?@.in", ["limit"]),
        ("?!@.in", ["dummy"]),
        ("?@.name == 'limit' && @.in == 'query'", ["limit"]),
        ("?@.name > 'e' || @.name < 'a'", ["limit"]),
        ("?length(@.name) == 5", ["dummy", "limit"]),
        ("?count(@.*) == 2", ["limit"]),
        ("?match(@.name, 'd.*')", ["dummy"]),
        ("?match(@.name, 'umm')", []),
        ("?search(@.name, 'umm')", ["dummy"]),
        ("?value(@..in) == 'query'", ["limit"]),
        ("-1", ["limit"]),
        ("0:1", ["dummy"]),
    ],
)
def test_targets_are_filtered_as_rfc_9535_says(selector: str, names: list[str]) -> None:
    found = select(document(), f"$.paths['/pets'].get.parameters[{selector}]")

    assert [node.value["name"] for node in found] == names


@pytest.mark.parametrize("target", ["info", "$.paths[", "$.paths[?@.name = 1]", "$['a' 'b']", "", "$.a[01]"])
def test_a_target_that_is_no_jsonpath_is_an_error_of_one_line(target: str) -> None:
    with pytest.raises(ContractError, match="no JSONPath") as raised:
        select(document(), target)
    assert "\n" not in str(raised.value)


def test_an_overlay_of_ours_that_hits_or_changes_nothing_is_an_error_that_names_it_the_action_and_the_target() -> None:
    first = {"target": "$.info", "update": {"x": 1}}
    for second in (
        {"target": "$.nowhere", "remove": True},
        {"target": "$.info", "update": {"title": "Pets"}},
        {"target": "$.info", "update": {}},
        {"target": "$.info.tags", "update": []},
        {"target": "$.info"},
        {"target": "$.info", "remove": False},
        {"target": "$.info.title", "copy": "$.info.title"},
    ):
        with pytest.raises(ContractError) as raised:
            apply_overlay(document(), overlay(first, second), "mine.yaml")
        assert str(raised.value) == f"mine.yaml, action 2 ({second['target']}): it changes nothing"


def test_what_does_not_fit_names_overlay_action_and_target() -> None:
    with pytest.raises(ContractError) as raised:
        apply_overlay(document(), overlay({"target": "$.info", "update": 1}), "mine.yaml")
    assert str(raised.value).startswith("mine.yaml, action 1 ($.info): a primitive cannot be merged into an object")


def test_true_is_another_value_than_1() -> None:
    made = document()
    apply_overlay(made, overlay({"target": "$.paths['/toys'].post['x-old']", "update": 1}), "mine.yaml")
    assert made["paths"]["/toys"]["post"]["x-old"] == 1
    assert made["paths"]["/toys"]["post"]["x-old"] is not True


@pytest.mark.parametrize("version", ["1.0.0", "1.0.1", "1.1.0", "1.1.9"])
def test_versions_that_are_read(version: str) -> None:
    made = document()
    apply_overlay(made, overlay({"target": "$.info", "update": {"title": "Cats"}}, version=version), "mine.yaml")
    assert made["info"]["title"] == "Cats"


@pytest.mark.parametrize("version", ["1.2.0", "2.0.0", "1.1", ""])
def test_another_version_is_refused(version: str) -> None:
    with pytest.raises(ContractError, match=r"1\.0\.x or 1\.1\.x"):
        apply_overlay(document(), overlay({"target": "$", "update": {"a": 1}}, version=version), "mine.yaml")


NAMES = st.sampled_from(["a", "b", "a-b", "/p/{id}", "0", "1"])
VALUES = st.recursive(
    st.integers(0, 3) | st.none() | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
STEPS = st.sampled_from([".a", ".b", "['a']", "['a-b']", "['/p/{id}']", "['0']", "[0]", "[1]", "[2]"])


@given(VALUES, st.lists(STEPS, max_size=4))
def test_a_target_that_names_one_place_selects_what_the_library_selects(value: Any, steps: list[str]) -> None:
    target = "$" + "".join(steps)
    kept = copy.deepcopy(value)

    found = [(node.value, node.parent, node.key) for node in select(value, target)]

    matches = JSONPathEnvironment(strict=True).finditer(target, value)
    assert found == [
        (match.obj, match.parent.obj if match.parent else None, match.parts[-1] if match.parts else None)
        for match in matches
    ]
    assert value == kept
