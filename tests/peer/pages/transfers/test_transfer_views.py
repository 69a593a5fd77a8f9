from pathlib import Path

from peer.accounts.rights import UserRole
from tests.peer.pages.served import served
from tests.waiting import eventually


async def test_a_transfer_is_named_after_the_patient_for_who_may_search(tmp_path: Path) -> None:
    async with served(tmp_path) as pages:
        study = pages.world.broker.study
        async with pages.browser() as browser:
            assert "Grün" not in (await browser.get("/transfers")).text
            await browser.send(pages.study, f"{pages.study}/fetch")
            transfers = pages.peer.host.engine.downloads.transfers
            await eventually(lambda: study in transfers)
            page = (await browser.get("/transfers")).text
            assert "Grün, Zoë" in page
            assert f'href="{pages.study}"' in page
        async with pages.browser(UserRole.ADMINISTRATOR) as browser:
            for path in ("/transfers", f"/transfers/{study}/card"):
                text = (await browser.get(path)).text
                assert study.short in text
                assert "Grün" not in text
                assert f'href="{pages.study}"' not in text


async def test_a_transfer_that_is_not_there(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        answer = await browser.get(f"/transfers/{'ab' * 16}/card")
        assert answer.status_code == 404
        assert "there is no such transfer" in answer.text
        assert (await browser.get("/transfers/x/card")).status_code == 400


async def test_what_has_left_the_catalogue_is_named_by_its_id(tmp_path: Path) -> None:
    async with served(tmp_path) as pages, pages.browser() as browser:
        study = pages.world.broker.study
        await browser.send(pages.study, f"{pages.study}/fetch")
        transfers = pages.peer.host.engine.downloads.transfers
        await eventually(lambda: study in transfers)
        pages.world.revoke("a")
        await eventually(lambda: "revoked" in pages.content.sources.state.trouble()["revoked"])
        text = (await browser.get("/transfers")).text
        assert study.short in text
        assert "Grün" not in text
