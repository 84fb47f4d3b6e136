"""Clients that others have published, as they come from PyPI, on a simulator: each gets its picture, or this fails.

    real_clients.py URL    with the simulator of `klingkit serve --instant --contract all --plain-generation` at URL

- prompture speaks the contract `kling` with a pair of keys, synchronous and asynchronous.
- cometapi, CometAPI's own, has no method for this feature. It is a thin layer on OpenAI's client, whose way to paths that it does not
  know is used here; and what its `images.generate` sends to the same path is a plain generation. It repeats a create whose answer was lost, which pays for three tasks: the simulator is to say so.
"""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from typing import Any

import httpx
from cometapi import AsyncCometAPI, CometAPI
from openai import APIConnectionError
from prompture.drivers.img_gen_registry import get_async_img_gen_driver_for_model, get_img_gen_driver_for_model

KEY, ACCESS_KEY, SECRET_KEY = "sk-ci", "ak-ci", "a-secret-key-that-signs-tokens-in-ci"
SUBJECTS = ["https://example.com/anna.png", "https://example.com/ben.png"]
CREATE = "/images/generations"
ANSWER = dict[str, Any]
BODY = {
    "prompt": "two friends in Paris",
    "subject_image_list": [{"subject_image": subject} for subject in SUBJECTS],
    "aspect_ratio": "1:1",
}


def prompture(url: str) -> list[str]:
    """Multi-image by both of its drivers, chosen by their public name."""
    os.environ |= {"KLING_ENDPOINT": url, "KLING_ACCESS_KEY": ACCESS_KEY, "KLING_SECRET_KEY": SECRET_KEY}
    options = {"subject_images": SUBJECTS, "scene_image": SUBJECTS[0], "aspect_ratio": "1:1", "poll_interval": 0.1}
    answers = [
        get_img_gen_driver_for_model("kling/kling-v2-1").generate_image("two friends in Paris", options),
        asyncio.run(get_async_img_gen_driver_for_model("kling/kling-v2-1").generate_image("two friends", options)),
    ]
    return [answer["images"][0].url for answer in answers]


def cometapi(url: str) -> list[str]:
    """Multi-image, and the plain picture that its own method asks for."""
    with CometAPI(api_key=KEY, base_url=f"{url}/kling/v1") as client:
        made = [
            client.post(CREATE, cast_to=ANSWER, body=BODY),
            client.with_raw_response.images.generate(model="kling-v2", prompt="one friend", n=1).http_response.json(),
        ]
        tasks = [client.get(f"{CREATE}/{created['data']['task_id']}", cast_to=ANSWER) for created in made]
    return [picture_of(task) for task in tasks]


async def cometapi_async(url: str) -> list[str]:
    """Multi-image with its asynchronous client."""
    async with AsyncCometAPI(api_key=KEY, base_url=f"{url}/kling/v1") as client:
        created = await client.post(CREATE, cast_to=ANSWER, body=BODY | {"prompt": "two friends at sea"})
        return [picture_of(await client.get(f"{CREATE}/{created['data']['task_id']}", cast_to=ANSWER))]


def check_that_paying_thrice_is_named(url: str) -> None:
    """OpenAI's client, below cometapi, repeats a create whose answer was lost; the simulator's advice is to say so."""
    body = BODY | {"prompt": "two friends by night [[reset]]"}
    with CometAPI(api_key=KEY, base_url=f"{url}/kling/v1") as client, suppress(APIConnectionError):
        client.post(CREATE, cast_to=ANSWER, body=body)
    advice = httpx.get(f"{url}/_mock/advice").text
    if advice.count("same-again") != 2:
        raise SystemExit(f"three tasks were made for one, and this is all that is said of it: {advice}")


def picture_of(answer: dict[str, Any]) -> str:
    """Return the first picture of a task, which has ended at once."""
    if answer["data"]["task_status"] != "succeed":
        raise SystemExit(f"no picture: {answer}")
    return str(answer["data"]["task_result"]["images"][0]["url"])


def main() -> None:
    url = sys.argv[1]
    for name, urls in (
        ("prompture", prompture(url)),
        ("cometapi", cometapi(url)),
        ("cometapi, asynchronous", asyncio.run(cometapi_async(url))),
    ):
        for picture in urls:
            if not httpx.get(picture).content.startswith(b"\x89PNG\r\n\x1a\n"):
                raise SystemExit(f"{name}: {picture} is no picture")
        print(f"{name}: {len(urls)} pictures")
    check_that_paying_thrice_is_named(url)


if __name__ == "__main__":
    main()
