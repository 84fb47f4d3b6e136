// The code under test: it orders a picture of some friends, and orders again while the service has no room.

import type { components } from "./types/api.js";

type Schemas = components["schemas"];
export type Task = Schemas["QueryAnswer"]["data"];

const PATH = "/kling/v1/images/generations";
const NO_ROOM = 1303;

export class Studio {
  constructor(
    private readonly url: string,
    private readonly key: string,
    private readonly pauseMs = 1000,
  ) {}

  /** Returns the id of the task. */
  async order(prompt: string, photos: string[], callbackUrl: string): Promise<string> {
    const request: Schemas["CreateRequest"] = {
      prompt,
      subject_image_list: photos.map((photo) => ({ subject_image: photo })),
      callback_url: callbackUrl,
    };
    for (let attempt = 1; ; attempt++) {
      const response = await this.#send("POST", PATH, request);
      const answer = (await response.json()) as Schemas["CreateAnswer"] | Schemas["KlingError"];
      if ("data" in answer) return answer.data.task_id;
      if (answer.code !== NO_ROOM || attempt === 5) throw new Error(`${answer.code}: ${answer.message}`);
      await new Promise((resolve) => setTimeout(resolve, this.pauseMs));
    }
  }

  async look(taskId: string): Promise<Task> {
    const response = await this.#send("GET", `${PATH}/${taskId}`);
    return ((await response.json()) as Schemas["QueryAnswer"]).data;
  }

  #send(method: string, path: string, body?: unknown): Promise<Response> {
    return fetch(this.url + path, {
      method,
      headers: { Authorization: `Bearer ${this.key}`, "Content-Type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }
}
