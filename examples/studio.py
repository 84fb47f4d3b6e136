"""A small application that has pictures made by Kling: it submits, takes the callback, and shows the picture."""

import os
import time

import requests
from flask import Flask, Response, request, url_for

PATH = "/kling/v1/images/generations"
TOO_MANY_TASKS = 1303


def submit(prompt: str, photos: list[str], callback_url: str) -> str:
    """Return the id of a new task; tries again while there are too many tasks at a time."""
    url = os.environ.get("COMETAPI_BASE_URL", "https://api.cometapi.com") + PATH
    headers = {"Authorization": f"Bearer {os.environ['COMETAPI_KEY']}"}
    body = {
        "prompt": prompt,
        "subject_image_list": [{"subject_image": photo} for photo in photos],
        "callback_url": callback_url,
    }
    for pause in (1, 2, 4, 8):
        answer = requests.post(url, json=body, headers=headers, timeout=30)
        if answer.json().get("code") != TOO_MANY_TASKS:
            break
        time.sleep(pause)
    answer.raise_for_status()
    return str(answer.json()["data"]["task_id"])


def create_app() -> Flask:
    """Return the application."""
    app = Flask(__name__)
    orders: dict[str, dict[str, str]] = {}
    pictures: dict[str, bytes] = {}

    @app.post("/pictures")
    def order() -> tuple[dict[str, str], int]:
        task_id = submit(request.form["prompt"], request.form.getlist("photo"), url_for("callback", _external=True))
        orders[task_id] = {"id": task_id, "status": "submitted"}
        return orders[task_id], 202

    @app.post("/callback")
    def callback() -> tuple[str, int]:
        task = request.get_json()
        order = orders[task["task_id"]]
        order |= {"status": task["task_status"], "message": task["task_status_msg"]}
        if task["task_status"] == "succeed":
            image = task["task_result"]["images"][0]
            pictures[task["task_id"]] = requests.get(image["url"], timeout=30).content
        return "", 204

    @app.get("/pictures/<task_id>")
    def show(task_id: str) -> Response | tuple[dict[str, str], int]:
        if task_id in pictures:
            return Response(pictures[task_id], mimetype="image/png")
        return orders[task_id], 200

    return app
