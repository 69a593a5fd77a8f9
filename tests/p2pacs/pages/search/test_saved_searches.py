from p2pacs.pages.search.saved_searches import SavedSearches
from p2pacs.pages.search.search_form import StudySearch


def test_a_search_is_its_owners_alone_and_the_oldest_is_forgotten() -> None:
    searches = SavedSearches[StudySearch](most=2)
    names = [searches.save("anna", StudySearch(name=name)) for name in "abc"]
    assert [searches.get("anna", name) for name in names] == [
        None, StudySearch(name="b"), StudySearch(name="c"),
    ]  # fmt: skip
    assert searches.get("bert", names[2]) is None
    assert searches.get("anna", "unknown") is None
