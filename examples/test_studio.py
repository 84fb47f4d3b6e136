from decimal import Decimal

import pytest
from studio import create_app

ORDER = {"prompt": "two friends in Paris", "photo": ["https://example.com/anna.png", "https://example.com/ben.png"]}


@pytest.fixture
def studio(kling_mock):
    app = create_app()
    kling_mock.deliver_callbacks_to(app)
    return app.test_client()


def test_a_customer_gets_the_picture(studio, kling_mock):
    kling_mock.scenario("error-1303", times=2)  # too many tasks at a time, twice
    kling_mock.skip_sleep()  # the pauses between the attempts move the clock, and take no time

    order = studio.post("/pictures", data=ORDER).get_json()
    kling_mock.wait_for_callback("succeed")  # moves the clock until it comes
    picture = studio.get(f"/pictures/{order['id']}")

    assert picture.mimetype == "image/png"
    assert kling_mock.creates == 3
    assert kling_mock.spent <= Decimal("0.0133")  # two refusals cost nothing
    kling_mock.assert_created(prompt="two friends in Paris")
    kling_mock.assert_no_advice()  # nothing that the real service would punish later


@pytest.mark.kling(scenario="fail-moderation")
def test_a_customer_is_told_why_there_is_no_picture(studio, kling_mock):
    order = studio.post("/pictures", data=ORDER).get_json()
    assert studio.get(f"/pictures/{order['id']}").get_json()["status"] == "submitted"

    kling_mock.clock.advance("2m")

    assert studio.get(f"/pictures/{order['id']}").get_json() == {
        "id": order["id"],
        "status": "failed",
        "message": "Failure to pass the risk control system",
    }
    assert kling_mock.spent == 0  # what was paid came back
