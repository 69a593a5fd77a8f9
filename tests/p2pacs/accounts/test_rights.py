from p2pacs.accounts.rights import rights_of, roles_with

TABLE = {"administrator": frozenset({"see", "change"}), "auditor": frozenset({"see"})}


def test_a_role_has_what_the_table_says() -> None:
    assert rights_of("auditor", TABLE) == {"see"}
    assert rights_of("a role of another program", TABLE) == frozenset()
    assert rights_of("", {}) == frozenset()


def test_who_has_a_right() -> None:
    assert roles_with("see", TABLE) == ("administrator", "auditor")
    assert roles_with("change", TABLE) == ("administrator",)
